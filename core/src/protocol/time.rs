//! Timestamps on the wire: ISO 8601 or integer milliseconds in, ISO 8601 out.

use jiff::Timestamp;
use jiff::civil::Date;

/// Milliseconds since the epoch as `2026-03-07T12:00:00.000Z`. A moment that no calendar has
/// (beyond the year 9999) is clamped.
pub fn format_timestamp(ms: i64) -> String {
    let mut text = String::with_capacity(24);
    push_timestamp(&mut text, ms);
    text
}

/// [`format_timestamp`] at the end of a text. Every event that is passed on has one, so those of
/// our times are written without going through a calendar's library.
pub(super) fn push_timestamp(text: &mut String, ms: i64) {
    if !(0..=LATEST_PLAIN_MS).contains(&ms) {
        let end = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let timestamp = Timestamp::from_millisecond(ms).unwrap_or(end);
        text.push_str(&format!("{timestamp:.3}"));
        return;
    }
    let (year, month, day) = date(ms / DAY_MS);
    let ms = ms % DAY_MS;
    let numbers = [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (ms / 3_600_000, 2, ':'),
        (ms / 60_000 % 60, 2, ':'),
        (ms / 1_000 % 60, 2, '.'),
        (ms % 1_000, 3, 'Z'),
    ];
    for (number, digits, behind) in numbers {
        for place in (0..digits).rev() {
            let digit = number / 10_i64.pow(place) % 10;
            text.push(char::from(b'0' + digit as u8));
        }
        text.push(behind);
    }
}

/// Reads exactly the form that [`format_timestamp`] writes, which most events carry; `None` for
/// anything else, a leap second among it.
fn parse_plain(text: &[u8]) -> Option<i64> {
    const FORM: &[u8; 24] = b"dddd-dd-ddTdd:dd:dd.dddZ";
    let text: &[u8; 24] = text.try_into().ok()?;
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        _ => byte == form,
    };
    if !text.iter().zip(FORM).all(fits) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        text[range].iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let (hours, minutes, seconds) = (number(11..13), number(14..16), number(17..19));
    let days = days(year, month, day);
    // A day that no month has comes back as another one.
    if days < 0 || date(days) != (year, month, day) || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    Some(days * DAY_MS + ((hours * 60 + minutes) * 60 + seconds) * 1_000 + number(20..23))
}

const DAY_MS: i64 = 86_400_000;
/// The end of the year 9999.
const LATEST_PLAIN_MS: i64 = 253_402_300_799_999;

/// Year, month and day of a day counted from 1970-01-01. Years are taken to begin in March, so
/// that the leap day is the last of its year; 400 of them have 146 097 days.
fn date(day: i64) -> (i64, i64, i64) {
    // From 0000-03-01.
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, and again.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (400 * era + year + i64::from(is_next_year), month, day)
}

/// The other way round.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

/// Reads ISO 8601 with an offset, a day of it without a time (its beginning in UTC), or integer
/// milliseconds as text; `None` if it is none of them.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    if let Some(ms) = parse_plain(text.as_bytes()) {
        return Some(ms);
    }
    if let Ok(ms) = text.parse::<i64>() {
        return Timestamp::from_millisecond(ms).ok().map(|_| ms);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    // The library would read a day out of more than a day, too.
    let is_day = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let day: Date = is_day.then(|| text.parse().ok()).flatten()?;
    Some(days(day.year().into(), day.month().into(), day.day().into()) * DAY_MS)
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
        assert_eq!(parse_timestamp("2026-03-07"), Some(1_772_841_600_000));
        assert_eq!(parse_timestamp("2024-02-29"), Some(1_709_164_800_000));
        assert_eq!(parse_timestamp("1969-12-31"), Some(-86_400_000));
        for none in ["2026-02-29", "2026-13-01", "2026-03", "2026-03-07T10:00", "-"] {
            assert_eq!(parse_timestamp(none), None, "{none}");
        }
        assert_eq!(parse_timestamp("yesterday"), None);
        assert_eq!(parse_timestamp("99999999999999999"), None);
        assert_eq!(format_timestamp(i64::MAX).get(..4), Some("9999"));
    }

    #[test]
    fn what_is_written_is_what_the_calendar_says() {
        let library = |ms| format!("{:.3}", Timestamp::from_millisecond(ms).unwrap());
        // About a thousand a century, and both sides of every bound of the short way.
        let many = (0..=LATEST_PLAIN_MS).step_by(3_155_692_597);
        for ms in many.chain([-1, 0, 951_782_399_999, 951_782_400_000, 951_868_800_000]) {
            assert_eq!(format_timestamp(ms), library(ms), "{ms}");
            assert_eq!(parse_timestamp(&library(ms)), Some(ms));
            if ms >= 0 {
                assert_eq!(parse_plain(library(ms).as_bytes()), Some(ms));
            }
        }
        for none in [
            "2023-02-29T00:00:00.000Z",
            "2023-00-10T00:00:00.000Z",
            "2023-13-10T00:00:00.000Z",
            "2023-01-00T00:00:00.000Z",
            "2023-04-31T00:00:00.000Z",
            "2023-01-01T24:00:00.000Z",
            "2023-01-01T00:60:00.000Z",
            "2023-01-01 00:00:00.000Z",
            "2023-01-01T00:00:00,000Z",
            "1969-12-31T23:59:59.999Z",
        ] {
            assert_eq!(parse_plain(none.as_bytes()), None, "{none}");
        }
        assert_eq!(format_timestamp(LATEST_PLAIN_MS), "9999-12-31T23:59:59.999Z");
        assert_eq!(format_timestamp(-62_198_755_200_000), library(-62_198_755_200_000));
    }
}
