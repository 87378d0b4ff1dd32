//! Writes the tables of the H2O database benchmark (h2oai.github.io/db-benchmark) as CSV: the one to group, `G1.csv`, and
//! with `--join` those to join, `J1_x.csv`, `J1_small.csv`, `J1_medium.csv`, `J1_big.csv`. Shapes and distributions are
//! those of its scripts, random numbers our own: the same arguments give the same bytes on every machine.
//!
//! ```text
//! cargo run --release --example h2o -- data/h2o --rows 10000000 --groups 100 --join
//! ```

#[allow(dead_code, reason = "shared with the other generator")]
#[path = "generate/random.rs"]
pub(crate) mod random;

use random::Random;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: h2o FOLDER [--rows 10000000] [--groups 100] [--seed 1] [--join]";

pub(crate) struct Arguments {
    folder: PathBuf,
    rows: u32,
    groups: u32,
    seed: u64,
    join: bool,
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments = Arguments { folder: PathBuf::new(), rows: 10_000_000, groups: 100, seed: 1, join: false };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rows" => arguments.rows = words.next()?.parse().ok()?,
            "--groups" => arguments.groups = words.next()?.parse().ok().filter(|groups| *groups > 0)?,
            "--seed" => arguments.seed = words.next()?.parse().ok()?,
            "--join" => arguments.join = true,
            option if option.starts_with("--") => return None,
            _ => arguments.folder = PathBuf::from(word),
        }
    }
    (!arguments.folder.as_os_str().is_empty()).then_some(arguments)
}

pub(crate) fn run(arguments: &Arguments) -> io::Result<()> {
    fs::create_dir_all(&arguments.folder)?;
    write(&arguments.folder.join("G1.csv"), |out| write_groups(arguments, out))?;
    if arguments.join {
        write(&arguments.folder.join("J1_x.csv"), |out| write_left(arguments, out))?;
        for (name, ids) in [("small", 1), ("medium", 2), ("big", 3)] {
            write(&arguments.folder.join(format!("J1_{name}.csv")), |out| write_right(arguments, ids, out))?;
        }
    }
    Ok(())
}

/// A file has its name only when it is complete.
fn write(path: &Path, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
    text(&mut out)?;
    out.into_inner()?.sync_all()?;
    fs::rename(partial, path)
}

/// A number from 0 to below 100 with six digits behind the point.
fn decimal(random: &mut Random) -> String {
    format!("{}.{:06}", random.below(100), random.below(1_000_000))
}

/// Three text and three integer keys, of `groups` or `rows / groups` values each; two small integers and a double.
fn write_groups(arguments: &Arguments, out: &mut dyn Write) -> io::Result<()> {
    let (few, many) = (arguments.groups, (arguments.rows / arguments.groups).max(1));
    let random = &mut Random::new(arguments.seed, &[1]);
    writeln!(out, "id1,id2,id3,id4,id5,id6,v1,v2,v3")?;
    for _ in 0..arguments.rows {
        let [id1, id2, id3] = [few, few, many].map(|below| 1 + random.below(below));
        let [id4, id5, id6] = [few, few, many].map(|below| 1 + random.below(below));
        let [v1, v2] = [5, 15].map(|below| 1 + random.below(below));
        let v3 = decimal(random);
        writeln!(out, "id{id1:03},id{id2:03},id{id3:010},{id4},{id5},{id6},{v1},{v2},{v3}")?;
    }
    Ok(())
}

/// How many keys the small, the medium and the big table have.
fn key_counts(arguments: &Arguments) -> [u32; 3] {
    [1_000_000, 1000, 1].map(|per_key| (arguments.rows / per_key).max(1))
}

/// Keys are of `0..1.1 n`, each in a fixed disorder; those from `0.9 n` on stand in one of the two sides only.
fn key(count: u32, at: u32, right: bool) -> u32 {
    let common = count - count / 10;
    let place = (u64::from(at) * 2_654_435_761 % u64::from(count)) as u32;
    if place >= common && right { place + count / 10 + 1 } else { place + 1 }
}

fn write_left(arguments: &Arguments, out: &mut dyn Write) -> io::Result<()> {
    let [small, medium, big] = key_counts(arguments);
    let random = &mut Random::new(arguments.seed, &[2]);
    writeln!(out, "id1,id2,id3,id4,id5,id6,v1")?;
    for row in 0..arguments.rows {
        let id1 = key(small, random.below(small), false);
        let id2 = key(medium, random.below(medium), false);
        let id3 = key(big, row, false);
        writeln!(out, "{id1},{id2},{id3},id{id1},id{id2},id{id3},{}", decimal(random))?;
    }
    Ok(())
}

/// The table with the first `ids` integer keys and their texts, one row for each value of the last.
fn write_right(arguments: &Arguments, ids: usize, out: &mut dyn Write) -> io::Result<()> {
    let counts = key_counts(arguments);
    let random = &mut Random::new(arguments.seed, &[2, ids as u64]);
    let names = |prefix: usize| (1..=ids).map(|id| format!("id{}", prefix + id)).collect::<Vec<_>>().join(",");
    writeln!(out, "{},{},v2", names(0), names(3))?;
    for row in 0..counts[ids - 1] {
        let mut keys: Vec<u32> = (0..ids - 1).map(|id| key(counts[id], random.below(counts[id]), true)).collect();
        keys.push(key(counts[ids - 1], row, true));
        let texts: Vec<String> = keys.iter().map(|key| format!("id{key}")).collect();
        let keys: Vec<String> = keys.iter().map(u32::to_string).collect();
        writeln!(out, "{},{},{}", keys.join(","), texts.join(","), decimal(random))?;
    }
    Ok(())
}
