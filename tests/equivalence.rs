//! The same answer always: a synchronous baseline with one partition against random threads, partition and batch
//! sizes, on random dirty files in every compression. Seeds are printed; `OUTCROP_TEST_SEED` repeats one.

mod common;

use common::{Random, answers_to, compress, random_csv, shown};
use outcrop::exec::Scheduler;
use outcrop::frame::{DataFrame, Runner, scan_csv};
use outcrop::memory::Budget;
use std::fmt::Write;
use std::path::PathBuf;

/// Questions that touch every sink and every kind of state.
const QUESTIONS: [&str; 50] = [
    "count(*) as n, count(x), sum(i), mean(i), min(i), max(i), var(i), std(i), first(i), last(i)",
    "sum(x), mean(x), min(x), max(x), var(x), std_pop(x), first(x), last(x)",
    "min(t), max(t), first(t), last(t), count(t)",
    "count(*) as n, mean(x), sum(i), first(t), last(x) by k",
    "count(*) as n, sum(x) by t",
    "sum(x * 3 + i) as s, var(x) by i % 7 as m where k is not null",
    "count(*) as n by k, i having n > 1 sort n desc, k limit 7",
    "k, i, x, t where i > 0 sort x desc, i limit 20",
    "t, i sort t, i desc",
    "k, t, x limit 13",
    "i, k where x < 0",
    "*",
    "mean(x > 0), sum(b), min(b), max(d), count(d) by b",
    "min(d), max(d), first(d) by month(d) as month",
    "median(i), quantile(x, 0.9), n_unique(t), mode(k), quantile_disc(d, 0.25), string_agg(k, '-'), n_unique(b), count(*)",
    "median(x), mode(x), n_unique(x), string_agg(t, '|') as all, quantile_disc(t, 0.5), sum(i) by k",
    "n_unique(x) as n, median(i) by t, b having n > 1",
    "mode(t), quantile(x, 0.999) by i where k is not null",
    "approx_n_unique(x), approx_quantile(i, 0.9), approx_n_unique(t) by k",
    "corr(i, x), cov_pop(x, b) as c, regr_slope(x, i), regr_count(i, x) by k",
    "ols(x, i, b, t) by k sort p, term",
    "ols('x ~ k * i - 1', weights => b) by b sort p, term",
    "corr_matrix(x, i, b) by k",
    "k, i, predicted(ols(x, i, b)) as p, residual(ols(x, i)) as r by k where i is not null",
    "skewness(x), kurtosis(i), sem(x), product(i), geometric_mean(x), harmonic_mean(i), bool_or(b), count_if(x > 0), \
     arg_min(t, x), arg_max(x, i), arg_max(d, t) by k",
    "weighted_mean(x, i), weighted_std(i, b), weighted_quantile(x, i, 0.9), weighted_median(i, b), mad(x), iqr(i), \
     entropy(t), entropy(x) by k",
    "top_k(t, 3) by k",
    "approx_top_k(t, 3) by k",
    "range(i) as r, range(x) as s by k",
    "pca(x, i, scale => true) by b",
    "histogram(x, 5) by k",
    "histogram(i, -10, 10, 4) by t",
    "largest(x, 3) as y by t having y > 0",
    "distinct k, b",
    "distinct * where i < 0 sort t desc, x",
    "list(i) as all, list(x), list(d), list(b), count(*) as n by k",
    "list(t), string_agg(t, '')",
    "list(i order by x desc, t), string_agg(k, '-' order by t), first(x order by d), last(t order by d desc nulls first) by b",
    "first(i order by x), last(i order by t), list(d order by i, x desc) as l, median(x), string_agg(k, ',')",
    "sum(distinct i), mean(distinct x), list(distinct t), string_agg(distinct k, '+'), std(distinct x), n_unique(i) by k",
    "k, i, t, j, u join 'other.csv' on k = k where i > 0",
    "count(*) as n, sum(j), first(u), last(i) by b full join 'other.csv' on i = j",
    "t, x, j left join 'other.csv' on i % 50 = j and k = k sort x, j limit 40",
    "k, t, x, i where i > -20 sample 30 seed 5",
    "* sample 20%",
    "count(*) as n, sum(x) by fold(3, 7) as part where random(2) < 0.6 sample 40",
    "k, i, j, u, fold(9) as f join 'other.csv' on k = k where fold(2) = 0 sample 40 seed 1",
    "bootstrap(mean(i), 3, 9) by k",
    "crossprod(1, i, x, b) by k",
    "sum(exp(x / 100) + 3 * sin(i)) as s, max(lgamma(x)), min(log(2, i)) by is_nan(x) as odd",
];

