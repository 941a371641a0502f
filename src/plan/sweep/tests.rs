use proptest::prelude::*;

use super::*;
use crate::oci::digest::{ChainId, DiffId, Digest};

const DAY: u64 = DAY_SECONDS;
const NOW: u64 = 20_000 * DAY;

/// One artifact of each kind, and a second layer.
fn small_world() -> [Artifact; 5] {
    let [a, b] = ["a", "b"].map(Digest::of);
    [
        Artifact::Disk(ChainId(a)),
        Artifact::Fsmeta(ChainId(a)),
        Artifact::Layer(DiffId(a)),
        Artifact::Layer(DiffId(b)),
        Artifact::Blob(a),
    ]
}

/// Every subset of `all`.
fn subsets(all: &[Artifact]) -> impl Iterator<Item = BTreeSet<Artifact>> {
    (0_u32..1 << all.len()).map(|bits| {
        let chosen = all.iter().enumerate().filter(|(nth, _)| bits >> nth & 1 == 1);
        chosen.map(|(_, artifact)| *artifact).collect()
    })
}

/// Each of 10 bytes, and used as many days ago as its place in the small world.
fn held(artifacts: &BTreeSet<Artifact>) -> Holdings {
    let place = |artifact| small_world().iter().position(|one| *one == artifact).unwrap() as u64;
    let held = |artifact| Held { size_bytes: 10, used: NOW - place(artifact) * DAY };
    let artifacts = artifacts.iter().map(|&artifact| (artifact, held(artifact))).collect();
    Holdings { artifacts, leftovers: BTreeMap::new() }
}

fn keeper(wanted: BTreeSet<Artifact>) -> Keeper {
    Keeper { name: "lock".to_owned(), wanted }
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * DAY)
}

/// Every kind of limit that makes a difference in the small world.
fn limits() -> impl Iterator<Item = Limits> {
    let ages = [None, Some(0), Some(2), Some(9)].map(|age| age.map(days));
    let sizes = [None, Some(0), Some(25), Some(1000)];
    ages.into_iter()
        .flat_map(move |age_max| sizes.map(|size_bytes_max| Limits { age_max, size_bytes_max }))
}

fn without(holdings: &Holdings, taken: &BTreeSet<Artifact>) -> Holdings {
    let mut left = holdings.clone();
    left.artifacts.retain(|artifact, _| !taken.contains(artifact));
    left
}

/// The laws that hold for every store, every keeper, every limit and every time.
fn check_laws(holdings: &Holdings, keepers: &[Keeper], limits: Limits, now: u64) {
    let kept: BTreeSet<Artifact> =
        keepers.iter().flat_map(|keeper| &keeper.wanted).copied().collect();
    let scope = Scope::Everything(limits);
    let swept = sweep(holdings, keepers, &scope, now);
    let taken = swept.taken();
    assert!(taken.is_disjoint(&kept), "what anybody keeps never goes");
    let judged: Vec<_> = swept.artifacts.keys().collect();
    assert_eq!(judged, holdings.artifacts.keys().collect::<Vec<_>>(), "each thing has a verdict");

    let left = without(holdings, &taken);
    assert!(sweep(&left, keepers, &scope, now).taken().is_empty(), "sweeping again takes nothing");
    if limits == Limits::default() {
        assert!(left.artifacts.keys().all(|artifact| kept.contains(artifact)), "all else goes");
    }
    if let Some(max) = limits.size_bytes_max {
        let bytes: u64 = left.artifacts.values().map(|held| held.size_bytes).sum();
        let only_kept = left.artifacts.keys().all(|artifact| kept.contains(artifact));
        assert!(bytes <= max || only_kept, "as small as asked for, or nothing is left to take");
        let wider = Limits { size_bytes_max: Some(max.saturating_add(10)), ..limits };
        let fewer = sweep(holdings, keepers, &Scope::Everything(wider), now).taken();
        assert!(fewer.is_subset(&taken), "a wider limit takes no other things");
    }
}

#[test]
fn the_laws_hold_for_everything_in_a_small_world() {
    let world = small_world();
    for stored in subsets(&world) {
        let holdings = held(&stored);
        for root in subsets(&world) {
            for lease in [BTreeSet::new(), BTreeSet::from([world[0]]), BTreeSet::from(world)] {
                let keepers = [keeper(root.clone()), keeper(lease)];
                for limits in limits() {
                    check_laws(&holdings, &keepers, limits, NOW);
                }
            }
        }
    }
}

#[test]
fn without_limits_exactly_what_is_wanted_stays_and_each_keeper_is_named() {
    let world = small_world();
    let keepers = [keeper([world[0], world[1]].into()), keeper([world[1], world[4]].into())];
    let swept = sweep(&held(&world.into()), &keepers, &Scope::Everything(Limits::default()), NOW);
    assert_eq!(swept.taken(), BTreeSet::from([world[2], world[3]]));
    assert_eq!(swept.artifacts[&world[1]], Verdict::Keep(Keep::Wanted(vec![0, 1])));
    assert_eq!(swept.artifacts[&world[4]], Verdict::Keep(Keep::Wanted(vec![1])));
    assert_eq!(swept.artifacts[&world[2]], Verdict::Take(Take::Unwanted));
}

