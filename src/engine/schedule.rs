//! Which actions can be done now. Knows nothing of actions but what they need and make, and whether they are small.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::plan::action::Action;
use crate::plan::artifact::Artifact;

/// Actions on their way from waiting over ready to done. What no action makes is taken to be there.
#[derive(Debug)]
pub(super) struct Schedule {
    small: VecDeque<Action>,
    large: VecDeque<Action>,
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
    pub(super) fn new(actions: Vec<Action>, needs: impl Fn(&Action) -> BTreeSet<Artifact>) -> Self {
        let makers: BTreeSet<Artifact> = actions.iter().map(Action::makes).collect();
        let mut schedule = Self {
            small: VecDeque::new(),
            large: VecDeque::new(),
            waiting: Vec::new(),
            waiters: BTreeMap::new(),
        };
        for action in actions {
            let needs: Vec<Artifact> =
                needs(&action).into_iter().filter(|need| makers.contains(need)).collect();
            if needs.is_empty() {
                schedule.ready(&action).push_back(action);
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

    /// The next small action to do, if one is ready now.
    pub(super) fn next_small(&mut self) -> Option<Action> {
        self.small.pop_front()
    }

    /// The next other action to do, if one is ready now.
    pub(super) fn next_large(&mut self) -> Option<Action> {
        self.large.pop_front()
    }

    fn ready(&mut self, action: &Action) -> &mut VecDeque<Action> {
        if action.is_small() { &mut self.small } else { &mut self.large }
    }

    /// Takes `action`, which waits for nothing more. What finishes an image goes before what begins another.
    fn make_ready(&mut self, action: Action) {
        let ready = self.ready(&action);
        match action {
            Action::BuildFsmeta(_) | Action::WriteDisk(_) => ready.push_front(action),
            _ => ready.push_back(action),
        }
    }

    /// Notes that `artifact` is there.
    pub(super) fn made(&mut self, artifact: Artifact) {
        for place in self.waiters.remove(&artifact).unwrap_or_default() {
            if let Some((_, open)) = &mut self.waiting[place] {
                *open -= 1;
                if *open == 0
                    && let Some((action, _)) = self.waiting[place].take()
                {
                    self.make_ready(action);
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
        let mut schedule = Schedule::new(vec![disk.clone(), fsmeta.clone()], Action::needs);
        assert_eq!(schedule.next_large(), Some(fsmeta.clone()));
        assert_eq!(schedule.next_large(), None);
        schedule.made(fsmeta.makes());
        assert_eq!(schedule.next_large(), Some(disk));
        assert_eq!((schedule.next_small(), schedule.next_large()), (None, None));
    }

    #[test]
    fn a_failure_takes_what_needs_it_and_nothing_else() {
        let (fsmeta, disk) = (Action::BuildFsmeta(stack(&["a"])), Action::WriteDisk(stack(&["a"])));
        let other = Action::BuildFsmeta(stack(&["b"]));
        let actions = vec![fsmeta.clone(), disk.clone(), other.clone()];
        let mut schedule = Schedule::new(actions, Action::needs);
        assert_eq!(schedule.next_large(), Some(fsmeta.clone()));
        let because = fsmeta.makes();
        assert_eq!(schedule.failed(because), [Skipped { action: disk, because }]);
        assert_eq!(schedule.next_large(), Some(other));
        assert_eq!((schedule.next_small(), schedule.next_large()), (None, None));
    }
}
