//! What an HTTP request asks for: the session in its path, the query, and the headers that count
//! (`wire.md`). No socket and no HTTP library: the built-in server reads its requests with it, and so
//! does a host that has sockets of its own.

use std::sync::Arc;

use crate::Error;
use crate::coordinator::{AttachOptions, Credential, SubscribeOptions};
use crate::net::percent;
use crate::protocol::{Filter, PROTOCOL_ACKNOWLEDGED, PROTOCOL_HEADER, parse_timestamp};

/// Parameters whose values are not shown.
const SECRETS: [&str; 2] = ["token", "ticket"];

/// Something percent-encoded that is no text when it is decoded, as it was sent.
pub(crate) fn not_text(what: &str, sent: &str) -> Error {
    Error::invalid(format!("{what} {sent:?} is no UTF-8 when it is decoded"))
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// `…/sessions/{session}/ingest`: a wrapper.
    Ingest,
    /// `…/sessions/{session}/stream`: a subscriber on a WebSocket.
    Stream,
    /// `…/sessions/{session}/events`: a subscriber to server-sent events.
    Events,
}

/// A request of a wrapper or a subscriber, as far as it matters.
#[derive(Clone, Debug, Default)]
pub struct Request {
    session: Option<(String, Endpoint)>,
    parameters: Parameters,
    protocol: Option<String>,
    bearer: Option<String>,
    last_event_id: Option<String>,
}

impl Request {
    /// Reads what stands behind the method in a request's first line, such as
    /// `/sessions/s/ingest?executionId=e`, and its headers: names in any case, in any order; of
    /// several with one name the first counts.
    ///
    /// [`Error::InvalidArgument`] names what is no UTF-8 when it is decoded.
    pub fn read<'a>(
        target: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Request, Error> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Request {
            session: session_of(path)?,
            parameters: Parameters::parse(Some(query))?,
            ..Request::default()
        };
        for (name, value) in headers {
            let (field, value) = if name.eq_ignore_ascii_case(PROTOCOL_HEADER) {
                (&mut request.protocol, Some(value.trim()))
            } else if name.eq_ignore_ascii_case("authorization") {
                (&mut request.bearer, bearer(value.trim()))
            } else if name.eq_ignore_ascii_case("last-event-id") {
                (&mut request.last_event_id, Some(value.trim()))
            } else {
                continue;
            };
            if field.is_none() {
                *field = value.map(str::to_owned);
            }
        }
        Ok(request)
    }

    /// The session in the path, decoded; `None` where the path is another.
    pub fn session_id(&self) -> Option<&str> {
        self.session.as_ref().map(|(id, _)| id.as_str())
    }

    /// What the path leads to; `None` where that is no wrapper's and no subscriber's.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.session.as_ref().map(|(_, endpoint)| *endpoint)
    }

    /// What came with the request to show who asks: the bearer of `Authorization`, or the query's
    /// `token`.
    pub fn token(&self) -> Option<&str> {
        self.bearer.as_deref().or(self.parameters.get("token"))
    }

    /// The query's `ticket`, of a subscriber.
    pub fn ticket(&self) -> Option<&str> {
        self.parameters.get("ticket")
    }

    /// What a wrapper asks for, with its token as the credential (R25).
    ///
    /// [`Error::InvalidArgument`] for a query without `executionId`, or, where acknowledged mode is
    /// asked for, without `producer` or `attempt`.
    pub fn attach(&self) -> Result<AttachOptions, Error> {
        self.parameters.attach(self.protocol.as_deref(), self.token())
    }

    /// What a subscriber asks for. What cannot be read is ignored.
    pub fn subscribe(&self) -> SubscribeOptions {
        self.parameters.stream(self.last_event_id.as_deref())
    }
}

/// The session and what is wanted of it, at the end of a path.
fn session_of(path: &str) -> Result<Option<(String, Endpoint)>, Error> {
    let mut parts = path.rsplit('/');
    let endpoint = match parts.next() {
        Some("ingest") => Endpoint::Ingest,
        Some("stream") => Endpoint::Stream,
        Some("events") => Endpoint::Events,
        _ => return Ok(None),
    };
    let (Some(id), Some("sessions")) = (parts.next(), parts.next()) else { return Ok(None) };
    let id = percent::decode(id).ok_or_else(|| not_text("the path's part", id))?;
    Ok(Some((id, endpoint)).filter(|(id, _)| !id.is_empty()))
}