#[test]
fn what_is_cheapest_to_restore_goes_first_among_things_of_one_day() {
    let mut holdings = held(&small_world().into());
    for (place, artifact) in small_world().into_iter().rev().enumerate() {
        let used = NOW - place as u64;
        holdings.artifacts.insert(artifact, Held { size_bytes: 10, used });
    }
    let taken = |bytes| {
        let limits = Limits { age_max: None, size_bytes_max: Some(bytes) };
        sweep(&holdings, &[], &Scope::Everything(limits), NOW).taken()
    };
    let [disk, fsmeta, newer_layer, layer, _blob] = small_world();
    assert_eq!(taken(50), BTreeSet::new());
    assert_eq!(taken(49), BTreeSet::from([disk]));
    assert_eq!(taken(30), BTreeSet::from([disk, fsmeta]));
    assert_eq!(taken(20), BTreeSet::from([disk, fsmeta, newer_layer]));
    assert_eq!(taken(10), BTreeSet::from([disk, fsmeta, newer_layer, layer]));
    holdings.artifacts.get_mut(&layer).unwrap().used = NOW - 2 * DAY;
    let limits = Limits { age_max: None, size_bytes_max: Some(40) };
    let taken = sweep(&holdings, &[], &Scope::Everything(limits), NOW).taken();
    assert_eq!(taken, BTreeSet::from([layer]), "days count before costs");
}

#[test]
fn a_project_takes_only_what_it_dropped_long_ago() {
    let [old, recent, wanted, others, future] = small_world();
    let dropped =
        [(old, NOW - 7 * DAY), (recent, NOW - 7 * DAY + 1), (wanted, 0), (future, NOW + 9)];
    let scope = |grace| Scope::Dropped { dropped: BTreeMap::from(dropped), grace: days(grace) };
    let keepers = [keeper([wanted].into())];
    let swept = sweep(&held(&small_world().into()), &keepers, &scope(7), NOW);
    assert_eq!(swept.taken(), BTreeSet::from([old]));
    assert_eq!(swept.artifacts[&recent], Verdict::Keep(Keep::Grace));
    assert_eq!(swept.artifacts[&others], Verdict::Keep(Keep::NotDropped));
    let pruned = sweep(&held(&small_world().into()), &keepers, &scope(0), NOW).taken();
    assert_eq!(pruned, BTreeSet::from([old, recent, future]));
}

#[test]
fn leftovers_go_by_their_age_and_a_time_ahead_is_no_age() {
    for (kind, kept_days) in [
        (LeftoverKind::Unrecorded, 1),
        (LeftoverKind::Partial, 7),
        (LeftoverKind::Quarantined, 30),
        (LeftoverKind::Reference, 30),
    ] {
        let goes = |used| of_leftover(kind, Held { size_bytes: 1, used }, NOW).takes();
        assert!(!goes(NOW - kept_days * DAY) && goes(NOW - kept_days * DAY - 1), "{kind:?}");
        assert!(!goes(NOW + 10 * 365 * DAY), "{kind:?}");
    }
}

#[test]
fn what_cannot_be_taken_counts_for_the_size() {
    let partial = Leftover { kind: LeftoverKind::Partial, path: "partial/a".to_owned() };
    let mut holdings = held(&small_world().into());
    holdings.leftovers.insert(partial, Held { size_bytes: 100, used: NOW });
    let limits = Limits { age_max: None, size_bytes_max: Some(140) };
    let scope = Scope::Everything(limits);
    assert_eq!(sweep(&holdings, &[], &scope, NOW).taken().len(), 1);
}

fn any_artifact() -> impl Strategy<Value = Artifact> {
    ("[a-f]", 0_u8..4).prop_map(|(name, kind)| {
        let digest = Digest::of(name);
        match kind {
            0 => Artifact::Blob(digest),
            1 => Artifact::Layer(DiffId(digest)),
            2 => Artifact::Fsmeta(ChainId(digest)),
            _ => Artifact::Disk(ChainId(digest)),
        }
    })
}

fn any_wanted() -> impl Strategy<Value = BTreeSet<Artifact>> {
    prop::collection::btree_set(any_artifact(), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_for_random_stores_at_any_time(
        stored in prop::collection::btree_map(any_artifact(), (any::<u32>(), any::<u64>()), 0..20),
        wanted in prop::collection::vec(any_wanted(), 0..4),
        age_max in prop::option::of(any::<u64>()),
        size_bytes_max in prop::option::of(any::<u32>()),
        now in any::<u64>(),
    ) {
        let held = |(size, used): (u32, u64)| Held { size_bytes: size.into(), used };
        let artifacts = stored.into_iter().map(|(artifact, facts)| (artifact, held(facts)));
        let holdings = Holdings { artifacts: artifacts.collect(), leftovers: BTreeMap::new() };
        let keepers: Vec<Keeper> = wanted.into_iter().map(keeper).collect();
        let limits = Limits {
            age_max: age_max.map(Duration::from_secs),
            size_bytes_max: size_bytes_max.map(u64::from),
        };
        check_laws(&holdings, &keepers, limits, now);
    }

    #[test]
    fn a_project_takes_no_more_than_a_whole_sweep(
        stored in any_wanted(),
        wanted in any_wanted(),
        dropped in prop::collection::btree_map(any_artifact(), any::<u64>(), 0..12),
        grace in any::<u64>(),
        now in any::<u64>(),
    ) {
        let held = |artifact| (artifact, Held { size_bytes: 1, used: now });
        let artifacts = stored.into_iter().map(held).collect();
        let holdings = Holdings { artifacts, leftovers: BTreeMap::new() };
        let keepers = [keeper(wanted)];
        let all = sweep(&holdings, &keepers, &Scope::Everything(Limits::default()), now).taken();
        let scope = Scope::Dropped { dropped, grace: Duration::from_secs(grace) };
        prop_assert!(sweep(&holdings, &keepers, &scope, now).taken().is_subset(&all));
    }
}
