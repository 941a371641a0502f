//! What the flags of `sync` mean together. Decided once, so that no other code asks for a flag.

use std::path::PathBuf;

use crate::cli::args::Sync;

/// How a sync treats a stale lock, the network and the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) lock: LockMode,
    /// Whether registries may be asked.
    pub(crate) network: bool,
    pub(crate) effect: Effect,
    /// What is deleted at the end.
    pub(crate) collecting: Collecting,
    /// Whether the lock is required to be fresh only because `CI` is set: worth a note.
    pub(crate) locked_by_ci: bool,
}

/// What happens to a stale lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LockMode {
    /// What is stale is resolved and written, as far as the network is allowed.
    Fix,
    /// It is an error.
    Require,
    /// Nobody looks: the lock alone counts, perhaps another file than usual.
    Alone(Option<PathBuf>),
}

/// What of what the project dropped is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collecting {
    /// Nothing.
    Nothing,
    /// What was dropped long ago.
    Old,
    /// All of it.
    All,
}

/// What is done about the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is carried out.
    Apply,
    /// It must be empty.
    Check,
    /// It is shown.
    DryRun,
}

impl Mode {
    /// What `sync` means in a CI or elsewhere, where collecting by itself is wanted or not.
    pub(crate) fn of(sync: &Sync, ci: bool, auto_gc: bool) -> Self {
        let offline = sync.offline || sync.frozen || sync.check;
        let locked = sync.locked || sync.frozen || sync.check;
        let by_ci = ci && !locked && !sync.no_locked;
        let lock = match &sync.from_lock {
            Some(file) => LockMode::Alone(file.clone()),
            None if locked || by_ci => LockMode::Require,
            None => LockMode::Fix,
        };
        let effect = match sync {
            Sync { check: true, .. } => Effect::Check,
            Sync { dry_run: true, .. } => Effect::DryRun,
            _ => Effect::Apply,
        };
        let collecting = match effect {
            Effect::Check => Collecting::Nothing,
            _ if sync.prune => Collecting::All,
            _ if offline || ci || sync.no_gc || !auto_gc => Collecting::Nothing,
            _ => Collecting::Old,
        };
        let locked_by_ci = by_ci && lock == LockMode::Require;
        Self { locked_by_ci, lock, network: !offline, effect, collecting }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Arguments, Command};

    #[track_caller]
    fn check(flags: &str, ci: bool, lock: LockMode, network: bool, effect: Effect) {
        let words = ["sandbox-images", "sync"].into_iter().chain(flags.split_whitespace());
        let Command::Sync(sync) = Arguments::parse_from(words).command else {
            panic!("not a sync")
        };
        let locked_by_ci = ci && !flags.contains("lock") && lock == LockMode::Require;
        let mode = Mode::of(&sync, ci, true);
        assert_eq!((mode.lock, mode.network, mode.effect), (lock, network, effect), "{flags}");
        assert_eq!(mode.locked_by_ci, locked_by_ci, "{flags}");
    }

    #[track_caller]
    fn collects(flags: &str, ci: bool, auto_gc: bool, expected: Collecting) {
        let words = ["sandbox-images", "sync"].into_iter().chain(flags.split_whitespace());
        let Command::Sync(sync) = Arguments::parse_from(words).command else {
            panic!("not a sync")
        };
        assert_eq!(Mode::of(&sync, ci, auto_gc).collecting, expected, "{flags}");
    }

    #[test]
    fn nothing_is_deleted_offline_in_ci_or_where_it_is_not_wanted() {
        for flags in ["", "--locked", "--dry-run", "--from-lock"] {
            collects(flags, false, true, Collecting::Old);
            collects(flags, true, true, Collecting::Nothing);
            collects(flags, false, false, Collecting::Nothing);
            let prune = format!("{flags} --prune");
            collects(&prune, true, false, Collecting::All);
        }
        for flags in ["--offline", "--frozen", "--check", "--no-gc", "--frozen --dry-run"] {
            collects(flags, false, true, Collecting::Nothing);
        }
        for flags in ["--no-gc", "--offline", "--frozen", "--check"] {
            let words = ["sandbox-images", "sync", "--prune", flags];
            assert!(Arguments::try_parse_from(words).is_err(), "{flags}");
        }
    }

    #[test]
    fn each_row_of_the_table_of_modes() {
        check("", false, LockMode::Fix, true, Effect::Apply);
        check("", true, LockMode::Require, true, Effect::Apply);
        check("--no-locked", true, LockMode::Fix, true, Effect::Apply);
        check("--locked", false, LockMode::Require, true, Effect::Apply);
        check("--offline", false, LockMode::Fix, false, Effect::Apply);
        check("--frozen", false, LockMode::Require, false, Effect::Apply);
        check("--check", false, LockMode::Require, false, Effect::Check);
        check("--dry-run", false, LockMode::Fix, true, Effect::DryRun);
        check("--frozen --dry-run", false, LockMode::Require, false, Effect::DryRun);
        check("--from-lock", true, LockMode::Alone(None), true, Effect::Apply);
        check(
            "--from-lock=other.lock --offline",
            false,
            LockMode::Alone(Some("other.lock".into())),
            false,
            Effect::Apply,
        );
    }
}
