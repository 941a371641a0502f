//! Whether a disk has room for what is to be fetched, judged before anything is.

/// What is built of a layer takes up to so many times what was fetched, and a large layer's compressed
/// bytes are kept while it comes.
const TIMES: u64 = 3;

/// How much room there is for a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// As much as it will most likely need.
    Enough,
    /// Enough for the compressed bytes, and perhaps not for what is built of them.
    Tight,
    /// Not even enough for the compressed bytes.
    Short,
}

impl Room {
    /// Judges `free_bytes` for what transfers `download_bytes`.
    pub const fn of(free_bytes: u64, download_bytes: u64) -> Self {
        if free_bytes < download_bytes {
            Self::Short
        } else if free_bytes < download_bytes.saturating_mul(TIMES) {
            Self::Tight
        } else {
            Self::Enough
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_short_below_the_download_and_tight_below_three_times_that() {
        assert_eq!(Room::of(9, 10), Room::Short);
        assert_eq!(Room::of(10, 10), Room::Tight);
        assert_eq!(Room::of(29, 10), Room::Tight);
        assert_eq!(Room::of(30, 10), Room::Enough);
        assert_eq!(Room::of(0, 0), Room::Enough);
    }
}
