//! The parameters of a request, in its path and query, and what they mean for a stream (`wire.md`).

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::reply::{self, Reply};
use crate::Error;
use crate::coordinator::SubscribeOptions;
use crate::net::percent;
use crate::protocol::{Filter, parse_timestamp};

/// Parameters whose values are not shown.
const SECRETS: [&str; 2] = ["token", "ticket"];

/// Something percent-encoded that is no text when it is decoded, as it was sent.
fn not_text(what: &str, sent: &str) -> Error {
    Error::invalid(format!("{what} {sent:?} is no UTF-8 when it is decoded"))
}

/// The ids in a request's path, decoded.
pub(super) struct InPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<InPath<T>, Reply> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        read.map(|Path(ids)| InPath(ids)).map_err(|why| {
            let odd = parts.uri.path().split('/').find(|part| percent::decode(part).is_none());
            let text = || Error::invalid(format!("the path is not understood: {why}"));
            reply::error(&odd.map_or_else(text, |part| not_text("the path's part", part)))
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Parameters, Reply> {
        Parameters::parse(parts.uri.query()).map_err(|error| reply::error(&error))
    }
}

/// A query, decoded.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// [`Error::InvalidArgument`] names what is no UTF-8.
    pub(super) fn parse(query: Option<&str>) -> Result<Parameters, Error> {
        let pairs = percent::query_pairs(query.unwrap_or_default());
        pairs.map(Parameters).map_err(|(name, value)| {
            // Secrets are shown in no error.
            let value = if SECRETS.contains(&name) { "…" } else { value };
            not_text("the query's parameter", &format!("{name}={value}"))
        })
    }

    /// The first value of that name that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        values.next().map(|(_, value)| value.as_str())
    }

    /// A number, if it is one.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.trim().parse().ok()
    }

    fn list(&self, name: &str) -> Option<Vec<Arc<str>>> {
        let items = self.get(name)?.split(',').map(str::trim).filter(|item| !item.is_empty());
        Some(items.map(Arc::from).collect()).filter(|list: &Vec<_>| !list.is_empty())
    }

    /// Integer milliseconds or ISO 8601; what cannot be read is ignored.
    fn moment(&self, name: &str) -> Option<i64> {
        let text = self.get(name)?;
        // The plus of an offset that was not encoded arrives as a space.
        parse_timestamp(text).or_else(|| parse_timestamp(&text.replace(' ', "+")))
    }

    /// The stream that is asked for. `resume` (`Last-Event-ID`) goes before the query: it is what
    /// a browser sends when it comes back to the address it was first given.
    pub(super) fn stream(&self, resume: Option<&str>) -> SubscribeOptions {
        let resumed = resume.and_then(|resume| {
            let (epoch, id) = resume.trim().rsplit_once('.')?;
            Some((epoch.to_owned(), id.parse::<u64>().ok()?))
        });
        let live_only = resumed.is_none() && self.get("replay") == Some("false");
        let (epoch, after) = match resumed {
            Some((epoch, id)) => (Some(epoch), id),
            None => (self.get("epoch").map(str::to_owned), self.number("fromId").unwrap_or(0)),
        };
        SubscribeOptions {
            filter: Filter {
                after,
                executions: self.list("executionIds"),
                types: self.list("eventTypes"),
                since: self.moment("startTime"),
                until: self.moment("endTime"),
                limit: None,
            },
            epoch,
            live_only,
            until: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(query: &str) -> SubscribeOptions {
        Parameters::parse(Some(query)).unwrap().stream(None)
    }

    #[test]
    fn every_parameter_of_a_stream_is_read() {
        let options = stream(
            "fromId=7&epoch=ep&executionIds=a,b&eventTypes=output%2Cstatus&startTime=5\
             &endTime=2023-11-14T23:13:20+01:00&replay=false",
        );
        let filter = &options.filter;
        assert_eq!((filter.after, options.epoch.as_deref()), (7, Some("ep")));
        assert_eq!(filter.executions, Some(vec!["a".into(), "b".into()]));
        assert_eq!(filter.types, Some(vec!["output".into(), "status".into()]));
        assert_eq!((filter.since, filter.until), (Some(5), Some(1_700_000_000_000)));
        assert!(options.live_only);
    }

    #[test]
    fn what_cannot_be_read_is_ignored() {
        let options = stream("fromId=x&startTime=yesterday&endTime=&executionIds=,&replay=no");
        assert_eq!(options.filter, Filter::default());
        assert!(!options.live_only);
    }

    #[test]
    fn what_is_no_text_is_named_but_for_secrets() {
        let told = |query| Parameters::parse(Some(query)).unwrap_err().to_string();
        assert!(told("a=1&executionId=e%ff").contains(r#""executionId=e%ff""#));
        let secret = told("token=geheim%ff");
        assert!(secret.contains("token=…") && !secret.contains("geheim"), "{secret}");
        assert!(told(&format!("a=%ff{}", "x".repeat(60_000))).len() < 1_000);
    }

    #[test]
    fn the_last_event_id_goes_before_the_query() {
        let parameters = Parameters::parse(Some("fromId=3&replay=false")).unwrap();
        let options = parameters.stream(Some("ep.och.12"));
        assert_eq!((options.filter.after, options.epoch.as_deref()), (12, Some("ep.och")));
        assert!(!options.live_only);
        let unreadable = parameters.stream(Some("garbage"));
        assert_eq!((unreadable.filter.after, unreadable.epoch), (3, None));
    }
}
