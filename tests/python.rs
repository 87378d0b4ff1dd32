//! Statistics beside NumPy, SciPy and statsmodels, where a Python has them: `OUTCROP_TEST_PYTHON`, or the one that
//! `benches/peers/setup` makes. Without one the test says so and proves nothing; what R and NIST print is in `glm.rs` and `nist.rs`.

mod common;

use common::Random;
use outcrop::frame::{DataFrame, Value};
use outcrop::{compute, scan_csv};
use serde_json::Value as Json;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The script iterates further than R and we do: the deviance is near its end, standard errors and tails less.
const AS_FAR_AS_R: f64 = 1e-3;

/// Names as the script has them, questions, and how near numbers must be (relative; beside those near 0 absolute).
const CASES: [(&str, &str, f64); 14] = [
    ("linear regressions", "ols(y, x, z, f) by k", 1e-9),
    (
        "weighted linear regressions",
        "ols(y, x, z, f, weights => w).r_squared as a, ols(y, x, z, f, weights => w).adj_r_squared as b, \
         ols(y, x, z, f, weights => w).f_statistic as c, ols(y, x, z, f, weights => w).f_p as d, \
         ols(y, x, z, f, weights => w).residual_variance as e, ols(y, x, z, f, weights => w).df_residual as g by k",
        1e-9,
    ),
    ("logistic regressions", "logistic(hit, x, z, f, weights => w) by k", AS_FAR_AS_R),
    ("Poisson regressions", "poisson(count, x, z, f, weights => w) by k", AS_FAR_AS_R),
    (
        "a logistic regression",
        "logistic(hit, x, z, f).deviance as a, logistic(hit, x, z, f).null_deviance as b, logistic(hit, x, z, f).aic as c, \
         logistic(hit, x, z, f).log_likelihood as d, logistic(hit, x, z, f).df_residual as e",
        1e-9,
    ),
    (
        "a Poisson regression",
        "poisson(count, x, z, f).deviance as a, poisson(count, x, z, f).null_deviance as b, poisson(count, x, z, f).aic as c, \
         poisson(count, x, z, f).log_likelihood as d, poisson(count, x, z, f).df_residual as e",
        1e-9,
    ),
    (
        "moments",
        "mean(x), var(x), std_pop(x), sem(x), skewness_pop(x), kurtosis_pop(x), geometric_mean(w + 1), harmonic_mean(w + 1) \
         by k where x is not null",
        1e-10,
    ),
    ("quantiles", "median(x), quantile(x, 0.05), quantile(x, 0.9), quantile_disc(x, 0.3), iqr(x), mad(x) by k", 1e-12),
    ("pairs", "cov(x, y), corr(x, y), regr_slope(y, x), regr_intercept(y, x), weighted_mean(x, w) by k", 1e-10),
    ("covariances", "cov_matrix(x, y, z) where x is not null", 1e-10),
    ("correlations", "corr_matrix(x, y, z) where x is not null", 1e-10),
    ("sums of products", "crossprod(x, y, z) where x is not null", 1e-12),
    ("principal components", "pca(x, y, z, scale => true) where x is not null", 1e-9),
    ("a histogram", "histogram(x, -4, 4, 7)", 0.0),
];

/// Columns of an answer that say which row it is, or that the script leaves out.
const NAMES: [&str; 9] = ["k", "term", "component", "lower", "upper", "std_dev", "proportion", "cumulative", "value"];

fn python() -> Option<PathBuf> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/venv/bin/python");
    let python = std::env::var_os("OUTCROP_TEST_PYTHON").map_or(made, PathBuf::from);
    let probe = Command::new(&python).args(["-c", "import numpy, scipy, statsmodels"]).output();
    probe.is_ok_and(|probe| probe.status.success()).then_some(python)
}

/// Three groups, a factor of three levels, weights, a response of 0 and 1, a count; a twentieth of x is missing.
fn table(random: &mut Random) -> String {
    let mut text = "k,y,x,z,w,hit,count,f\n".to_owned();
    for _ in 0..1500 {
        let (group, level) = (random.below(3), random.below(3));
        let unit = |random: &mut Random| random.below(1 << 20) as f64 / f64::from(1 << 20);
        let (x, z, noise) = (unit(random) * 6.0 - 3.0, unit(random) - 0.5, unit(random) - 0.5);
        let y = 2.0 + 0.5 * x - z * (1.0 + group as f64) + noise + level as f64 / 3.0;
        let chance = 1.0 / (1.0 + (0.3 - 0.7 * x - 0.5 * level as f64).exp());
        let hit = u8::from(unit(random) < chance);
        let count = (random.below(4) as f64 * (0.2 * x + z).exp()).round();
        let w = 1.0 + random.below(4) as f64 / 2.0;
        let x = if random.one_in(20) { "NA".to_owned() } else { format!("{x:?}") };
        let (group, level) = (["a", "b", "c"][group], ["p", "q", "r"][level]);
        let _ = writeln!(text, "{group},{y:?},{x},{z:?},{w:?},{hit},{count},{level}");
    }
    text
}

fn numbers(frame: &DataFrame) -> Vec<f64> {
    let schema = frame.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str()).filter(|name| !NAMES.contains(name));
    let names: Vec<&str> = names.collect();
    let cell = |row: usize, name: &str| match frame.value(row, name).unwrap() {
        Value::Float64(found) => found,
        Value::Int64(found) => found as f64,
        other => panic!("{name} is {other:?}"),
    };
    (0..frame.rows()).flat_map(|row| names.iter().map(move |name| cell(row, name))).collect()
}

#[test]
fn statistics_are_those_of_numpy_scipy_and_statsmodels() {
    let Some(python) = python() else {
        println!("skipped: no Python that has NumPy, SciPy and statsmodels (benches/peers/setup makes one)");
        return;
    };
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    std::fs::write(&path, table(&mut Random::new(seed))).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/statistics.py");
    let said = Command::new(python).arg(script).arg(&path).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let expected: Json = serde_json::from_slice(&said.stdout).unwrap();
    let frame = scan_csv(&path).unwrap();
    let questions = CASES.map(|(_, question, _)| frame.ask(question).unwrap());
    let answers: Vec<DataFrame> = compute(Vec::from(questions)).unwrap();
    assert_eq!(expected.as_object().unwrap().len(), CASES.len());
    for ((name, question, tolerance), answer) in CASES.iter().zip(&answers) {
        let expected: Vec<f64> =
            expected[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        let found = numbers(answer);
        assert_eq!(found.len(), expected.len(), "{question}");
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let near = (found - expected).abs() <= tolerance * expected.abs().max(1e-3);
            assert!(near, "{name}, number {at}: {found:?}, expected {expected:?} ({question}, seed {seed})");
        }
    }
}
