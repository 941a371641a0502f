//! Which actions can be done now. Knows nothing of actions but what they need and make.

use std::collections::{BTreeMap, VecDeque};

use crate::plan::action::Action;
use crate::plan::artifact::Artifact;

/// Actions on their way from waiting over ready to done. What no action makes is taken to be there.
#[derive(Debug)]
pub(super) struct Schedule {
    ready: VecDeque<Action>,
    /// Actions with the number of artifacts that they still wait for; `None` once they are ready.
    waiting: Vec<Option<(Action, usize)>>,
    /// Who waits for an artifact.
    waiters: BTreeMap<Artifact, Vec<usize>>,
}

/// An action that cannot be done any more, and what it needed in vain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Skipped {
    pub(super) action: Action,
    pub(super) because: Artifact,
}

impl Schedule {
    pub(super) fn new(actions: Vec<Action>) -> Self {
        let makers: std::collections::BTreeSet<Artifact> =
            actions.iter().map(Action::makes).collect();
        let mut schedule =
            Self { ready: VecDeque::new(), waiting: Vec::new(), waiters: BTreeMap::new() };
        for action in actions {
            let needs: Vec<Artifact> =
                action.needs().into_iter().filter(|need| makers.contains(need)).collect();
            if needs.is_empty() {
                schedule.ready.push_back(action);
                continue;
            }
            let place = schedule.waiting.len();
            schedule.waiting.push(Some((action, needs.len())));
            for need in needs {
                schedule.waiters.entry(need).or_default().push(place);
            }
        }
        schedule
    }

    /// The next action to do, if one is ready now.
    pub(super) fn next(&mut self) -> Option<Action> {
        self.ready.pop_front()
    }

    /// Notes that `artifact` is there.
    pub(super) fn made(&mut self, artifact: Artifact) {
        for place in self.waiters.remove(&artifact).unwrap_or_default() {
            if let Some((_, open)) = &mut self.waiting[place] {
                *open -= 1;
                if *open == 0 {
                    self.ready.extend(self.waiting[place].take().map(|(action, _)| action));
                }
            }
        }
    }

    /// Notes that `artifact` will not be there, and answers what cannot be done without it.
    pub(super) fn failed(&mut self, artifact: Artifact) -> Vec<Skipped> {
        let mut skipped = Vec::new();
        let mut lost = vec![artifact];
        while let Some(because) = lost.pop() {
            for place in self.waiters.remove(&because).unwrap_or_default() {
                if let Some((action, _)) = self.waiting[place].take() {
                    lost.push(action.makes());
                    skipped.push(Skipped { action, because });
                }
            }
        }
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::{ChainId, DiffId, Digest};
    use crate::plan::action::{Origin, Stack};
    use crate::spec::source::ImageSource;

    fn stack(layers: &[&str]) -> Stack {
        let layers: Vec<DiffId> = layers.iter().map(|name| DiffId(Digest::of(name))).collect();
        Stack {
            chain_id: ChainId::of(layers.iter().copied()),
            layers,
            fsmeta: None,
            origin: Origin {
                image: "image".parse().unwrap(),
                platform: "linux/amd64".parse().unwrap(),
                source: ImageSource::parse("alpine", "docker.io").unwrap(),
            },
        }
    }

    #[test]
    fn what_is_there_is_not_waited_for_and_what_is_made_is() {
        let (fsmeta, disk) = (Action::BuildFsmeta(stack(&["a"])), Action::WriteDisk(stack(&["a"])));
        let mut schedule = Schedule::new(vec![disk.clone(), fsmeta.clone()]);
        assert_eq!(schedule.next(), Some(fsmeta.clone()));
        assert_eq!(schedule.next(), None);
        schedule.made(fsmeta.makes());
        assert_eq!(schedule.next(), Some(disk));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_failure_takes_what_needs_it_and_nothing_else() {
        let (fsmeta, disk) = (Action::BuildFsmeta(stack(&["a"])), Action::WriteDisk(stack(&["a"])));
        let other = Action::BuildFsmeta(stack(&["b"]));
        let mut schedule = Schedule::new(vec![fsmeta.clone(), disk.clone(), other.clone()]);
        assert_eq!(schedule.next(), Some(fsmeta.clone()));
        let because = fsmeta.makes();
        assert_eq!(schedule.failed(because), [Skipped { action: disk, because }]);
        assert_eq!(schedule.next(), Some(other));
        assert_eq!(schedule.next(), None);
    }
}
