//! The least speed of a transfer: who sends a byte now and then would be waited for without end.

use std::time::Duration;

use crate::registry::settings::Timeouts;

/// The speed of a transfer, over time that was waited for bytes: a slow reader does not count.
#[derive(Debug, Default)]
pub(super) struct Speed {
    waited: Duration,
    bytes: u64,
}

impl Speed {
    /// Counts `bytes` that were waited for so long: whether it goes on fast enough.
    pub(super) fn suffices(&mut self, bytes: usize, waited: Duration, timeouts: &Timeouts) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < timeouts.speed_window {
            return true;
        }
        let least = u128::from(timeouts.bytes_per_s_min) * self.waited.as_millis() / 1000;
        let enough = u128::from(self.bytes) >= least;
        *self = Self::default();
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_judged_over_a_window_and_not_before() {
        let mut speed = Speed::default();
        let second = Duration::from_secs(1);
        let timeouts =
            Timeouts { speed_window: 3 * second, bytes_per_s_min: 100, ..Timeouts::default() };
        let mut judge = |bytes| speed.suffices(bytes, second, &timeouts);
        assert!(judge(0) && judge(0) && !judge(299));
        assert!(judge(0) && judge(0) && judge(300));
    }

    #[test]
    fn a_window_may_be_shorter_than_a_second() {
        let mut speed = Speed::default();
        let window = Duration::from_millis(100);
        let timeouts =
            Timeouts { speed_window: window, bytes_per_s_min: 100, ..Timeouts::default() };
        assert!(!speed.suffices(9, window, &timeouts));
        assert!(speed.suffices(10, window, &timeouts));
    }
}
