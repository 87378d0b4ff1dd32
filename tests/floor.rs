//! The smallest memory limit is told at the first refusal, before anything is read, and it is enough.
#![cfg(target_os = "linux")]

mod common;

use common::{Random, compress};
use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ROWS: usize = 50_000;
const BEYOND: u64 = 64 << 20;

/// What is asked of which file; `{R}` is a table to join, `{T}` the place of an answer.
const COMMANDS: &[(&str, &str)] = &[
    ("csv", "ask {} -q 'count(*) as n, sum(i), mean(x), min(t), max(t), std(x)'"),
    ("csv", "ask {} -q 'count(*) as n, mean(x), min(t) by t'"),
    ("csv.gz", "ask {} -q 'sum(x) as s, count(t) by i % 20000 as a, i % 7 as b'"),
    ("csv.bz2", "ask {} -q 'count(*) as n by t having n > 1 sort n desc, t'"),
    ("csv.zst", "ask {} -q 'median(x), quantile(x, 0.9), n_unique(t), mode(t) by i % 3000 as k'"),
    ("csv.xz", "ask {} -q 'median(i), n_unique(t), mode(x)'"),
    ("csv.lz4", "ask {} -q 'string_agg(t, \";\") by i % 30000 as k'"),
    ("parquet", "ask {} -q 'largest(x, 2) as x by i % 3000 as k' -q 'list(i) by t'"),
    ("arrow", "ask {} -q 'approx_n_unique(t), approx_quantile(x, 0.9) by i % 2000 as k'"),
    ("ndjson", "ask {} -q 'ols(x, i).r_squared, corr(x, i) by i % 500 as k'"),
    ("parquet", "ask {} -q 'ols(x, i, k, i * i)'"),
    ("csv", "ask {} -q 'cov_matrix(*)'"),
    ("csv.gz", "ask {} -q 'weighted_mean(x, k), corr(x, i), regr_slope(i, x)'"),
    ("csv", "ask {} -q 'bootstrap(mean(x), 100) by i % 3000 as k'"),
    ("csv", "ask {} -q 'distinct t'"),
    ("csv", "ask {} -q 'i, t, x sort x desc, i'"),
    ("parquet", "ask {} -q '* sort t, x desc limit 20000'"),
    ("csv", "ask {} -q 'i, t where x > 400'"),
    (
        "csv",
        "sql --table t={} 'select i, row_number() over (partition by k order by x, i) as n, sum(x) over (partition by k) from t'",
    ),
    (
        "csv.gz",
        "sql --table t={} 'select i, lag(t, 3) over w, max(x) over (w rows between 900 preceding and 5 following), rank() over (order by t) from t window w as (order by x)'",
    ),
    (
        "parquet",
        "sql --table t={} --output {T}.parquet 'select t, sum(i) as s, rank() over (order by sum(i) desc) from t group by t'",
    ),
    ("csv", "sql --table t={} 'select * from t qualify rank() over (partition by k order by x, i) <= 3000'"),
    ("csv", "ask {} -q 'i, x, i_right, x_right, t join {R} on t = t'"),
    ("csv", "ask {} -q 'i, t, n_right left join {R} on i = n_right'"),
    ("parquet", "ask {} -q 'count(*) as n, sum(x_right) full join {R} on i = i'"),
    ("csv.bz2", "ask {} -q 'i, x right join {R} on i = n_right sort x, i'"),
    ("csv", "ask {} -q 'i, x semi join {R} on i + 1000 = i and t = t'"),
    ("csv", "ask {} -q 'i, x anti join {R} on i = n_right'"),
    ("csv", "ask {} -q 'count(*) as n, sum(i_right) by x cross join {R} where i < 5'"),
    ("csv", "ask {} -q 'count(*) as n by t' -q 'i, x sort x, i' -q 'median(x) by i % 100 as k'"),
    ("csv", "ask {} --output {T}.parquet -q 'sum(x) as s, count(*) as n by t'"),
    ("csv", "ask {} --output {T}.csv.gz -q '* sort x, t, i'"),
    ("parquet", "ask {} --output {T}.arrow -q 'i, t, x, n_right join {R} on t = t'"),
    ("arrow", "ask {} --output {T}.ndjson -q 'i, t where x > 100'"),
    ("csv", "convert {} --to {T}.parquet"),
    ("csv.bz2", "convert {} --to {T}.parquet --sort-by 'x desc, i'"),
    ("csv", "convert {} --to {T} --format parquet --partition-by k"),
    ("parquet", "convert {} --to {T} --format csv --partition-by k --sort-by t"),
    ("csv.bz2", "convert {} --to {T} --format arrow --partition-by k"),
    ("csv.gz", "convert {} --to {T}.arrow"),
    ("csv.zst", "convert {} --to {T}.csv.zst"),
    ("parquet", "convert {} --to {T}.ndjson.gz"),
    ("-csv", "ask - -q 'count(*) as n, sum(i) by t sort n desc, t'"),
    ("-csv.gz", "convert - --to {T}.parquet"),
];

