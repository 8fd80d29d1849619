//! Timestamps on the wire: ISO 8601 or integer milliseconds in, ISO 8601 out.

use jiff::Timestamp;

/// Milliseconds since the epoch as `2026-03-07T12:00:00.000Z`. A moment that no calendar has
/// (beyond the year 9999) is clamped.
pub fn format_timestamp(ms: i64) -> String {
    let timestamp = Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    });
    format!("{timestamp:.3}")
}

/// Reads ISO 8601 with an offset, or integer milliseconds as text; `None` if it is neither.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse::<i64>() {
        return Timestamp::from_millisecond(ms).ok().map(|_| ms);
    }
    let timestamp: Timestamp = text.parse().ok()?;
    Some(timestamp.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_one_is_written() {
        assert_eq!(format_timestamp(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
        assert_eq!(parse_timestamp("2023-11-14T22:13:20.000Z"), Some(1_700_000_000_000));
        assert_eq!(parse_timestamp("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000));
        assert_eq!(parse_timestamp("1700000000000"), Some(1_700_000_000_000));
        assert_eq!(parse_timestamp("yesterday"), None);
        assert_eq!(parse_timestamp("99999999999999999"), None);
        assert_eq!(format_timestamp(i64::MAX).get(..4), Some("9999"));
    }
}