/// What follows `Bearer` in the value of `Authorization`.
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A query, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// [`Error::InvalidArgument`] names what is no UTF-8.
    pub(crate) fn parse(query: Option<&str>) -> Result<Parameters, Error> {
        let pairs = percent::query_pairs(query.unwrap_or_default());
        pairs.map(Parameters).map_err(|(name, value)| {
            // Secrets are shown in no error.
            let value = if SECRETS.contains(&name) { "…" } else { value };
            not_text("the query's parameter", &format!("{name}={value}"))
        })
    }

    /// The first value of that name that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        values.next().map(|(_, value)| value.as_str())
    }

    /// A number, if it is one.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
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

    /// The link that is asked for: `protocol` is the value of [`PROTOCOL_HEADER`], which goes before
    /// the query's.
    pub(crate) fn attach(
        &self,
        protocol: Option<&str>,
        token: Option<&str>,
    ) -> Result<AttachOptions, Error> {
        let execution_id = self
            .get("executionId")
            .ok_or_else(|| Error::invalid("the query has no executionId"))?;
        let version = PROTOCOL_ACKNOWLEDGED.to_string();
        let acknowledged = protocol.or(self.get("protocol")) == Some(version.as_str());
        let producer = self.get("producer").map(str::to_owned);
        let attempt = self.number("attempt");
        if acknowledged && (producer.is_none() || attempt.is_none()) {
            return Err(Error::invalid("protocol 2 needs producer and attempt in the query"));
        }
        Ok(AttachOptions {
            execution_id: execution_id.to_owned(),
            credential: Credential::Token(token.map(str::to_owned)),
            acknowledged,
            producer: producer.filter(|_| acknowledged),
            attempt: attempt.filter(|_| acknowledged),
        })
    }

    /// The stream that is asked for. `resume` (`Last-Event-ID`) goes before the query: it is what
    /// a browser sends when it comes back to the address it was first given.
    pub(crate) fn stream(&self, resume: Option<&str>) -> SubscribeOptions {
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

    fn read(target: &str, headers: &[(&str, &str)]) -> Request {
        Request::read(target, headers.iter().copied()).unwrap()
    }

    #[test]
    fn a_wrappers_request_is_read_whole() {
        let request = read(
            "/base/sessions/user_1%3Aagent%20x/ingest?executionId=e&token=q&producer=p&attempt=3",
            &[("Host", "h"), ("STAYLINE-protocol", " 2 "), ("authorization", "bearer  secret ")],
        );
        assert_eq!(request.session_id(), Some("user_1:agent x"));
        assert_eq!(request.endpoint(), Some(Endpoint::Ingest));
        let options = request.attach().unwrap();
        assert_eq!((options.execution_id.as_str(), options.acknowledged), ("e", true));
        assert_eq!((options.producer.as_deref(), options.attempt), (Some("p"), Some(3)));
        assert!(matches!(options.credential, Credential::Token(Some(token)) if token == "secret"));
    }

    #[test]
    fn a_basic_wrapper_has_no_producer_and_may_bring_its_token_in_the_query() {
        let request = read("/sessions/s/ingest?executionId=e&token=q&producer=p", &[]);
        let options = request.attach().unwrap();
        assert_eq!((options.acknowledged, options.producer, options.attempt), (false, None, None));
        assert!(matches!(options.credential, Credential::Token(Some(token)) if token == "q"));
        let asked = read("/sessions/s/ingest?executionId=e&protocol=2", &[]).attach();
        assert!(asked.unwrap_err().to_string().contains("producer and attempt"));
        let nothing = read("/sessions/s/ingest", &[]).attach();
        assert!(nothing.unwrap_err().to_string().contains("executionId"));
    }

    #[test]
    fn a_subscribers_request_says_where_to_go_on() {
        let request = read("/sessions/s/events?ticket=t&fromId=3", &[("Last-Event-ID", "ep.7")]);
        assert_eq!((request.endpoint(), request.ticket()), (Some(Endpoint::Events), Some("t")));
        let options = request.subscribe();
        assert_eq!((options.filter.after, options.epoch.as_deref()), (7, Some("ep")));
    }

    #[test]
    fn other_paths_are_no_sessions() {
        for path in ["", "/", "/health", "/sessions/s", "/sessions//ingest", "/s/ingest", "*"] {
            let request = read(path, &[]);
            assert_eq!((request.session_id(), request.endpoint()), (None, None), "{path}");
        }
        let broken = Request::read("/sessions/%ff/stream", []).unwrap_err();
        assert!(broken.to_string().contains("%ff"), "{broken}");
    }
}