fn text_of(rows: usize) -> String {
    let mut text = String::from("i,t,x,k\n");
    for row in 0..rows {
        let scattered = row.wrapping_mul(2_654_435_761) % 1_000_003;
        let (t, x, k) = (scattered % 40_000, scattered % 1000, scattered % 13);
        writeln!(text, "{row},a text of some length {t},{x}.25,{k}").unwrap();
    }
    text
}

/// One run: where its answer goes, and what it said.
struct Ran {
    output: Output,
    answer: Vec<u8>,
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        let text = text_of(ROWS);
        let mut random = Random::new(1);
        for ending in ["csv", "csv.bz2", "csv.gz", "csv.zst", "csv.xz", "csv.lz4"] {
            std::fs::write(bench.file(ending), compress(text.as_bytes(), ending, &mut random)).unwrap();
        }
        for ending in ["parquet", "arrow", "ndjson"] {
            let arguments = ["convert", &bench.name("csv"), "--to", &bench.name(ending)].map(str::to_owned);
            assert!(program(&arguments, None).output().unwrap().status.success());
        }
        let mut right = String::from("i,t,x,n_right\n");
        for line in text.lines().skip(1).step_by(3) {
            let n = line.split(',').next().unwrap().parse::<usize>().unwrap();
            writeln!(right, "{},{}", line.rsplit_once(',').unwrap().0, n / 2).unwrap();
        }
        std::fs::write(bench.file("right.csv"), right).unwrap();
        bench
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("in.{ending}"))
    }

    fn name(&self, ending: &str) -> String {
        self.file(ending).display().to_string()
    }

    fn run(&self, (input, words): (&str, &str), memory: &str, threads: &str) -> Ran {
        let (stdin, ending) = match input.strip_prefix('-') {
            Some(ending) => (Some(self.file(ending)), ending),
            None => (None, input),
        };
        let places = self.folder.path().join("out");
        std::fs::remove_dir_all(&places).ok();
        std::fs::create_dir(&places).unwrap();
        let target = places.join("answer").display().to_string();
        let mut arguments = split(words);
        for word in &mut arguments {
            *word = word.replace("{T}", &target).replace("{R}", &format!("'{}'", self.name("right.csv")));
            *word = word.replace("{}", &self.name(ending));
        }
        if arguments[0] == "ask" && !words.contains("--output") {
            arguments.extend(["--format", "ndjson"].map(str::to_owned));
        }
        arguments.extend(["--threads", threads, "--stats=json", "--memory", memory].map(str::to_owned));
        let output = program(&arguments, stdin.as_deref()).output().unwrap();
        let mut answer = output.stdout.clone();
        contents(&places, &places, &mut answer);
        Ran { output, answer }
    }
}

fn program(arguments: &[String], stdin: Option<&Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outcrop"));
    command.args(arguments).env_remove("OUTCROP_MEMORY");
    command.stdin(stdin.map_or_else(Stdio::null, |path| File::open(path).unwrap().into()));
    command
}

/// Words as a shell has them: those in single quotes are one.
fn split(words: &str) -> Vec<String> {
    let quoted = words.split('\'').enumerate();
    quoted
        .flat_map(|(at, part)| match at % 2 {
            1 => vec![part.to_owned()],
            _ => part.split_whitespace().map(str::to_owned).collect(),
        })
        .collect()
}

/// Names and bytes of all files.
fn contents(folder: &Path, root: &Path, all: &mut Vec<u8>) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            contents(&path, root, all);
        } else {
            all.extend_from_slice(path.strip_prefix(root).unwrap().display().to_string().as_bytes());
            all.extend(std::fs::read(&path).unwrap());
        }
    }
}