/// Writes a table to join: a third of its rows has one key.
fn write_other(folder: &std::path::Path, random: &mut Random, records: usize) -> String {
    let mut text = String::from("k,j,u\nWN,1,text\n");
    for row in 0..records {
        let key = if random.one_in(3) { "AA" } else { ["WN", "UA", "nobody", "\"NA\"", "", "NA"][random.below(6)] };
        writeln!(text, "{key},{},\"the text of row {row}, of some length\"", random.below(120) as i64 - 60).unwrap();
    }
    let path = folder.join("other.csv");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn write_set(folder: &std::path::Path, random: &mut Random, files: usize, records: usize) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for file in 0..files {
        let text = random_csv(random, records);
        let ending = ["csv", "csv.bz2", "csv.gz", "csv.zst", "csv.xz", "csv.lz4"][random.below(6)];
        let path = folder.join(format!("{file}.{ending}"));
        std::fs::write(&path, compress(&text, ending, random)).unwrap();
        paths.push(path);
    }
    paths
}

#[test]
fn answers_do_not_depend_on_threads_partitions_batches_memory_or_company() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    let mut spilled = 0;
    for round in 0..4 {
        let mut random = Random::new(seed.wrapping_add(round));
        let folder = tempfile::tempdir().unwrap();
        let files = 1 + random.below(3);
        let records = if round == 0 { 1500 } else { [3, 40, 400, 1500][random.below(4)] };
        let paths = write_set(folder.path(), &mut random, files, records);
        let other_records = 1 + random.below(records);
        let other = write_other(folder.path(), &mut random, other_records);
        let questions = QUESTIONS.map(|question| question.replace("other.csv", &other));
        let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
        let frame = scan_csv(paths).unwrap();
        let baseline = Runner::new().scheduler(Scheduler::Synchronous).piece_bytes(1 << 28).batch_bytes(1 << 28);
        let expected = answers_to(&questions, &frame, &baseline);
        let expected_text: Vec<String> = expected.value.iter().map(shown).collect();
        for _ in 0..3 {
            let (threads, piece, batch) = (1 + random.below(5), 1 + random.below(5000), 1 + random.below(5000));
            let runner = Runner::new().threads(threads).piece_bytes(piece).batch_bytes(batch);
            let found = answers_to(&questions, &frame, &runner);
            for (question, (expected, found)) in questions.iter().zip(expected_text.iter().zip(&found.value)) {
                let how = format!("seed {seed} round {round} threads {threads} piece {piece} batch {batch}");
                assert_eq!(*expected, shown(found), "{question}\n{how}");
            }
            assert_eq!(expected.statistics.records_read, found.statistics.records_read);
            assert_eq!(expected.statistics.rows_kept, found.statistics.rows_kept);
            let least = found.statistics.least_memory_bytes as usize;
            let scarce = Budget::new(least + (300 << 10) + random.below(1200 << 10));
            let found = answers_to(&questions, &frame, &runner.budget(scarce.clone()));
            for (question, (expected, found)) in questions.iter().zip(expected_text.iter().zip(&found.value)) {
                let how = format!("seed {seed} round {round} threads {threads} piece {piece} batch {batch}");
                assert_eq!(*expected, shown(found), "{question}\n{how}, with {} bytes", scarce.limit_bytes());
            }
            assert!(scarce.peak_bytes() <= scarce.limit_bytes());
            spilled += found.statistics.bytes_spilled;
            drop(found);
            assert_eq!(scarce.held_bytes(), 0, "all that was reserved is given back");
        }
        for (question, expected) in questions.iter().zip(&expected_text) {
            let alone: DataFrame = Runner::new().piece_bytes(700).compute(frame.ask(question).unwrap()).unwrap();
            assert_eq!(*expected, shown(&alone), "{question} alone, seed {seed} round {round}");
        }
    }
    assert!(spilled > 0, "scarce memory made nothing go to disk");
}

#[test]
fn streamed_batches_are_the_collected_rows_in_order() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let paths = write_set(folder.path(), &mut random, 3, 2000);
    let frame = scan_csv(paths).unwrap().ask("k, i, t where i > 0").unwrap();
    let collected = frame.collect().unwrap();
    let options = Runner::new().threads(3).piece_bytes(999).batch_bytes(300).options().clone();
    let stream = frame.iter_batches_with(options).unwrap();
    let batches = stream.collect::<outcrop::error::Result<Vec<_>>>().unwrap();
    let streamed = DataFrame::new(collected.schema().clone(), batches);
    assert_eq!(shown(&collected), shown(&streamed), "seed {seed}");
}
