//! Logistic and Poisson regression: beside figures that R prints, and beside R's algorithm in plain doubles.

mod common;

use common::{Random, shown};
use outcrop::frame::{DataFrame, LazyFrame, Run, Runner, Value};
use outcrop::memory::ByteSize;
use outcrop::{compute, scan_csv};
use std::fmt::Write;
use tempfile::TempDir;

/// Weights (1,000 lb) and transmissions of `mtcars`, R's data set.
const CARS: &str = "wt,am\n2.62,1\n2.875,1\n2.32,1\n3.215,0\n3.44,0\n3.46,0\n3.57,0\n3.19,0\n3.15,0\n3.44,0\n3.44,0\n4.07,0\n\
3.73,0\n3.78,0\n5.25,0\n5.424,0\n5.345,0\n2.2,1\n1.615,1\n1.835,1\n2.465,0\n3.52,0\n3.435,0\n3.84,0\n3.845,0\n1.935,1\n2.14,1\n\
1.513,1\n3.17,1\n2.77,1\n3.57,1\n2.78,1\n";

/// Dobson's randomised controlled trial, the example of R's `?glm`.
const TRIAL: &str =
    "counts,outcome,treatment\n18,1,1\n17,2,1\n15,3,1\n20,1,2\n10,2,2\n20,3,2\n25,1,3\n13,2,3\n12,3,3\n";

struct Table {
    folder: TempDir,
    frame: LazyFrame,
}

fn table(text: &str) -> Table {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("table.csv");
    std::fs::write(&path, text).unwrap();
    Table { frame: scan_csv(path).unwrap(), folder }
}

impl Table {
    fn ask(&self, question: &str) -> DataFrame {
        compute(self.frame.ask(question).unwrap()).unwrap()
    }

    fn error(&self, question: &str) -> String {
        self.frame.ask(question).and_then(|frame| frame.collect()).unwrap_err().to_string()
    }
}

fn number(frame: &DataFrame, row: usize, column: &str) -> f64 {
    match frame.value(row, column).unwrap() {
        Value::Float64(found) => found,
        Value::Int64(found) => found as f64,
        Value::Null => f64::NAN,
        other => panic!("{column} is {other:?}"),
    }
}

fn column(frame: &DataFrame, name: &str) -> Vec<f64> {
    (0..frame.rows()).map(|row| number(frame, row, name)).collect()
}

/// The numbers as R prints them.
fn rounded(found: &[f64], places: usize) -> Vec<String> {
    found.iter().map(|value| format!("{value:.places$}")).collect()
}

#[test]
fn a_logistic_regression_is_that_of_r() {
    let cars = table(CARS);
    let terms = cars.ask("logistic(am, wt)");
    assert_eq!(terms.value(0, "term").unwrap(), Value::Utf8("(Intercept)".into()));
    assert_eq!(rounded(&column(&terms, "estimate"), 3), ["12.040", "-4.024"]);
    assert_eq!(rounded(&column(&terms, "std_error"), 3), ["4.510", "1.436"]);
    assert_eq!(rounded(&column(&terms, "z"), 3), ["2.670", "-2.801"]);
    assert_eq!(rounded(&column(&terms, "p"), 5), ["0.00759", "0.00509"]);
    let whole = cars.ask(
        "logit('am ~ wt').deviance as a, logistic(am, wt).null_deviance as b, logistic(am, wt).aic as c, \
         logistic(am, wt).df_residual as d, logistic(am, wt).df_null as e, logistic(am, wt).iterations as f, count(*) as n",
    );
    let found: Vec<f64> = ["a", "b", "c"].iter().map(|name| number(&whole, 0, name)).collect();
    assert_eq!(rounded(&found, 3), ["19.176", "43.230", "23.176"]);
    let found: Vec<f64> = ["d", "e", "f", "n"].iter().map(|name| number(&whole, 0, name)).collect();
    assert_eq!(found, [30.0, 31.0, 6.0, 32.0]);
    let flags = cars.ask("logistic(am = 1, wt).converged as c, logistic(am = 1, wt).separated as s");
    assert_eq!(
        (flags.value(0, "c").unwrap(), flags.value(0, "s").unwrap()),
        (Value::Boolean(true), Value::Boolean(false))
    );
}