impl Ran {
    fn told(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    fn figure(&self, name: &str) -> u64 {
        let told = self.told();
        let line = told.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{told}"));
        serde_json::from_str::<serde_json::Value>(line).unwrap()[name].as_u64().unwrap()
    }

    /// The limit that a refusal asks for, if it is one that comes before anything is read.
    fn needed(&self) -> Option<String> {
        let told = self.told();
        assert!(!self.output.status.success() && self.answer.is_empty(), "{told}");
        assert!(!told.contains("panicked") && !told.contains("bug"), "{told}");
        let (_, needed) = told.split_once("is too little: at least ")?;
        Some(needed.split_once(" are needed").unwrap().0.replace(' ', ""))
    }
}

fn bytes_of(size: &str) -> u64 {
    outcrop::memory::ByteSize::parse(size).unwrap().0
}

/// The commands of one part of three, so that there are tests to run side by side.
fn of_part(part: usize) -> impl Iterator<Item = (usize, (&'static str, &'static str))> {
    COMMANDS.iter().copied().enumerate().filter(move |(at, _)| at % 3 == part)
}

fn the_limit_that_is_told_first_is_enough(part: usize) {
    let bench = Bench::new();
    let mut failed = String::new();
    for (at, command) in of_part(part) {
        let threads = ["1", "2", "4"][at / 3 % 3];
        let refused = bench.run(command, "64KiB", threads);
        let needed = refused.needed().unwrap_or_else(|| panic!("{command:?}: {}", refused.told()));
        let scarce = bench.run(command, &needed, threads);
        if !scarce.output.status.success() {
            writeln!(failed, "{command:?} with {needed}: {}", scarce.told()).unwrap();
            continue;
        }
        let limit = bytes_of(&needed);
        let ample = bench.run(command, "4GiB", "2");
        assert!(ample.output.status.success(), "{command:?}: {}", ample.told());
        let peak = scarce.figure("peak_resident_bytes");
        println!(
            "{command:?}: {needed}, peak {} KiB, ample {} KiB",
            peak >> 10,
            ample.figure("peak_resident_bytes") >> 10
        );
        if scarce.answer != ample.answer {
            writeln!(failed, "{command:?} with {needed}: another answer").unwrap();
        }
        if peak > limit + limit / 10 + BEYOND || scarce.figure("peak_held_bytes") > limit {
            writeln!(failed, "{command:?} with {needed}: {peak} bytes").unwrap();
        }
        for run in [&scarce, &ample] {
            if run.figure("least_memory_bytes") != limit {
                writeln!(failed, "{command:?} with {needed}: {}", run.figure("least_memory_bytes")).unwrap();
            }
        }
        for (share, of) in [(1, 4), (3, 5), (99, 100)] {
            let less = (limit * share / of).to_string();
            let again = bench.run(command, &less, threads).needed();
            if again.as_ref() != Some(&needed) {
                writeln!(failed, "{command:?} with {less}: {again:?}, not {needed}").unwrap();
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn the_limit_that_is_told_first_is_enough_1() {
    the_limit_that_is_told_first_is_enough(0);
}

#[test]
fn the_limit_that_is_told_first_is_enough_2() {
    the_limit_that_is_told_first_is_enough(1);
}

#[test]
fn the_limit_that_is_told_first_is_enough_3() {
    the_limit_that_is_told_first_is_enough(2);
}

/// Nobody knows beforehand of a record, or of texts, much longer than others; whoever is refused then is told what is enough.
#[test]
fn a_limit_that_is_told_late_is_enough_too() {
    let folder = tempfile::tempdir().unwrap();
    let run = |file: &Path, words: &str, memory: &str| {
        let target = folder.path().join("answer.parquet").display().to_string();
        let mut arguments = split(&words.replace("{}", &file.display().to_string()).replace("{T}", &target));
        arguments.extend(["--threads", "2", "--memory", memory].map(str::to_owned));
        program(&arguments, None).output().unwrap()
    };
    let long = folder.path().join("long.csv");
    let mut text = String::from("i,t\n");
    (0..30_000)
        .for_each(|row| writeln!(text, "{row},{}", "x".repeat(if row == 25_000 { 5 << 20 } else { 20 })).unwrap());
    std::fs::write(&long, text).unwrap();
    let wide = folder.path().join("wide.csv");
    let (mut text, mut random) = (String::from("i,t\n"), Random::new(3));
    (0..60_000).for_each(|row| writeln!(text, "{row},{:x}{}", random.next(), "wide ".repeat(60)).unwrap());
    std::fs::write(&wide, text).unwrap();
    for (file, words) in [
        (&long, "ask {} -q 'count(*) as n, max(length(t))'"),
        (&long, "ask {} -q 'i, t sort i desc'"),
        (&wide, "convert {} --to {T}"),
    ] {
        let refused = run(file, words, "64KiB");
        let told = String::from_utf8(refused.stderr).unwrap();
        let first = told.split("at least ").nth(1).unwrap().split(" are needed").next().unwrap().replace(' ', "");
        let refused = run(file, words, &first);
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{words} with {first}");
        let (late, _) = told.split_once(" would be enough for this").unwrap_or_else(|| panic!("{words}: {told}"));
        let late = late.rsplit("; ").next().unwrap().replace(' ', "");
        let ran = run(file, words, &late);
        assert!(
            ran.status.success(),
            "{words} with {first}, then {late}: {told} {}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}
