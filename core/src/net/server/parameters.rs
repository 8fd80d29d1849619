//! The parameters of a request, and what they mean for a stream (`wire.md`).

use std::sync::Arc;

use crate::coordinator::SubscribeOptions;
use crate::net::percent;
use crate::protocol::{Filter, parse_timestamp};

/// A query, decoded.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(query: Option<&str>) -> Parameters {
        Parameters(query.map(percent::query_pairs).unwrap_or_default())
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
        Parameters::parse(Some(query)).stream(None)
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
    fn the_last_event_id_goes_before_the_query() {
        let parameters = Parameters::parse(Some("fromId=3&replay=false"));
        let options = parameters.stream(Some("ep.och.12"));
        assert_eq!((options.filter.after, options.epoch.as_deref()), (12, Some("ep.och")));
        assert!(!options.live_only);
        let unreadable = parameters.stream(Some("garbage"));
        assert_eq!((unreadable.filter.after, unreadable.epoch), (3, None));
    }
}
