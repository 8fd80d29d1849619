//! Nothing that `commit` reported kept is missing after a power cut, wherever it falls.
//!
//! Each run drives a store on the simulated disk with random batches, prunings and checkpoints,
//! cuts the power at a random call, opens what is left and compares it with what was promised;
//! then goes on with what is left and cuts again. A commit that was reported lost must be gone,
//! one of unknown outcome may be either, and nothing may be half there. The seed is in every
//! message; `STAYLINE_SEED` runs one alone, `STAYLINE_SEEDS` so many.

mod workload;

use stayline::settings::Synchronous;
use stayline_synced_only::{Random, Survivors, register};
use workload::Workload;

/// Two power cuts and what is found after each.
fn run(seed: u64, synchronous: Synchronous, survivors: Survivors) -> Result<(), String> {
    let mut random = Random::new(seed);
    let vfs = register(&format!("synced-only-{seed}-{synchronous:?}-{survivors:?}"));
    let mut workload = Workload::new(vfs.name(), synchronous);
    for _ in 0..2 {
        let calls = 1 + random.below(400);
        vfs.with_disk(|disk| disk.cut_power_after(calls));
        workload.run_until_dark(&mut random, || vfs.with_disk(|disk| disk.is_dark()))?;
        vfs.with_disk(|disk| disk.power_cycle(survivors, &mut random));
        workload.check_what_is_left()?;
    }
    Ok(())
}

/// `STAYLINE_SEED` alone, or as many as `STAYLINE_SEEDS` says, at least the default.
fn seeds(default: u64) -> Vec<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
    };
    match number("STAYLINE_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("STAYLINE_SEEDS").unwrap_or(default).max(default)).collect(),
    }
}

fn assert_nothing_is_missing(synchronous: Synchronous, survivors: Survivors) {
    for seed in seeds(120) {
        let outcome = run(seed, synchronous, survivors);
        assert_eq!(outcome, Ok(()), "seed {seed}, {synchronous:?}, {survivors:?}");
    }
}

#[test]
fn what_was_kept_survives_when_only_synced_bytes_do() {
    assert_nothing_is_missing(Synchronous::Full, Survivors::SyncedOnly);
}

#[test]
fn what_was_kept_survives_torn_writes() {
    assert_nothing_is_missing(Synchronous::Full, Survivors::Torn);
}

#[test]
fn normal_loses_only_the_last_commits_and_never_tears() {
    for survivors in [Survivors::SyncedOnly, Survivors::Torn] {
        assert_nothing_is_missing(Synchronous::Normal, survivors);
    }
}

#[test]
fn without_syncs_it_fails() {
    for survivors in [Survivors::SyncedOnly, Survivors::Torn] {
        let runs = seeds(60);
        let failed =
            runs.iter().filter(|seed| run(**seed, Synchronous::Off, survivors).is_err()).count();
        assert!(failed * 3 > runs.len(), "only {failed} of {} runs noticed", runs.len());
    }
}

#[test]
fn a_seed_repeats_a_run() {
    for seed in [3, 5] {
        let once = run(seed, Synchronous::Off, Survivors::Torn);
        assert_eq!(once, run(seed, Synchronous::Off, Survivors::Torn));
    }
}
