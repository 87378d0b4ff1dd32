//! Statistics beside those of SciPy 1.17, NumPy 2.4 and statsmodels 0.14 (formulas of R) on the same flights, as users get them.

mod common;

use common::shown;
use outcrop::frame::{DataFrame, LazyFrame, Runner, Value};
use outcrop::{col, compute, scan_csv};

fn flights() -> LazyFrame {
    scan_csv("testdata/airline/200[67].csv.bz2").unwrap()
}

fn ask(question: &str) -> DataFrame {
    compute(flights().ask(question).unwrap()).unwrap()
}

fn number(frame: &DataFrame, row: usize, column: &str) -> f64 {
    match frame.value(row, column).unwrap() {
        Value::Float64(found) => found,
        Value::Int64(found) => found as f64,
        other => panic!("{column} is {other:?}"),
    }
}

fn is_near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs()
}

/// The first row of an answer, whose columns are called a, b, c…
fn check(question: &str, expected: &[f64]) {
    let found = ask(question);
    for (column, expected) in found.schema().fields().iter().zip(expected) {
        let found = number(&found, 0, column.name());
        assert!(is_near(found, *expected), "{question}: {} is {found}, not {expected}", column.name());
    }
    assert_eq!(found.schema().fields().len(), expected.len());
}

#[test]
fn moments_quantiles_and_weights_are_those_of_scipy() {
    check(
        "skewness(ArrDelay), skewness_pop(ArrDelay), kurtosis(ArrDelay), kurtosis_pop(ArrDelay), sem(ArrDelay)",
        &[4.788613868437462, 4.788131715013932, 46.86401327608389, 46.84788375231437, 0.32559611677790007],
    );
    check("mad(ArrDelay), iqr(ArrDelay), entropy(UniqueCarrier)", &[10.0, 23.0, 4.005703333802687]);
    check(
        "weighted_mean(ArrDelay, Distance), weighted_var(ArrDelay, Distance), weighted_std(ArrDelay, Distance)",
        &[10.339250130552937, 1677.461204916814, 40.95682122573496],
    );
    check("weighted_median(ArrDelay, Distance), weighted_quantile(ArrDelay, Distance, 0.9)", &[0.0, 47.0]);
    check(
        "geometric_mean(Distance), harmonic_mean(Distance) where Distance > 0",
        &[543.4249290158305, 396.7935483086333],
    );
}

#[test]
fn choices_and_conditions_are_those_of_plain_questions() {
    let best =
        ask("arg_max(FlightNum, ArrDelay) as flight, count_if(ArrDelay > 15) as late, any(ArrDelay > 600) as any, \
                    all(ArrDelay > 600) as all, product(Month) as product where Month < 3 and ArrDelay is not null");
    let longest = ask("FlightNum where Month < 3 and ArrDelay is not null sort ArrDelay desc limit 1");
    assert_eq!(best.value(0, "flight").unwrap(), longest.value(0, "FlightNum").unwrap());
    let late = ask("count(*) as n where Month < 3 and ArrDelay > 15");
    assert_eq!(best.value(0, "late").unwrap(), late.value(0, "n").unwrap());
    assert_eq!(best.value(0, "all").unwrap(), Value::Boolean(false));
    assert_eq!(number(&best, 0, "product"), f64::INFINITY);
    assert_eq!(number(&ask("product(Month) as p where Month < 3 and Origin = 'BIL'"), 0, "p").fract(), 0.0);
}

#[test]
fn counts_of_values_and_ranges_are_those_of_groups() {
    let top = ask("top_k(UniqueCarrier, 3)");
    let counted = ask("UniqueCarrier as value, count(*) as count by UniqueCarrier sort count desc limit 3");
    assert_eq!(shown(&top).replace("Utf8View", ""), shown(&counted).replace("Utf8View", ""));
    let ranges = ask("histogram(Distance, 6)");
    assert_eq!((number(&ranges, 0, "lower"), number(&ranges, 0, "upper")), (0.0, 1000.0));
    for row in 0..ranges.rows() {
        let (lower, upper) = (number(&ranges, row, "lower"), number(&ranges, row, "upper"));
        let counted = ask(&format!("count(*) as n where Distance >= {lower} and Distance < {upper}"));
        assert_eq!(number(&ranges, row, "count"), number(&counted, 0, "n"));
    }
    let given = ask("histogram(ArrDelay, 0, 60, 4) by Month where Month < 3");
    assert_eq!(given.rows(), 12);
    assert_eq!(given.value(0, "lower").unwrap(), Value::Null);
    assert_eq!((number(&given, 1, "lower"), number(&given, 1, "upper"), number(&given, 4, "upper")), (0.0, 15.0, 60.0));
}

