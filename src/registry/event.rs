//! What a registry client tells while it works: whatever makes a person wait or wonder.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something worth telling. Texts hold no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryEvent {
    /// A request failed and is made again.
    Retry {
        /// The registry's host.
        registry: String,
        /// Why, as a sentence.
        reason: String,
        /// After this pause.
        delay: Duration,
    },
    /// The registry asked for a pause, and all its requests keep it.
    Waiting {
        /// The registry's host.
        registry: String,
        /// For so long.
        delay: Duration,
    },
    /// A token is fetched.
    Token {
        /// The registry's host.
        registry: String,
        /// The repository it is for.
        repository: String,
    },
    /// A mirror serves what a registry has. Told once of each mirror.
    Mirror {
        /// The registry's host.
        registry: String,
        /// The mirror's host.
        mirror: String,
    },
    /// A mirror failed, and the next place is asked.
    MirrorFailed {
        /// The registry's host.
        registry: String,
        /// The mirror's host.
        mirror: String,
        /// Why, as a sentence.
        reason: String,
    },
    /// Stored credentials could not be used or were refused; the work goes on without them.
    CredentialsIgnored {
        /// The registry's host.
        registry: String,
        /// Why, as a sentence.
        reason: String,
    },
    /// A broken transfer goes on where it stopped.
    Resumed {
        /// The registry's host.
        registry: String,
        /// The first byte that is asked for.
        offset: u64,
    },
}

/// Who is told. Called from the tasks that do the work, so it must not block.
#[derive(Clone)]
pub struct EventSink(Arc<dyn Fn(RegistryEvent) + Send + Sync>);

impl EventSink {
    /// Tells `listener`.
    pub fn new(listener: impl Fn(RegistryEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Tells of `event`.
    pub(super) fn tell(&self, event: RegistryEvent) {
        (self.0)(event);
    }
}

impl Default for EventSink {
    /// Tells nobody.
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink")
    }
}