#[test]
fn a_poisson_regression_with_factors_is_that_of_r() {
    let trial = table(TRIAL);
    let terms = trial.ask("poisson('counts ~ factor(outcome) + factor(treatment)')");
    assert_eq!(rounded(&column(&terms, "estimate")[..3], 4), ["3.0445", "-0.4543", "-0.2930"]);
    assert!(column(&terms, "estimate")[3..].iter().all(|estimate| estimate.abs() < 1e-9));
    assert_eq!(rounded(&column(&terms, "std_error"), 4), ["0.1709", "0.2022", "0.1927", "0.2000", "0.2000"]);
    assert_eq!(rounded(&column(&terms, "z")[..3], 3), ["17.815", "-2.247", "-1.520"]);
    let fit = "poisson('counts ~ factor(outcome) + factor(treatment)')";
    let whole =
        trial.ask(&format!("{fit}.deviance as a, {fit}.null_deviance as b, {fit}.aic as c, {fit}.iterations as d"));
    let found: Vec<f64> = ["a", "b"].iter().map(|name| number(&whole, 0, name)).collect();
    assert_eq!(rounded(&found, 4), ["5.1291", "10.5814"]);
    assert_eq!(rounded(&[number(&whole, 0, "c"), number(&whole, 0, "d")], 2), ["56.76", "4.00"]);
}

/// Terms, response and weight.
type Row = (Vec<f64>, f64, f64);

/// R's `glm.fit` in plain doubles: estimates, standard errors, deviance and iterations.
fn plain(rows: &[Row], logistic: bool) -> (Vec<f64>, Vec<f64>, f64, usize) {
    let width = rows[0].0.len();
    let mean = |eta: f64| if logistic { 1.0 / (1.0 + (-eta).exp()) } else { eta.exp() };
    let lacking = |y: f64, mu: f64| match (logistic, y == 0.0) {
        (true, true) => -2.0 * (1.0 - mu).ln(),
        (true, false) => -2.0 * mu.ln(),
        (false, true) => 2.0 * mu,
        (false, false) => 2.0 * (y * (y / mu).ln() - y + mu),
    };
    let mut eta: Vec<f64> = rows
        .iter()
        .map(|(_, y, w)| {
            let mu = (w * y + 0.5) / (w + 1.0);
            if logistic { (mu / (1.0 - mu)).ln() } else { (y + 0.1).ln() }
        })
        .collect();
    let deviance = |eta: &[f64]| rows.iter().zip(eta).map(|((_, y, w), eta)| w * lacking(*y, mean(*eta))).sum::<f64>();
    let mut before = deviance(&eta);
    for iteration in 1.. {
        let mut a = vec![vec![0.0; width + 1 + width]; width];
        for ((x, y, w), eta) in rows.iter().zip(&eta) {
            let mu = mean(*eta);
            let slope = if logistic { mu * (1.0 - mu) } else { mu };
            let z = eta + (y - mu) / slope;
            for i in 0..width {
                for j in 0..width {
                    a[i][j] += w * slope * x[i] * x[j];
                }
                a[i][width] += w * slope * x[i] * z;
            }
        }
        (0..width).for_each(|i| a[i][width + 1 + i] = 1.0);
        for i in 0..width {
            let pivot = a[i][i];
            a[i].iter_mut().for_each(|cell| *cell /= pivot);
            let row = a[i].clone();
            for (j, other) in a.iter_mut().enumerate().filter(|(j, _)| *j != i) {
                let (factor, _) = (other[i], j);
                other.iter_mut().zip(&row).for_each(|(cell, own)| *cell -= factor * own);
            }
        }
        let estimates: Vec<f64> = a.iter().map(|row| row[width]).collect();
        eta = rows.iter().map(|(x, ..)| x.iter().zip(&estimates).map(|(x, b)| x * b).sum()).collect();
        let now = deviance(&eta);
        if (now - before).abs() / (now.abs() + 0.1) < 1e-8 {
            let errors = (0..width).map(|i| a[i][width + 1 + i].sqrt()).collect();
            return (estimates, errors, now, iteration);
        }
        before = now;
    }
    unreachable!()
}

