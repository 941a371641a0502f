//! Traps: what happens at which failpoint, and how often each was passed.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};

use crate::store::failpoint::edges::{EDGES, Edge};

/// What happens to who steps into a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The process is killed, before it has done the step.
    Abort,
    /// The step fails: no space is left.
    NoSpace,
    /// The step fails: the device does not do it.
    Broken,
}

/// A failpoint that does something, once: `id:effect` or `id:effect:nth`, where `nth` counts from 1, and
/// `effect` is `abort`, `enospc` or `eio`.
#[derive(Debug, Clone, Copy)]
pub struct Trap {
    edge: &'static Edge,
    effect: Effect,
    nth: u64,
}

/// Why a text is no trap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no `id:abort`, `id:enospc` or `id:eio` of a known failpoint, with `:nth` or without"
)]
pub struct NoTrap(String);

impl FromStr for Trap {
    type Err = NoTrap;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let no_trap = || NoTrap(text.to_owned());
        let mut words = text.split(':');
        let mut word = || words.next();
        let (id, effect, nth) = (word(), word(), word().unwrap_or("1"));
        let effect = match effect {
            Some("abort") => Effect::Abort,
            Some("enospc") => Effect::NoSpace,
            Some("eio") => Effect::Broken,
            _ => return Err(no_trap()),
        };
        let edge = EDGES.iter().find(|edge| Some(edge.id) == id).ok_or_else(no_trap)?;
        let nth = nth.parse().ok().filter(|&nth| nth > 0).ok_or_else(no_trap)?;
        if word().is_some() {
            return Err(no_trap());
        }
        Ok(Self { edge, effect, nth })
    }
}

/// What is known in this process.
struct State {
    trap: Option<Trap>,
    passed: BTreeMap<&'static str, u64>,
}

static STATE: Mutex<State> = Mutex::new(State { trap: None, passed: BTreeMap::new() });

fn with_state<T>(change: impl FnOnce(&mut State) -> T) -> T {
    change(&mut STATE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Sets `trap` in place of any other, or none, and counts anew.
pub fn arm(trap: Option<Trap>) {
    with_state(|state| *state = State { trap, passed: BTreeMap::new() });
}

/// How often each failpoint was passed since the last [`arm`], by its id.
pub fn passed() -> BTreeMap<&'static str, u64> {
    with_state(|state| state.passed.clone())
}

/// Passes `edge`, or does not.
pub(super) fn pass(edge: &'static Edge) -> Result<(), Errno> {
    let effect = with_state(|state| {
        let count = state.passed.entry(edge.id).or_default();
        *count += 1;
        state.trap.filter(|trap| trap.edge.id == edge.id && trap.nth == *count)
    });
    match effect.map(|trap| trap.effect) {
        None => Ok(()),
        Some(Effect::NoSpace) => Err(Errno::NOSPC),
        Some(Effect::Broken) => Err(Errno::IO),
        Some(Effect::Abort) => {
            kill_process(getpid(), Signal::KILL)?;
            // The signal ends all threads, this one not always first.
            loop {
                thread::park();
            }
        }
    }
}
