//! Writes airline-style files of any size: the 29 columns of the ASA Data Expo 2009 with realistic skew, gaps and
//! order. The same arguments give the same text, to the byte, on every machine.
//!
//! ```text
//! cargo run --release --example generate -- data/bz2 --years 2001-2008 --rows 500000 --format bz2
//! ```

mod files;
mod flights;
mod network;
mod random;

use files::{Format, Order, write_file};
use flights::{Facts, YEARS};
use network::Network;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

const USAGE: &str = "usage: generate FOLDER [--years 2001-2008] [--rows 500000] [--format csv|bz2|gz|zst] [--seed 1] \
[--threads 2]
Writes FOLDER/YEAR.csv…, one file a year from 1987 to 2008, --rows rows each.";

struct Arguments {
    folder: PathBuf,
    years: std::ops::RangeInclusive<u32>,
    rows: u64,
    format: Format,
    seed: u64,
    threads: usize,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("error: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        folder: PathBuf::new(),
        years: 2001..=2008,
        rows: 500_000,
        format: Format::Plain,
        seed: 1,
        threads: 2,
    };
    while let Some(word) = words.next() {
        if !word.starts_with("--") {
            arguments.folder = PathBuf::from(word);
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let bad = || format!("{word} does not take `{value}`");
        match word.as_str() {
            "--years" => {
                let (first, last) = value.split_once('-').unwrap_or((&value, &value));
                arguments.years = first.parse().map_err(|_| bad())?..=last.parse().map_err(|_| bad())?;
                if !arguments.years.clone().all(|year| YEARS.contains(&year)) {
                    return Err(format!("years go from {} to {}", YEARS.start(), YEARS.end()));
                }
            }
            "--rows" => arguments.rows = value.parse().map_err(|_| bad())?,
            "--format" => arguments.format = Format::parse(&value).ok_or_else(bad)?,
            "--seed" => arguments.seed = value.parse().map_err(|_| bad())?,
            "--threads" => arguments.threads = value.parse().map_err(|_| bad())?,
            _ => return Err(format!("no option {word}")),
        }
    }
    if arguments.folder.as_os_str().is_empty() {
        return Err("no folder given".to_string());
    }
    Ok(arguments)
}

fn run(arguments: &Arguments) -> std::io::Result<()> {
    std::fs::create_dir_all(&arguments.folder)?;
    let network = Network::new();
    let waiting = Mutex::new(arguments.years.clone());
    let work = || -> std::io::Result<Vec<(u32, Facts, u64)>> {
        let mut written = Vec::new();
        while let Some(year) = next_of(&waiting) {
            let order = Order { seed: arguments.seed, year, rows: arguments.rows, format: arguments.format };
            let (facts, stored) = write_file(&network, &arguments.folder, order)?;
            written.push((year, facts, stored));
        }
        Ok(written)
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a writer does not panic")).collect()
    });
    let mut written = parts.into_iter().collect::<std::io::Result<Vec<_>>>()?.concat();
    written.sort_by_key(|(year, ..)| *year);
    report(&written);
    Ok(())
}

fn next_of(years: &Mutex<std::ops::RangeInclusive<u32>>) -> Option<u32> {
    years.lock().expect("no thread panics while it holds the lock").next()
}

/// Facts to check answers against, as CSV.
fn report(written: &[(u32, Facts, u64)]) {
    println!("year,rows,text_bytes,stored_bytes,count(DepDelay),sum(DepDelay),min(DepDelay),max(DepDelay)");
    let line = |name: &str, facts: &Facts, stored: u64| {
        let Facts { rows, bytes, delays, delay_sum, delay_min, delay_max } = facts;
        println!("{name},{rows},{bytes},{stored},{delays},{delay_sum},{delay_min},{delay_max}");
    };
    for (year, facts, stored) in written {
        line(&year.to_string(), facts, *stored);
    }
    let all = written.iter().fold(Facts::NONE, |sum, (_, facts, _)| sum.and(*facts));
    line("all", &all, written.iter().map(|(.., stored)| stored).sum());
}