#[test]
fn matrices_hold_what_pairs_give() {
    let whole = "ArrDelay is not null and DepDelay is not null and Distance is not null";
    let matrix = ask(&format!("corr_matrix(ArrDelay, DepDelay, Distance) where {whole}"));
    let covariances = ask("cov_matrix(ArrDelay, DepDelay, Distance)");
    let columns = ["ArrDelay", "DepDelay", "Distance"];
    for (row, a) in columns.into_iter().enumerate() {
        assert_eq!(matrix.value(row, "term").unwrap(), Value::Utf8(a.to_owned()));
        for b in columns {
            let pair = ask(&format!("corr({a}, {b}) as r, cov({a}, {b}) as c where {whole}"));
            assert_eq!(number(&matrix, row, b), number(&pair, 0, "r"));
            assert_eq!(number(&covariances, row, b), number(&pair, 0, "c"));
        }
    }
    let all = ask("corr_matrix(*) by Month where Month < 3");
    assert!(all.rows() > 20 && all.schema().field_with_name("DepDelay").is_ok());
    let error = flights().ask("corr_matrix(Distance, Distance)").unwrap_err();
    assert_eq!(error.message(), "`corr_matrix` would have two columns `Distance`");
    let error = flights().ask("crossprod(Distance, Distance)").and_then(|asked| {
        let found: outcrop::Result<DataFrame> = compute(asked);
        found
    });
    assert!(error.unwrap_err().message().contains("would have two columns `Distance`"));
}

/// Terms with their estimates and standard errors.
fn check_fit(question: &str, expected: &[(&str, f64, f64)]) {
    let found = ask(question);
    assert_eq!(found.rows(), expected.len(), "{question}\n{}", shown(&found));
    for (row, (term, estimate, std_error)) in expected.iter().enumerate() {
        assert_eq!(found.value(row, "term").unwrap(), Value::Utf8((*term).to_owned()));
        let (own, own_error) = (number(&found, row, "estimate"), number(&found, row, "std_error"));
        assert!(is_near(own, *estimate) && is_near(own_error, *std_error), "{question}: {term} {own} {own_error}");
    }
}

#[test]
fn interactions_and_weights_are_those_of_r() {
    let three = "where UniqueCarrier in ('AA', 'UA', 'WN')";
    check_fit(
        &format!("ols('ArrDelay ~ UniqueCarrier * DepDelay') {three}"),
        &[
            ("(Intercept)", -0.4225884182657764, 0.39498940275870165),
            ("UniqueCarrier = 'UA'", -1.018905214065797, 0.6053981852859177),
            ("UniqueCarrier = 'WN'", -5.182271532816763, 0.5002184909196966),
            ("DepDelay", 1.0463431115152144, 0.009307073315285363),
            ("(UniqueCarrier = 'UA') * DepDelay", -0.007203248925162071, 0.01417953576042126),
            ("(UniqueCarrier = 'WN') * DepDelay", -0.03029048552793806, 0.014057209292691601),
        ],
    );
    // Without the term of the number alone, each level has a slope of its own.
    check_fit(
        &format!("ols('ArrDelay ~ UniqueCarrier:DepDelay') {three}"),
        &[
            ("(Intercept)", -3.171180278803784, 0.21713328064128948),
            ("(UniqueCarrier = 'AA') * DepDelay", 1.0675461842009009, 0.009066704119118698),
            ("(UniqueCarrier = 'UA') * DepDelay", 1.0513686687193275, 0.010442408380669147),
            ("(UniqueCarrier = 'WN') * DepDelay", 0.9844437918358094, 0.010275280056797986),
        ],
    );
    let half = "case when Month <= 6 then 'a' else 'b' end";
    check_fit(
        &format!("ols('ArrDelay ~ UniqueCarrier * {} - 1') {three} and DepDelay is not null", half.replace('\'', "''")),
        &[
            ("UniqueCarrier = 'AA'", 15.117910447761208, 1.4725585611949783),
            ("UniqueCarrier = 'UA'", 12.537815126050418, 1.7470546882266054),
            ("UniqueCarrier = 'WN'", 4.50959860383943, 1.125946272505289),
            (&format!("{half} = 'b'"), -2.0018390191897804, 2.0809622234447094),
            (&format!("(UniqueCarrier = 'UA') * ({half} = 'b')"), 1.0935059648525105, 3.2057326567677418),
            (&format!("(UniqueCarrier = 'WN') * ({half} = 'b')"), 4.152924176034142, 2.61532188489219),
        ],
    );
    let weighted = [
        ("(Intercept)", -0.7730118654000817, 0.36808362648193527),
        ("DepDelay", 1.0347923715785352, 0.006027793953795831),
        ("UniqueCarrier = 'UA'", -0.33113030594384685, 0.546528090442174),
        ("UniqueCarrier = 'WN'", -7.001280092389138, 0.5056490982484063),
    ];
    check_fit(&format!("ols(ArrDelay, DepDelay, UniqueCarrier, weights => Distance) {three}"), &weighted);
    check_fit(&format!("ols('ArrDelay ~ DepDelay + UniqueCarrier', weights = Distance) {three}"), &weighted);
    let model = "ols(ArrDelay, DepDelay, UniqueCarrier, weights => Distance)";
    check(&format!("{model}.r_squared, {model}.n {three}"), &[0.8655401112903225, 4636.0]);
}

