//! Durations as people write them: `30s`, `10m`, `1h 30m`.

use std::time::Duration;

use jiff::SignedDuration;

/// The longest duration that is accepted: no job waits longer for one thing.
const DURATION_MAX: Duration = Duration::from_hours(24);

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
}

/// Reads `text` as a duration of at most 24 hours.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let signed: SignedDuration = text.parse().map_err(|_| DurationError::Form)?;
    let duration = Duration::try_from(signed).map_err(|_| DurationError::Range)?;
    if duration > DURATION_MAX { Err(DurationError::Range) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
