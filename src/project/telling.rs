//! Events for whoever embeds the library: a channel, and what makes registries and stores tell into it.
//!
//! The channel never makes the work wait. What a later event says better ([`Event::is_transient`]) is dropped
//! when its reader is slow; everything else arrives, in order, and the last one is [`Event::Done`]. So the queue
//! is bounded by [`TRANSIENT_MAX`] and by how much there is to do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use crate::plan::event::{Event, Reporter, WaitKind};
use crate::project::Session;
use crate::registry::Registry;
use crate::registry::event::{EventSink, RegistryEvent};
use crate::registry::settings::Settings;
use crate::store::guard::{Caller, Waiting};

/// Events that may wait for their reader before one that is transient is dropped.
pub const TRANSIENT_MAX: usize = 256;

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    is_closed: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that the work tells. When it is dropped, the stream of events ends.
#[derive(Debug)]
struct Teller(Arc<Queue>);

impl Reporter for Teller {
    fn report(&self, event: Event) {
        let mut state = self.0.state();
        if event.is_transient() && state.events.len() >= TRANSIENT_MAX {
            return;
        }
        state.events.push_back(event);
        drop(state);
        self.0.changed.notify_one();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.changed.notify_one();
    }
}

/// The end that is listened to.
#[derive(Debug)]
pub struct Events(Arc<Queue>);

impl Events {
    /// The next event; `None` when all was told and nobody is left who could tell more. Nothing is lost if
    /// the call is given up.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let changed = self.0.changed.notified();
            {
                let mut state = self.0.state();
                match state.events.pop_front() {
                    Some(event) => return Some(event),
                    None if state.is_closed => return None,
                    None => {}
                }
            }
            changed.await;
        }
    }

    /// The next event, if it has come already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.0.state().events.pop_front()
    }
}

/// A reporter, and the stream of what it is told.
pub fn channel() -> (Arc<dyn Reporter>, Events) {
    let queue = Arc::new(Queue::default());
    (Arc::new(Teller(Arc::clone(&queue))), Events(queue))
}

impl Session {
    /// A session that tells `reporter` all that happens, in registries and while it waits for other processes
    /// too. Without `settings` there is no network.
    pub fn telling(
        settings: Option<Settings>,
        reporter: Arc<dyn Reporter>,
        now: SystemTime,
    ) -> Self {
        let registry = settings.map(|settings| {
            let events = registry_events(Arc::clone(&reporter));
            Registry::new(Settings { events, ..settings })
        });
        let session = Self::new(registry, now);
        let Caller { command, wait_max, .. } = session.caller;
        let caller = caller(command, wait_max, Arc::clone(&reporter));
        Self { caller, reporter, ..session }
    }
}

/// What a registry client tells, as events of a run.
pub fn registry_events(reporter: Arc<dyn Reporter>) -> EventSink {
    EventSink::new(move |event| reporter.report(of_registry(event)))
}

/// One that tells `reporter` of each wait for another process.
pub fn caller(command: String, wait_max: Duration, reporter: Arc<dyn Reporter>) -> Caller {
    let limit_ms = u64::try_from(wait_max.as_millis()).ok();
    let on_wait = move |Waiting { what, holder, waited }: &Waiting| {
        let holder = holder.as_ref().map(|holder| format!(", which {holder} holds"));
        reporter.report(Event::Waiting {
            subject: format!("{what}{}", holder.unwrap_or_default()),
            waited_ms: millis(*waited),
            limit_ms,
            kind: WaitKind::Process,
        });
    };
    Caller { command, wait_max, on_wait: Arc::new(on_wait) }
}

fn of_registry(event: RegistryEvent) -> Event {
    let warning = |code: &str, message| {
        let (code, image) = (code.to_owned(), None);
        Event::Warning { code, image, message }
    };
    match event {
        RegistryEvent::Retry { registry, reason, delay } => {
            Event::Retry { subject: registry, delay_ms: millis(delay), reason }
        }
        RegistryEvent::Waiting { registry, delay } => {
            let (waited_ms, limit_ms, kind) = (0, Some(millis(delay)), WaitKind::Pause);
            Event::Waiting { subject: registry, waited_ms, limit_ms, kind }
        }
        RegistryEvent::Token { registry, repository } => Event::Token { registry, repository },
        RegistryEvent::Resumed { registry, offset } => {
            Event::Resumed { subject: registry, offset_bytes: offset }
        }
        RegistryEvent::Mirror { registry, mirror } => Event::Mirror { registry, mirror },
        RegistryEvent::MirrorFailed { registry, mirror, reason } => warning(
            "mirror-failed",
            format!("mirror `{mirror}` of `{registry}` is passed over: {reason}"),
        ),
        RegistryEvent::CredentialsIgnored { registry, reason } => warning(
            "credentials-ignored",
            format!("credentials for `{registry}` are not used: {reason}"),
        ),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::{DiffId, Digest};
    use crate::plan::event::Totals;

    fn progress(received_bytes: u64) -> Event {
        Event::LayerProgress { diff_id: DiffId(Digest::of("")), received_bytes, size_bytes: 9 }
    }

    #[tokio::test]
    async fn a_slow_reader_misses_progress_and_nothing_else() {
        let (reporter, mut events) = channel();
        (0..10_000).for_each(|bytes| reporter.report(progress(bytes)));
        let planned = Event::Planned(Totals::default());
        (0..1000).for_each(|_| reporter.report(planned.clone()));
        reporter.report(progress(1));
        drop(reporter);
        for bytes in 0..256 {
            assert_eq!(events.next().await, Some(progress(bytes)));
        }
        for _ in 0..1000 {
            assert_eq!(events.next().await, Some(planned.clone()));
        }
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_an_event_and_by_the_end() {
        let (reporter, mut events) = channel();
        assert_eq!(events.try_next(), None);
        let told = tokio::spawn(async move { [events.next().await, events.next().await] });
        tokio::task::yield_now().await;
        reporter.report(progress(1));
        tokio::task::yield_now().await;
        drop(reporter);
        assert_eq!(told.await.unwrap(), [Some(progress(1)), None]);
    }
}