#[test]
fn rows_without_weight_are_not_there() {
    let with = "ols(ArrDelay, DepDelay, weights => case when Month < 7 then 1 else 0 end)";
    assert_eq!(shown(&ask(with)), shown(&ask("ols(ArrDelay, DepDelay) where Month < 7")));
    assert_eq!(
        number(&ask(&format!("{with}.n as n")), 0, "n"),
        number(&ask("ols(ArrDelay, DepDelay).n as n where Month < 7"), 0, "n")
    );
}

#[test]
fn all_other_columns_and_limits_are_told() {
    let five = flights().select(["ArrDelay", "DepDelay", "Distance", "Month", "UniqueCarrier"]);
    let answer = |question: &str| -> DataFrame { compute(five.ask(question).unwrap()).unwrap() };
    assert_eq!(
        shown(&answer("ols('ArrDelay ~ . - UniqueCarrier')")),
        shown(&answer("ols(ArrDelay, DepDelay, Distance, Month)"))
    );
    assert_eq!(shown(&answer("ols('ArrDelay ~ .').r_squared as r")), shown(&answer("ols(ArrDelay, *).r_squared as r")));
    let frame = flights().ask("ols(ArrDelay, cast(FlightNum as utf8))").unwrap();
    let error = frame.collect().unwrap_err();
    assert!(error.message().contains("`cast(FlightNum as utf8)` has "), "{error}");
    let error = flights().ask("ols(ArrDelay ~ DepDelay)").unwrap_err();
    assert_eq!(error.hint_text(), Some("a formula is a text: ols('y ~ x')"));
}