fn is_near(found: &[f64], expected: &[f64]) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-8 * b.abs().max(1e-3);
    found.len() == expected.len() && found.iter().zip(expected).all(near)
}

/// Three groups, one of them with a missing key, with a factor, weights, and values that are missing or not finite.
fn mixed() -> (String, Vec<Vec<Row>>) {
    let mut random = Random::new(5);
    let mut text = "k,y,c,x,f,w\n".to_owned();
    let mut rows = vec![Vec::new(); 3];
    for _ in 0..3000 {
        let (group, level) = (random.below(3), random.below(3));
        let x = random.below(1000) as f64 / 250.0 - 2.0;
        let w = random.below(4) as f64 / 2.0;
        let chance = 1.0 / (1.0 + (-(0.3 * group as f64 - 0.5 + x * 0.8 + 0.4 * level as f64)).exp());
        let y = f64::from(u8::from((random.below(10_000) as f64) < chance * 10_000.0));
        let c = (random.below(5) + level * (1 + group)) as f64;
        let (key, f) = (["a", "b", "NA"][group], ["p", "q", "r"][level]);
        let bad = random.below(20);
        let x_text = match bad {
            0 => "NA".to_owned(),
            1 => "inf".to_owned(),
            _ => format!("{x:?}"),
        };
        let _ = writeln!(text, "{key},{y},{c},{x_text},{f},{w}");
        if bad > 1 && w > 0.0 {
            let is = |own: usize| f64::from(u8::from(level == own));
            rows[group].push((vec![1.0, x, is(1), is(2), y, c], 0.0, w));
        }
    }
    (text, rows)
}

#[test]
fn fits_of_groups_with_factors_and_weights_are_those_of_the_plain_algorithm() {
    let (text, rows) = mixed();
    let mixed = table(&text);
    for (name, response, at) in [("logistic", "y", 4), ("poisson", "c", 5)] {
        let fit = format!("{name}({response}, x, f, weights => w)");
        let terms = mixed.ask(&format!("{fit} by k"));
        let whole =
            mixed.ask(&format!("{fit}.deviance as d, {fit}.iterations as i, {fit}.n as n, {fit}.left_out as l by k"));
        let (estimates, errors) = (column(&terms, "estimate"), column(&terms, "std_error"));
        for (group, rows) in rows.iter().enumerate() {
            let own: Vec<_> = rows.iter().map(|(x, _, w)| (x[..4].to_vec(), x[at], *w)).collect();
            let (expected, expected_errors, deviance, iterations) = plain(&own, name == "logistic");
            assert!(is_near(&estimates[group * 4..][..4], &expected), "{name} {group}: {estimates:?} {expected:?}");
            assert!(is_near(&errors[group * 4..][..4], &expected_errors), "{name} {group}: {errors:?}");
            assert!(is_near(&[number(&whole, group, "d")], &[deviance]), "{name} {group}");
            assert_eq!(number(&whole, group, "i"), iterations as f64, "{name} {group}");
            assert_eq!(number(&whole, group, "n"), rows.len() as f64, "{name} {group}");
            assert!(number(&whole, group, "l") > 50.0);
        }
    }
}

#[test]
fn the_bits_are_the_same_for_any_threads_pieces_and_memory() {
    let (text, _) = mixed();
    let mixed = table(&text);
    let questions = [
        "logistic(y, x, f, weights => w) by k",
        "count(*) as n, poisson('c ~ x * f').aic as aic by f, k",
        "sum(x) by f",
    ];
    let frames: Vec<LazyFrame> = questions.iter().map(|question| mixed.frame.ask(question).unwrap()).collect();
    let run = |runner: Runner| {
        let run: Run<Vec<DataFrame>> = runner.run(frames.clone()).unwrap();
        (run.value.iter().map(shown).collect::<Vec<_>>(), run.statistics)
    };
    let (expected, statistics) = run(Runner::new().threads(1));
    // One more than the iterations of the fit that needs most.
    assert_eq!(statistics.passes, 6);
    assert_eq!(statistics.rows_kept, [3000, 3000, 3000]);
    for (threads, piece) in [(2, 4096), (3, 700), (2, 1 << 20)] {
        assert_eq!(run(Runner::new().threads(threads).piece_bytes(piece)).0, expected, "{threads} {piece}");
    }
    let least =
        Runner::new().threads(1).memory(ByteSize(1 << 20)).run::<_, Vec<DataFrame>>(frames.clone()).unwrap_err();
    assert!(least.to_string().contains("memory"), "{least}");
    let scarce = Runner::new().threads(2).memory(ByteSize(statistics.least_memory_bytes + (1 << 20)));
    assert_eq!(run(scarce).0, expected);
}

