//! The fuzz checks over their seeds, and over seeds with a few bytes changed: short, deterministic, on stable.

#[path = "../fuzz/checks.rs"]
mod checks;
mod common;

use common::Random;
use std::path::Path;

/// Changed copies of every seed.
const COPIES: usize = 12;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    for seed in seeds {
        let bytes = std::fs::read(&seed).unwrap();
        check(&bytes);
        let mut random = Random::new(bytes.len() as u64);
        for copy in 0..COPIES {
            let changed = change(&bytes, &mut random);
            let run = std::panic::catch_unwind(|| check(&changed));
            if run.is_err() {
                let kept = std::env::temp_dir().join(format!("outcrop-{target}-{copy}"));
                std::fs::write(&kept, &changed).unwrap();
                panic!("{} changed, kept as {}", seed.display(), kept.display());
            }
        }
    }
}

/// The bytes with a few flipped, cut out, doubled or cut off.
fn change(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..1 + random.below(4) {
        if changed.is_empty() {
            break;
        }
        let at = random.below(changed.len());
        let end = (at + 1 + random.below(8)).min(changed.len());
        match random.below(5) {
            0 | 1 => changed[at] ^= 1 << random.below(8),
            2 => drop(changed.drain(at..end)),
            3 => {
                let again = changed[at..end].to_vec();
                changed.splice(at..at, again);
            }
            _ => changed.truncate(at),
        }
    }
    changed
}

#[test]
fn csv_split() {
    replay("csv_split", checks::csv_split);
}

#[test]
fn csv_scan() {
    replay("csv_scan", checks::csv_scan);
}

#[test]
fn bzip2() {
    replay("bzip2", checks::bzip2);
}

#[test]
fn compressed() {
    replay("compressed", checks::compressed);
}

#[test]
fn parquet() {
    replay("parquet", checks::parquet);
}