#[test]
fn predictions_and_residuals_stand_beside_rows() {
    let rows = ask("ArrDelay, DepDelay, UniqueCarrier as c, predicted(ols(ArrDelay, DepDelay)) as fit, \
                    residual(ols(ArrDelay, DepDelay)) as r by UniqueCarrier where Month < 3");
    let fits = ask("ols(ArrDelay, DepDelay) by UniqueCarrier as c where Month < 3");
    let estimate = |carrier: &Value, term: &str| {
        let term = Value::Utf8(term.to_owned());
        let is_it =
            |row: &usize| fits.value(*row, "c").unwrap() == *carrier && fits.value(*row, "term").unwrap() == term;
        number(&fits, (0..fits.rows()).find(is_it).unwrap(), "estimate")
    };
    let mut seen = 0;
    for row in (0..rows.rows()).step_by(37) {
        let carrier = rows.value(row, "c").unwrap();
        if rows.value(row, "DepDelay").unwrap() == Value::Null {
            assert_eq!(rows.value(row, "fit").unwrap(), Value::Null);
            continue;
        }
        let expected =
            estimate(&carrier, "(Intercept)") + estimate(&carrier, "DepDelay") * number(&rows, row, "DepDelay");
        assert_eq!(number(&rows, row, "fit"), expected);
        if rows.value(row, "ArrDelay").unwrap() != Value::Null {
            assert_eq!(number(&rows, row, "r"), number(&rows, row, "ArrDelay") - expected);
            seen += 1;
        }
    }
    assert!(seen > 30);
    // Residuals have no sum, and no regressor tells of them; the same of factors and weights.
    for model in ["ArrDelay, DepDelay, UniqueCarrier", "'ArrDelay ~ DepDelay * UniqueCarrier', weights => Distance"] {
        let frame = flights().ask(&format!("residual(ols({model})) as r, DepDelay, Distance as w")).unwrap();
        let sums: DataFrame =
            compute(frame.ask("sum(r * w) / sum(w) as w, sum(r) / count(r) as n, sum(r * DepDelay * w) as x").unwrap())
                .unwrap();
        let mean = number(&sums, 0, if model.contains("weights") { "w" } else { "n" });
        assert!(mean.abs() < 1e-9, "{model}: {mean}");
    }
    let sorted = ask("Origin, residual(ols('ArrDelay ~ DepDelay')) as r sort r desc limit 3");
    assert!(sorted.rows() == 3 && number(&sorted, 0, "r") >= number(&sorted, 2, "r"));
    let names: Vec<String> = ask("predicted(ols(ArrDelay, DepDelay)), residual(ols(ArrDelay, DepDelay)) limit 1")
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names, ["predicted(ols(ArrDelay, DepDelay))", "ArrDelay - predicted(ols(ArrDelay, DepDelay))"]);
    let plan = flights().ask("predicted(ols(ArrDelay, DepDelay)) as fit by UniqueCarrier").unwrap().explain().unwrap();
    assert!(plan.contains("pass 1:") && plan.contains("pass 2:"), "{plan}");
    for (question, message) in [
        ("predicted(mean(ArrDelay))", "`predicted` takes a fit"),
        ("predict('hello', ArrDelay)", "`predict('hello', ArrDelay)` was given a text that is no model"),
        (
            "Origin, predicted(ols(ArrDelay, DepDelay)) as f having f > 0",
            "`having` filters groups, and this question has none",
        ),
    ] {
        let error = flights().ask(question).and_then(|frame| frame.collect()).unwrap_err();
        assert_eq!(error.message(), message);
    }
}

#[test]
fn models_are_texts_that_predict_elsewhere() {
    let Value::Utf8(model) = ask("ols(ArrDelay, DepDelay, UniqueCarrier).model as m").value(0, "m").unwrap() else {
        panic!()
    };
    let there = format!("predict('{}', DepDelay, UniqueCarrier) as p limit 500", model.replace('\'', "''"));
    assert_eq!(shown(&ask(&there)), shown(&ask("predicted(ols(ArrDelay, DepDelay, UniqueCarrier)) as p limit 500")));
    let unknown = format!("predict('{}', 1.5, 'nobody') as p limit 1", model.replace('\'', "''"));
    assert_eq!(ask(&unknown).value(0, "p").unwrap(), Value::Null);
}

#[test]
fn the_library_has_the_same() {
    let frame = flights();
    let found: DataFrame = compute(frame.agg([
        col("ArrDelay").skewness().alias("a"),
        col("ArrDelay").weighted_mean(col("Distance")).alias("b"),
        col("ArrDelay").gt(15).count_if().alias("c"),
    ]))
    .unwrap();
    let asked = ask("skewness(ArrDelay) as a, weighted_mean(ArrDelay, Distance) as b, count_if(ArrDelay > 15) as c");
    assert_eq!(shown(&found), shown(&asked));
    let apart = (col("ArrDelay") - col("ArrDelay").mean()).alias("apart");
    let rows = frame.with_group_columns([apart], ["Month"]).select(["Month", "apart"]);
    let sums: DataFrame = compute(rows.ask("sum(apart) as s, count(apart) as n by Month").unwrap()).unwrap();
    assert!(
        sums.rows() == 12 && (0..12).all(|row| number(&sums, row, "s").abs() < 1e-9 && number(&sums, row, "n") > 100.0)
    );
    // Null is a key like any other.
    let half = outcrop::expr::when(col("Month").gt(6)).then(col("UniqueCarrier")).end().alias("half");
    let apart = (col("ArrDelay") - col("ArrDelay").mean()).alias("apart");
    let rows = frame.with_group_columns([apart], [half.clone()]).with_columns([half]);
    let found: DataFrame =
        compute(rows.ask("count(apart) as n, sum(apart) as s by half is null as none").unwrap()).unwrap();
    assert!(
        found.rows() == 2
            && (0..2).all(|row| number(&found, row, "s").abs() < 1e-7 && number(&found, row, "n") > 5000.0)
    );
    let few: DataFrame = compute(frame.agg([col("Dest").top_k(2).unwrap()])).unwrap();
    assert_eq!(few.rows(), 2);
    let one = Runner::new().threads(1);
    let ranges: DataFrame = one.compute(frame.agg([col("Distance").histogram(6).unwrap()])).unwrap();
    assert_eq!(shown(&ranges), shown(&ask("histogram(Distance, 6)")));
}