#[test]
fn predictions_are_chances_and_means() {
    let cars = table(CARS);
    let rows = cars.ask("wt, am, predicted(logistic(am, wt)) as p, residual(logistic(am = 1, wt)) as r limit 2");
    for row in 0..2 {
        let (wt, p) = (number(&rows, row, "wt"), number(&rows, row, "p"));
        assert!((p - 1.0 / (1.0 + (4.024 * wt - 12.04).exp())).abs() < 1e-3, "{p}");
        assert!((number(&rows, row, "r") - (number(&rows, row, "am") - p)).abs() < 1e-12);
    }
    let trial = table(TRIAL);
    let rows =
        trial.ask("counts, predicted(poisson('counts ~ factor(outcome)')) as p by treatment where outcome > 0 limit 3");
    // One row of each outcome in a group of treatment: fitted as it is.
    for row in 0..3 {
        assert!((number(&rows, row, "p") - number(&rows, row, "counts")).abs() < 1e-6);
    }
}

#[test]
fn what_cannot_be_fitted_is_told() {
    // x > 2 tells all.
    let apart = table("k,x,y,z\na,1,0,1\na,2,0,0\na,3,1,1\na,4,1,0\nb,1,0,0\nb,2,1,1\nb,3,0,0\nb,4,1,1\nc,NA,1,1\n");
    let frame =
        apart.frame.ask("logistic(y, x).separated as s, logistic(y, x).n as n, logistic(y, x).deviance as d by k");
    let run: Run<DataFrame> = Runner::new().run(frame.unwrap()).unwrap();
    let flags: Vec<Value> = (0..3).map(|row| run.value.value(row, "s").unwrap()).collect();
    assert_eq!(flags, [Value::Boolean(true), Value::Boolean(false), Value::Null]);
    assert_eq!(column(&run.value, "n"), [4.0, 4.0, 0.0]);
    assert!(run.statistics.passes <= 27);
    let told: Vec<String> = run.warnings.iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].contains("without end") && told[0].contains("in 1 of 3 groups"), "{told:?}");
    // A term that depends on another, and no rows at all.
    let terms = apart.ask("logistic(y, x, 2 * x, z) where k = 'b'");
    assert!(terms.value(2, "estimate").unwrap() == Value::Null && terms.rows() == 4);
    assert_eq!(apart.ask("logistic(y, x) where k = 'd'").rows(), 0);
    assert_eq!(apart.ask("logistic(y, x) by k where k = 'd'").rows(), 0);
    // Counts in one group only: the mean of the other goes to 0.
    let zeros = table("f,c\na,0\na,0\nb,3\nb,2\n");
    assert_eq!(zeros.ask("poisson(c, f).separated as s").value(0, "s").unwrap(), Value::Boolean(true));
    let error = apart.error("logistic(x, y)");
    assert!(error.contains("`logistic` takes a response of 0 and 1"), "{error}");
    assert!(table("y,x\n-1,2\n").error("poisson(y, x)").contains("counts, 0 or more"));
    assert!(apart.error("logistic(y, x).r_squared").contains("a fit has no `r_squared`"));
}

#[test]
fn a_type_that_widens_late_is_read_again_once() {
    let mut text = "y,x\n".to_owned();
    for row in 0..40_000 {
        // No sample of the file shows the one that is no whole number.
        let half = if row == 9_000 { ".5" } else { "" };
        let _ = writeln!(text, "{},{}{half}", row % 7 % 2, row % 13);
    }
    let wide = table(&text);
    let run: Run<DataFrame> = Runner::new().piece_bytes(8192).run(wide.frame.ask("logistic(y, x)").unwrap()).unwrap();
    assert_eq!(run.value.rows(), 2);
    assert_eq!((run.statistics.passes_repeated, run.warnings.len()), (1, 1));
    drop(wide.folder);
}
