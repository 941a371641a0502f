//! Durations as people write them: `30s`, `10m`, `1h 30m`.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// The longest duration that is accepted: no job waits longer for one thing.
const DURATION_MAX: Duration = Duration::from_hours(24);

/// The longest age that is accepted: no store is older.
const AGE_MAX: Duration = Duration::from_hours(100 * 365 * 24);

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// It is not written like one.
    #[error("a duration is written like `30s`, `10m` or `1h 30m`")]
    Form,
    /// It is below zero or above what anybody waits.
    #[error("a duration is from 0 to 24 hours")]
    Range,
    /// It is not written like an age.
    #[error("an age is written like `12h`, `30d` or `2w`, and is at most 36500 days")]
    Age,
}

/// Reads `text` as a duration of at most 24 hours.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let signed: SignedDuration = text.parse().map_err(|_| DurationError::Form)?;
    let duration = Duration::try_from(signed).map_err(|_| DurationError::Range)?;
    if duration > DURATION_MAX { Err(DurationError::Range) } else { Ok(duration) }
}

/// Reads `text` as an age: a duration that may be of days, each of 24 hours, and weeks.
pub fn parse_age(text: &str) -> Result<Duration, DurationError> {
    let span: Span = text.parse().map_err(|_| DurationError::Age)?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let age = signed.ok().and_then(|signed| Duration::try_from(signed).ok());
    age.filter(|age| *age <= AGE_MAX).ok_or(DurationError::Age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_may_be_of_days_and_weeks() {
        assert_eq!(parse_age("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_age("36h"), Ok(Duration::from_hours(36)));
        assert_eq!(parse_age("30d"), Ok(Duration::from_hours(30 * 24)));
        assert_eq!(parse_age("1w 2d"), Ok(Duration::from_hours(9 * 24)));
        for text in ["", "30", "1 year", "-1d", "36501d", "a while"] {
            assert_eq!(parse_age(text), Err(DurationError::Age), "{text}");
        }
    }

    #[test]
    fn a_duration_has_units() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("24h"), Ok(DURATION_MAX));
        for text in ["", "30", "soon", "1 fortnight"] {
            assert_eq!(parse(text), Err(DurationError::Form), "{text}");
        }
        for text in ["-1s", "25h", "9999999999h"] {
            assert_eq!(parse(text), Err(DurationError::Range), "{text}");
        }
    }
}