/// With what R's coding makes of them told as columns of their own.
#[test]
fn factors_of_interactions_are_coded_as_in_r() {
    let from = "where UniqueCarrier in ('AA', 'UA', 'WN') and DepDelay is not null and Month in (1, 2, 3)";
    let half = "case when DayOfWeek < 4 then 'a' else 'b' end";
    let quoted = half.replace('\'', "''");
    let of = |carrier: &str| format!("case when UniqueCarrier = '{carrier}' then DepDelay else 0 end");
    let (aa, ua, wn) = (of("AA"), of("UA"), of("WN"));
    let late = format!("case when {half} = 'b' then DepDelay else 0 end");
    for (formula, columns, names) in [
        (
            format!("DepDelay:UniqueCarrier + {quoted} - 1"),
            format!("{half} = 'a', {half} = 'b', {aa}, {ua}, {wn}, intercept => false"),
            [format!("{half} = 'a'"), format!("{half} = 'b'"), "DepDelay * (UniqueCarrier = 'AA')".to_owned()],
        ),
        (
            format!("UniqueCarrier:DepDelay + {quoted}:DepDelay"),
            format!("{aa}, {ua}, {wn}, {late}"),
            ["(Intercept)", "(UniqueCarrier = 'AA') * DepDelay", "(UniqueCarrier = 'UA') * DepDelay"].map(String::from),
        ),
    ] {
        let coded = ask(&format!("ols('ArrDelay ~ {formula}') {from}"));
        let told = ask(&format!("ols(ArrDelay, {columns}) {from}"));
        assert_eq!(coded.rows(), 5, "{formula}\n{}", shown(&coded));
        assert_eq!(told.rows(), 5);
        for row in 0..5 {
            for column in ["estimate", "std_error", "t", "p"] {
                assert_eq!(number(&coded, row, column), number(&told, row, column), "{formula} {row} {column}");
            }
        }
        for (row, name) in names.into_iter().enumerate() {
            assert_eq!(coded.value(row, "term").unwrap(), Value::Utf8(name));
        }
        let whole = |fit: &str| ask(&format!("{fit}.rank as rank, {fit}.r_squared as r {from}"));
        let (coded, told) =
            (whole(&format!("ols('ArrDelay ~ {formula}')")), whole(&format!("ols(ArrDelay, {columns})")));
        assert_eq!(shown(&coded), shown(&told));
    }
}

#[test]
fn roots_of_variances_beyond_doubles_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ends.csv");
    std::fs::write(&file, "small,large,w,one\n0,-1e200,1,1\n1e-170,1e200,1,2\n").unwrap();
    let ends = outcrop::scan_csv(&file).unwrap();
    let question = "std_pop(small) as a, std_pop(large) as b, sem(small) as c, weighted_std_pop(small, w) as d, \
                    weighted_std_pop(large, w) as e, var_pop(small) as f, corr(small, large) as g";
    let found: DataFrame = compute(ends.ask(question).unwrap()).unwrap();
    let known = [5e-171, 1e200, 5e-171, 5e-171, 1e200, 0.0, 1.0];
    for (name, known) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().zip(known) {
        let found = number(&found, 0, name);
        assert!((found - known).abs() <= 1e-15 * known, "{name}: {found}");
    }
    let flat: DataFrame = compute(ends.ask("ols('large ~ 1').residual_std_error as s").unwrap()).unwrap();
    assert!((number(&flat, 0, "s") / 2f64.sqrt() - 1e200).abs() < 1e185);
}

