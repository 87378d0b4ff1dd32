//! Values by hand, messages, and the comparison with a naive evaluator that goes row by row.

mod oracle;

use super::*;
use crate::error::ErrorKind;
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, NullArray, RecordBatch, StringViewArray};
use arrow::datatypes::{Field, Schema};
use std::sync::Arc;

/// A constant expression's value as text.
fn value(expr: Expr) -> String {
    let bound = expr.clone().cast(ColumnType::Utf8).bind(&Schema::empty()).unwrap_or_else(|error| panic!("{error}"));
    let array = bound.constant().unwrap_or_else(|| panic!("{expr} was not folded"));
    if array.is_null(0) { "null".to_string() } else { array.as_string_view().value(0).to_string() }
}

fn date(text: &str) -> Expr {
    Expr::Literal(Literal::Date(civil::parse_date(text).unwrap()))
}

fn timestamp(text: &str) -> Expr {
    Expr::Literal(Literal::Timestamp(civil::parse_timestamp(text).unwrap()))
}

fn null() -> Expr {
    lit(None::<i64>)
}

fn batch() -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("i", Arc::new(Int64Array::from(vec![Some(0), Some(1), Some(-7), None, Some(i64::MAX)]))),
        ("x", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None, Some(-0.0), Some(f64::INFINITY)]))),
        (
            "s",
            Arc::new(StringViewArray::from(vec![
                Some("SFO"),
                None,
                Some("12"),
                Some(""),
                Some("a text beyond 12 bytes"),
            ])),
        ),
        ("nothing", Arc::new(NullArray::new(5))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

/// The values of `expr` over [`batch`] as text.
fn values(expr: Expr) -> Vec<String> {
    let batch = batch();
    let bound = expr.cast(ColumnType::Utf8).bind(batch.schema_ref()).unwrap_or_else(|error| panic!("{error}"));
    let array = bound.evaluate(&batch).unwrap_or_else(|error| panic!("{error}"));
    array.as_string_view().iter().map(|text| text.unwrap_or("null").to_string()).collect()
}

#[test]
fn functions_give_what_their_documentation_says() {
    let cases: Vec<(Expr, &str)> = vec![
        (lit("Größe").upper(), "GRÖSSE"),
        (lit("ABC").lower(), "abc"),
        (lit("Größe").length(), "5"),
        (lit("Größe").substring(3, 2), "öß"),
        (lit("Größe").substring(-1, 4), "Gr"),
        (lit("Größe").substring(4, -1), ""),
        (lit("Größe").substring(i64::MIN, i64::MAX), ""),
        (lit("  a ").trim(), "a"),
        (lit("SFO").starts_with("SF"), "true"),
        (lit("SFO").ends_with("SF"), "false"),
        (lit("SFO").contains("F"), "true"),
        (lit("a-b-c").str_replace("-", "+"), "a+b+c"),
        (lit("abc").str_replace("", "+"), "abc"),
        (lit("a").concat("b"), "ab"),
        (lit("a").concat(null()), "null"),
        (lit("SFO").like("S_O"), "true"),
        (lit("SFO").like("s%"), "false"),
        (lit(-5).abs(), "5"),
        (lit(-0.5).abs(), "0.5"),
        (lit(2.5).round(), "3.0"),
        (lit(-2.5).round(), "-3.0"),
        (lit(7).round(), "7"),
        (lit(2.345).round_to(2), "2.35"),
        (lit(1234.5).round_to(-2), "1200.0"),
        (lit(1e300).round_to(200), "1e300"),
        (lit(1e-9).round_to(-400), "0.0"),
        (lit(-2.5).floor(), "-3.0"),
        (lit(-2.5).ceil(), "-2.0"),
        (lit(9).sqrt(), "3.0"),
        (lit(-1).sqrt(), "NaN"),
        (lit(0).ln(), "-inf"),
        (lit(1000).log10(), "3.0"),
        (lit(8).log2(), "3.0"),
        (lit(0).exp(), "1.0"),
        (lit(2).power(10), "1024.0"),
        (lit(7) / 2, "3.5"),
        (lit(7) / 0, "inf"),
        (lit(-7).floor_div(2), "-4"),
        (lit(7).floor_div(-2), "-4"),
        (lit(-7) % 2, "1"),
        (lit(7) % -2, "-1"),
        (lit(i64::MIN) % lit(-1), "0"),
        (lit(-7.5).floor_div(2), "-4.0"),
        (lit(-7.5) % 2.0, "0.5"),
        (lit(1.0) % 0.0, "NaN"),
        (lit(true) + 1, "2"),
        (-lit(true), "-1"),
        (make_date(2001, 2, 3), "2001-02-03"),
        (make_date(2001, null(), 3), "null"),
        (date("2001-02-03").year(), "2001"),
        (date("2001-02-03").quarter(), "1"),
        (date("2001-02-03").month(), "2"),
        (date("2001-02-03").day(), "3"),
        (date("2001-02-03").day_of_year(), "34"),
        (date("2001-02-04").isodow(), "7"),
        (date("2001-02-04").dow(), "0"),
        (date("2005-01-01").week(), "53"),
        (timestamp("1969-12-31 23:58:59.5").hour(), "23"),
        (timestamp("1969-12-31 23:58:59.5").minute(), "58"),
        (timestamp("1969-12-31 23:58:59.5").second(), "59"),
        (timestamp("1969-12-31 23:58:59.5").day(), "31"),
        (date("2001-05-03").date_trunc("month"), "2001-05-01"),
        (date("2001-05-03").date_trunc("QUARTER"), "2001-04-01"),
        (date("2001-05-03").date_trunc("week"), "2001-04-30"),
        (timestamp("1969-12-31 23:58:59").date_trunc("hour"), "1969-12-31T23:00:00"),
        (timestamp("1969-12-31 23:58:59").date_trunc("year"), "1969-01-01T00:00:00"),
        (date("2001-03-01") - 1, "2001-02-28"),
        (lit(1) + date("2000-02-28"), "2000-02-29"),
        (date("2001-03-01") - date("2001-02-01"), "28"),
        (date("2001-03-01").gt("2001-02-28"), "true"),
        (date("2001-03-01").lt("2001-03-01 00:01"), "true"),
        (lit(1).coalesce(2.5), "1.0"),
        (null().coalesce(null()).coalesce(3), "3"),
        (lit(1).nullif(1), "null"),
        (lit(1).nullif(2), "1"),
        (greatest([lit(1), null(), lit(2.5)]), "2.5"),
        (greatest([lit(1.0), lit(f64::NAN)]), "NaN"),
        (least([lit("b"), lit("a"), null()]), "a"),
        (lit(f64::NAN).eq(f64::NAN), "true"),
        (lit(-0.0).eq(0.0), "true"),
        (lit(-0.0).lt(0.0), "false"),
        (lit(-f64::NAN).gt(f64::INFINITY), "true"),
        (lit(2).is_in([lit(1), null()]), "null"),
        (lit(1).is_in([lit(1), null()]), "true"),
        (lit("1.5e3").cast(ColumnType::Float64), "1500.0"),
        (lit(" 12 ").cast(ColumnType::Int64), "12"),
        (lit("x").try_cast(ColumnType::Int64), "null"),
        (lit(2.9).cast(ColumnType::Int64), "2"),
        (lit(9.3e18).try_cast(ColumnType::Int64), "null"),
        (lit(-9_223_372_036_854_775_808.0).cast(ColumnType::Int64), "-9223372036854775808"),
        (lit("True").cast(ColumnType::Boolean), "true"),
        (lit("2001-02-03").cast(ColumnType::Date).year(), "2001"),
        (date("2001-02-03").cast(ColumnType::Timestamp), "2001-02-03T00:00:00"),
        (timestamp("1969-12-31 23:00").cast(ColumnType::Date), "1969-12-31"),
        (when(lit(false)).then(1).when(null().eq(1)).then(2).otherwise(3), "3"),
        (when(lit(false)).then(1).end(), "null"),
        (null().and(false), "false"),
        (null().or(true), "true"),
        (null().not(), "null"),
        (null() + 1, "null"),
        (null().is_null(), "true"),
    ];
    for (expr, wanted) in cases {
        let shown = expr.to_string();
        assert_eq!(value(expr), wanted, "{shown}");
    }
}

#[test]
fn columns_and_constants_mix() {
    assert_eq!(values(col("i").gt(0)), ["false", "true", "false", "null", "true"]);
    assert_eq!(values(lit(0).lt(col("x"))), ["true", "true", "null", "false", "true"]);
    assert_eq!(values(col("x").eq(col("x"))), ["true", "true", "null", "true", "true"]);
    assert_eq!(values(col("nothing").is_null()), ["true"; 5]);
    assert_eq!(values(col("nothing") + col("i")), ["null"; 5]);
    assert_eq!(values(col("nothing").coalesce(col("i"))), ["0", "1", "-7", "null", i64::MAX.to_string().as_str()]);
    assert_eq!(values(col("nothing").gt(1).or(lit(true))), ["true"; 5]);
    assert_eq!(values(col("s").is_in([lit("SFO"), lit("")])), ["true", "null", "false", "true", "false"]);
    assert_eq!(values(lit("SFO").is_in([col("s")])), ["true", "null", "false", "false", "false"]);
    assert_eq!(values(col("s").length()), ["3", "null", "2", "0", "22"]);
    assert_eq!(values(least([col("i"), lit(1)])), ["0", "1", "-7", "1", "1"]);
    assert_eq!(values(col("i").coalesce(col("x"))), ["0.0", "1.0", "-7.0", "-0.0", "9.223372036854776e18"]);
}

#[test]
fn a_column_is_not_copied() {
    let batch = batch();
    for expr in [col("x"), col("x").alias("y"), col("x").cast(ColumnType::Float64)] {
        let array = expr.bind(batch.schema_ref()).unwrap().evaluate(&batch).unwrap();
        assert!(Arc::ptr_eq(&array, batch.column(1)), "{expr}");
    }
}

#[test]
fn an_operand_that_fails_is_evaluated_only_where_it_is_reached() {
    let inverse = || lit(100).floor_div(col("i"));
    let kept = ["null", "100", "-15", "null", "0"];
    assert_eq!(values(when(col("i").eq(0)).then(null()).otherwise(inverse())), kept);
    assert_eq!(values(when(col("i").not_eq(0)).then(inverse()).end()), kept);
    assert_eq!(values(col("i").not_eq(0).and(inverse().gt(0))), ["false", "true", "false", "null", "false"]);
    assert_eq!(values(col("i").eq(0).or(inverse().gt(0))), ["true", "true", "false", "null", "false"]);
    assert_eq!(values(col("x").coalesce(inverse())), ["0.5", "NaN", "-15.0", "-0.0", "inf"]);
    assert_eq!(values(lit(100).floor_div(col("i").nullif(0))), kept);
    let batch = batch();
    let error = inverse().gt(0).and(col("i").not_eq(0)).bind(batch.schema_ref()).unwrap().evaluate(&batch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Arithmetic);
}

#[test]
fn errors_about_types_names_and_values_say_what_to_try() {
    let schema = Schema::new(vec![
        Field::new("DepDelay", ColumnType::Int64.arrow(), true),
        Field::new("TailNum", ColumnType::Utf8.arrow(), true),
        Field::new("Cancelled", ColumnType::Boolean.arrow(), true),
        Field::new("d", ColumnType::Date.arrow(), true),
        Field::new("t", ColumnType::Timestamp.arrow(), true),
    ]);
    let exprs: Vec<Expr> = vec![
        col("DepDelys") + 1,
        col("xyzzy"),
        Expr::Wildcard,
        col("DepDelay").min() + 1,
        col("TailNum").gt(5),
        col("DepDelay").gt("5"),
        col("DepDelay").eq("late"),
        col("TailNum") + col("TailNum"),
        col("TailNum") * 2,
        col("d") * 2,
        col("d").eq("2001-02-30"),
        col("d").gt(5),
        -col("TailNum"),
        col("DepDelay").and(col("Cancelled")),
        col("TailNum").not(),
        col("DepDelay").upper(),
        col("DepDelay").concat("x"),
        col("DepDelay").like("x"),
        col("TailNum").sqrt(),
        col("DepDelay").hour(),
        col("d").hour(),
        col("TailNum").year(),
        col("d").date_trunc("moon"),
        make_date(2001.0, 1, 1),
        col("d").cast(ColumnType::Int64),
        when(col("Cancelled")).then("x").otherwise(1),
        col("d").coalesce(1),
        col("DepDelay").is_in(["a"]),
    ];
    let shown: Vec<String> = exprs
        .iter()
        .map(|expr| match expr.bind(&schema) {
            Ok(_) => panic!("{expr} was bound"),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Type | ErrorKind::Name), "{error}");
                error.to_string()
            }
        })
        .chain([col("DepDelay").bind_condition(&schema).unwrap_err().to_string()])
        .collect();
    insta::assert_snapshot!("binding", shown.join("\n\n"));

    let batch = batch();
    let failing: Vec<Expr> = vec![
        col("i") + 1,
        lit(i64::MIN) - col("i"),
        col("i") * 3,
        -(col("i") - i64::MAX - 2),
        lit(1).floor_div(col("i")),
        col("i") % 0,
        lit(i64::MIN).floor_div(-1),
        (lit(i64::MIN) + col("i") - col("i")).abs(),
        col("s").cast(ColumnType::Int64),
        col("s").cast(ColumnType::Date),
        col("x").cast(ColumnType::Int64),
        make_date(2001, col("i"), 30),
        date("2001-01-01") + col("i"),
        Expr::Literal(Literal::Date(i32::MAX)).cast(ColumnType::Timestamp),
    ];
    let shown: Vec<String> = failing
        .iter()
        .map(|expr| match expr.bind(batch.schema_ref()).unwrap().evaluate(&batch) {
            Ok(_) => panic!("{expr} has values"),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Arithmetic | ErrorKind::Value), "{error}");
                error.to_string()
            }
        })
        .collect();
    insta::assert_snapshot!("evaluating", shown.join("\n\n"));
}

#[test]
fn the_planner_can_ask_and_rewrite() {
    let expr = (col("a").sum() / count_rows()).gt(col("b")).and(col("c").is_null()).alias("n");
    assert_eq!(expr.columns().iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["a", "b", "c"]);
    assert!(expr.contains_aggregate());
    assert_eq!(expr.output_name().as_ref(), "n");
    assert_eq!(expr.aggregates().iter().map(ToString::to_string).collect::<Vec<_>>(), ["sum(a)", "count(*)"]);
    let conjuncts = expr.unaliased().conjuncts();
    assert_eq!(conjuncts.len(), 2);
    assert_eq!(Expr::conjunction(conjuncts.into_iter().cloned()).as_ref(), Some(expr.unaliased()));
    let replaced = expr
        .replace(&mut |part| {
            Ok(match part {
                Expr::Aggregate(call) => Some(col(call.to_string())),
                _ => None,
            })
        })
        .unwrap();
    assert_eq!(replaced.to_string(), "`sum(a)` / `count(*)` > b and c is null as n");
}
