//! `/events`: the stream as server-sent events.
//!
//! Each record is one event whose data is the record's frame, so that one `onmessage` sees them
//! all. Stored events carry `id: <epoch>.<eventId>`, which a browser sends back as
//! `Last-Event-ID` when it reconnects; volatile and control records carry none, so that they move
//! no cursor.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};

use super::Shared;
use super::lifetime::{Phase, Watch};
use super::parameters::InPath;
use super::pull::{After, Puller};
use super::reply::{self, Reply};
use super::stream::subscribe;
use crate::net::liveness::duration;
use crate::net::request::Parameters;

/// `GET …/events`.
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    InPath(session_id): InPath<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Reply {
    let watch = shared.lifetime.watch();
    let resume = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let options = parameters.stream(resume);
    let subscription = match subscribe(&shared, session_id, &headers, &parameters, options).await {
        Ok(subscription) => subscription,
        Err(error) => return reply::failed(&error),
    };
    let feed = Feed {
        epoch: subscription.epoch(),
        puller: Puller::new(&shared, subscription),
        keep_alive: duration(shared.coordinator.settings().ping_interval_ms.max(1)),
        after: After::More,
        watch,
    };
    let chunks = futures_util::stream::unfold(feed, |mut feed| async move {
        let chunk = feed.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(chunk)), feed))
    });
    let mut answer = Reply::new(Body::from_stream(chunks));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies must not collect events before they pass them on.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

/// One subscriber's events, a chunk at a time. Back-pressure is the body's: the next chunk is
/// asked for when the last one is on its way.
struct Feed {
    epoch: Arc<str>,
    puller: Puller,
    keep_alive: Duration,
    after: After,
    watch: Watch,
}

impl Feed {
    async fn next(&mut self) -> Option<String> {
        loop {
            match self.after {
                After::Ended => return None,
                After::CaughtUp => tokio::select! {
                    () = self.watch.reached(Phase::Closing) => return None,
                    () = self.puller.alarm().rung() => self.after = After::More,
                    () = tokio::time::sleep(self.keep_alive) => return Some(":\n\n".to_owned()),
                },
                After::More => {
                    let batch = match self.puller.pull().await {
                        Ok(batch) => batch,
                        Err(_) => return None,
                    };
                    self.after = batch.after;
                    let mut chunk = String::new();
                    for record in &batch.records {
                        write_event(&mut chunk, &self.epoch, record.id, &record.frame());
                    }
                    if !chunk.is_empty() {
                        return Some(chunk);
                    }
                }
            }
        }
    }
}

/// Payloads pass through as they came, so a frame may have line breaks between its tokens; each
/// line is a data line of its own, and the reader joins them again.
fn write_event(chunk: &mut String, epoch: &str, id: u64, frame: &str) {
    if id > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(chunk, "id: {epoch}.{id}");
    }
    for line in frame.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        chunk.push_str("data: ");
        chunk.push_str(line);
        chunk.push('\n');
    }
    chunk.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stored_events_have_an_id_and_line_breaks_are_kept_apart() {
        let mut chunk = String::new();
        write_event(&mut chunk, "ep", 7, "{\"a\":\r\n1}");
        write_event(&mut chunk, "ep", 0, "{}");
        assert_eq!(chunk, "id: ep.7\ndata: {\"a\":\ndata: 1}\n\ndata: {}\n\n");
    }
}