#[test]
fn rows_that_are_not_finite_are_left_out_of_fits_and_counted_and_negative_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    std::fs::write(&path, "f,x,y,w\na,1,1,1\na,2,2,1\na,3,0,1\nb,4,4,1\nb,5,7,-1\n").unwrap();
    let table = outcrop::scan_csv(&path).unwrap();
    let number = |question: &str| -> Vec<f64> {
        let answer = table.ask(question).unwrap().collect().unwrap();
        let batch = answer.batches().next().unwrap().unwrap();
        let column =
            outcrop::arrow::compute::cast(batch.column(0), &outcrop::arrow::datatypes::DataType::Float64).unwrap();
        column.as_any().downcast_ref::<outcrop::arrow::array::Float64Array>().unwrap().iter().flatten().collect()
    };
    for model in ["ln(y), x", "ln(y), x, f"] {
        assert_eq!(number(&format!("ols({model}).n")), [4.0], "{model}");
        assert_eq!(number(&format!("ols({model}).left_out")), [1.0], "{model}");
        assert_eq!(number(&format!("ols({model}).rank")), number(&format!("ols({model}).rank where y > 0")), "{model}");
    }
    let error = table.ask("ols(y, x, weights => w).n").unwrap().collect().unwrap_err();
    assert!(error.to_string().contains("a weight is -1"), "{error}");
}

#[test]
fn principal_components_put_the_covariances_together_again() {
    let names = ["ArrDelay", "DepDelay", "Distance"];
    for (question, matrix) in [
        ("pca(ArrDelay, DepDelay, Distance)", "cov_matrix(ArrDelay, DepDelay, Distance)"),
        ("pca(ArrDelay, DepDelay, Distance, scale => true)", "corr_matrix(ArrDelay, DepDelay, Distance)"),
    ] {
        let (components, expected) = (ask(question), ask(matrix));
        let of = |row: usize, name: &str| number(&components, row, name);
        for (a, first) in names.iter().enumerate() {
            for second in names {
                let cell: f64 = (0..3).map(|row| of(row, "variance") * of(row, first) * of(row, second)).sum();
                assert!(
                    (cell - number(&expected, a, second)).abs() < 1e-9 * of(0, "variance"),
                    "{question} {first} {second}"
                );
            }
        }
        let mut so_far = 0.0;
        for row in 0..3 {
            assert_eq!(of(row, "component"), row as f64 + 1.0);
            assert!(is_near(of(row, "std_dev") * of(row, "std_dev"), of(row, "variance")));
            assert!(row == 0 || of(row, "variance") <= of(row - 1, "variance"));
            so_far += of(row, "proportion");
            assert!(is_near(of(row, "cumulative"), so_far));
            let loadings = names.map(|name| of(row, name));
            assert!(is_near(loadings.iter().map(|own| own * own).sum(), 1.0));
            let largest = loadings.into_iter().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
            assert!(largest > 0.0, "{loadings:?}");
        }
        assert!(is_near(so_far, 1.0));
    }
    // Of one row nothing is known, of none there is no component; a column that does not vary cannot be scaled.
    assert_eq!(ask("pca(ArrDelay, DepDelay) where ArrDelay > 1e9").rows(), 0);
    assert_eq!(ask("pca(ArrDelay, Distance * 0, scale => true)").value(0, "variance").unwrap(), Value::Null);
}

#[test]
fn ranges_and_frequent_values_with_bounds() {
    let found = ask("range(ArrDelay) as r, max(ArrDelay) - min(ArrDelay) as same, range(Distance / 2) as half");
    assert_eq!(number(&found, 0, "r"), number(&found, 0, "same"));
    assert!(number(&found, 0, "half") > 1000.0);
    let (about, exact) = (ask("approx_top_k(Origin, 5)"), ask("top_k(Origin, 5)"));
    for row in 0..5 {
        // Fewer flights than a sample has.
        assert_eq!(about.value(row, "value").unwrap(), exact.value(row, "value").unwrap());
        for count in ["count", "lower", "upper"] {
            assert_eq!(number(&about, row, count), number(&exact, row, "count"));
        }
    }
    let by_carrier = ask("approx_top_k(Origin, 2) by UniqueCarrier");
    assert_eq!(by_carrier.schema().fields().len(), 5);
}
