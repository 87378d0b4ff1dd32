//! Evaluation by column against evaluation by row, written independently and as plainly as can be.

use super::*;
use arrow::array::{BooleanArray, Date32Array};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type};
use proptest::prelude::*;
use std::cmp::Ordering;

/// A value, or null.
#[derive(Clone, Debug)]
enum Cell {
    Null,
    Boolean(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Date(i32),
}

/// There is no value: arithmetic went wrong.
struct Wrong;

type Answer = Result<Cell, Wrong>;

fn same(a: &Cell, b: &Cell) -> bool {
    match (a, b) {
        (Cell::Null, Cell::Null) => true,
        (Cell::Boolean(a), Cell::Boolean(b)) => a == b,
        (Cell::Int(a), Cell::Int(b)) => a == b,
        (Cell::Double(a), Cell::Double(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        (Cell::Text(a), Cell::Text(b)) => a == b,
        (Cell::Date(a), Cell::Date(b)) => a == b,
        _ => false,
    }
}

fn order(a: &Cell, b: &Cell) -> Option<Ordering> {
    Some(match (a, b) {
        (Cell::Boolean(a), Cell::Boolean(b)) => a.cmp(b),
        (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
        (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Cell::Date(a), Cell::Date(b)) => a.cmp(b),
        (Cell::Null, _) | (_, Cell::Null) => return None,
        (a, b) => {
            let (a, b) = (double(a), double(b));
            match (a.is_nan(), b.is_nan()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                _ => a.partial_cmp(&b)?,
            }
        }
    })
}

fn double(cell: &Cell) -> f64 {
    match cell {
        Cell::Int(value) => *value as f64,
        Cell::Double(value) => *value,
        other => panic!("{other:?} is not a number"),
    }
}

fn truth(cell: &Cell) -> Option<bool> {
    match cell {
        Cell::Boolean(value) => Some(*value),
        _ => None,
    }
}

fn known(value: Option<bool>) -> Cell {
    value.map_or(Cell::Null, Cell::Boolean)
}

fn arithmetic(op: BinaryOp, a: &Cell, b: &Cell) -> Answer {
    if matches!(a, Cell::Null) || matches!(b, Cell::Null) {
        return Ok(Cell::Null);
    }
    if let (Cell::Int(a), Cell::Int(b), true) = (a, b, op != BinaryOp::Divide) {
        let (a, b) = (i128::from(*a), i128::from(*b));
        let exact = match op {
            BinaryOp::Add => a + b,
            BinaryOp::Sub => a - b,
            BinaryOp::Mul => a * b,
            _ if b == 0 => return Err(Wrong),
            BinaryOp::FloorDivide => (a - a.rem_euclid(b.abs())) / b - i128::from(b < 0 && a.rem_euclid(b.abs()) != 0),
            _ => a - b * ((a - a.rem_euclid(b.abs())) / b - i128::from(b < 0 && a.rem_euclid(b.abs()) != 0)),
        };
        return i64::try_from(exact).map(Cell::Int).map_err(|_| Wrong);
    }
    let (a, b) = (double(a), double(b));
    Ok(Cell::Double(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Divide => a / b,
        BinaryOp::FloorDivide => (a / b).floor(),
        _ => {
            let rest = a % b;
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
        }
    }))
}

/// The value of `expr` in one row.
fn cell(expr: &Expr, row: &dyn Fn(&str) -> Cell) -> Answer {
    Ok(match expr {
        Expr::Column(name) => row(name),
        Expr::Literal(literal) => match literal {
            Literal::Boolean(value) => Cell::Boolean(*value),
            Literal::Int64(value) => Cell::Int(*value),
            Literal::Float64(value) => Cell::Double(*value),
            Literal::Utf8(text) => Cell::Text(text.to_string()),
            Literal::Date(days) => Cell::Date(*days),
            _ => Cell::Null,
        },
        Expr::Unary { op, expr } => {
            let value = cell(expr, row)?;
            match op {
                UnaryOp::Not => known(truth(&value).map(|value| !value)),
                UnaryOp::IsNull => Cell::Boolean(matches!(value, Cell::Null)),
                UnaryOp::IsNotNull => Cell::Boolean(!matches!(value, Cell::Null)),
                UnaryOp::Negate => match value {
                    Cell::Int(value) => Cell::Int(value.checked_neg().ok_or(Wrong)?),
                    Cell::Double(value) => Cell::Double(-value),
                    other => other,
                },
            }
        }
        Expr::Binary { left, op, right } => {
            let a = cell(left, row)?;
            match (op, truth(&a)) {
                (BinaryOp::And, Some(false)) | (BinaryOp::Or, Some(true)) => return Ok(a),
                _ => {}
            }
            let b = cell(right, row)?;
            let ordered = |test: fn(Ordering) -> bool| known(order(&a, &b).map(test));
            match op {
                BinaryOp::And => known(match (truth(&a), truth(&b)) {
                    (_, Some(false)) => Some(false),
                    (Some(true), other) => other,
                    _ => None,
                }),
                BinaryOp::Or => known(match (truth(&a), truth(&b)) {
                    (_, Some(true)) => Some(true),
                    (Some(false), other) => other,
                    _ => None,
                }),
                BinaryOp::Eq => ordered(Ordering::is_eq),
                BinaryOp::NotEq => ordered(Ordering::is_ne),
                BinaryOp::Lt => ordered(Ordering::is_lt),
                BinaryOp::LtEq => ordered(Ordering::is_le),
                BinaryOp::Gt => ordered(Ordering::is_gt),
                BinaryOp::GtEq => ordered(Ordering::is_ge),
                BinaryOp::Concat => match (a, b) {
                    (Cell::Text(a), Cell::Text(b)) => Cell::Text(a + &b),
                    _ => Cell::Null,
                },
                _ => arithmetic(*op, &a, &b)?,
            }
        }
        Expr::Case { branches, otherwise } => {
            for (condition, value) in branches {
                if truth(&cell(condition, row)?) == Some(true) {
                    return cell(value, row);
                }
            }
            otherwise.as_ref().map_or(Ok(Cell::Null), |value| cell(value, row))?
        }
        Expr::Function { function: Function::Coalesce, args } => {
            for arg in args {
                let value = cell(arg, row)?;
                if !matches!(value, Cell::Null) {
                    return Ok(value);
                }
            }
            Cell::Null
        }
        Expr::Function { function: Function::Upper, args } => match cell(&args[0], row)? {
            Cell::Text(text) => Cell::Text(text.to_uppercase()),
            other => other,
        },
        Expr::Function { function: Function::Length, args } => match cell(&args[0], row)? {
            Cell::Text(text) => Cell::Int(text.chars().count() as i64),
            other => other,
        },
        Expr::Function { function, args } => {
            let mut best = Cell::Null;
            for arg in args {
                let value = cell(arg, row)?;
                let wanted = if *function == Function::Greatest { Ordering::Greater } else { Ordering::Less };
                if matches!(best, Cell::Null) || order(&value, &best) == Some(wanted) {
                    best = value;
                }
            }
            best
        }
        Expr::InList { expr, list } => {
            let value = cell(expr, row)?;
            let mut found = Some(false);
            for item in list {
                match order(&value, &cell(item, row)?) {
                    Some(Ordering::Equal) => found = Some(true),
                    None if found == Some(false) => found = None,
                    _ => {}
                }
            }
            known(found)
        }
        other => panic!("the oracle does not know {other}"),
    })
}

fn extremes() -> impl Strategy<Value = i64> {
    prop_oneof![3 => -4_i64..5, 1 => prop::sample::select(vec![i64::MIN, i64::MAX, 1 << 32, -1])]
}

fn doubles() -> impl Strategy<Value = f64> {
    prop_oneof![
        2 => (-4_i32..5).prop_map(|value| f64::from(value) / 2.0),
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 5e-324]),
    ]
}

fn texts() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "b", "SFO", "é", "a text beyond 12 bytes", "a text beyond twelve"])
        .prop_map(str::to_string)
}

type Kind = BoxedStrategy<Expr>;

/// Expressions of each type over those of the level below: integers, doubles, Booleans, texts.
fn grow([ints, reals, truths, words]: [Kind; 4]) -> [Kind; 4] {
    use BinaryOp::{Add, Divide, Eq, FloorDivide, Gt, GtEq, Lt, LtEq, Modulo, Mul, NotEq, Sub};
    let binary = |left: &Kind, ops: Vec<BinaryOp>, right: &Kind| {
        (left.clone(), prop::sample::select(ops), right.clone())
            .prop_map(|(left, op, right)| Expr::Binary { left: Box::new(left), op, right: Box::new(right) })
            .boxed()
    };
    let shared = |kind: &Kind| {
        let (a, b, c) = (kind.clone(), kind.clone(), kind.clone());
        prop_oneof![
            2 => kind.clone(),
            1 => (truths.clone(), a.clone(), b.clone()).prop_map(|(c, a, b)| when(c).then(a).otherwise(b)),
            1 => (truths.clone(), truths.clone(), a.clone(), b.clone())
                .prop_map(|(c, d, a, b)| when(c).then(a).when(d).then(b).end()),
            1 => (a.clone(), b.clone()).prop_map(|(a, b)| a.coalesce(b)),
            1 => (a, b, c, any::<bool>())
                .prop_map(|(a, b, c, most)| if most { greatest([a, b, c]) } else { least([a, b, c]) }),
        ]
        .boxed()
    };
    let whole = vec![Add, Sub, Mul, FloorDivide, Modulo];
    let any_arithmetic = vec![Add, Sub, Mul, Divide, FloorDivide, Modulo];
    let comparisons = vec![Eq, NotEq, Lt, LtEq, Gt, GtEq];
    let membership = |kind: &Kind| {
        (kind.clone(), prop::collection::vec(kind.clone(), 1..4)).prop_map(|(value, list)| value.is_in(list)).boxed()
    };
    let new_ints = prop_oneof![
        shared(&ints),
        binary(&ints, whole, &ints),
        ints.clone().prop_map(|value| -value),
        words.clone().prop_map(Expr::length),
    ];
    let new_reals = prop_oneof![
        shared(&reals),
        binary(&reals, any_arithmetic.clone(), &reals),
        binary(&ints, any_arithmetic, &reals),
        binary(&ints, vec![Divide], &ints),
        reals.clone().prop_map(|value| -value),
    ];
    let new_truths = prop_oneof![
        1 => shared(&truths),
        1 => binary(&ints, comparisons.clone(), &ints),
        1 => binary(&reals, comparisons.clone(), &reals),
        1 => binary(&ints, comparisons.clone(), &reals),
        1 => binary(&words, comparisons, &words),
        2 => binary(&truths, vec![BinaryOp::And, BinaryOp::Or], &truths),
        1 => truths.clone().prop_map(Expr::not),
        1 => membership(&ints),
        1 => membership(&reals),
        1 => membership(&words),
        1 => prop_oneof![ints.clone(), reals.clone(), words.clone(), truths.clone()].prop_map(Expr::is_null),
        1 => reals.clone().prop_map(Expr::is_not_null),
    ];
    let new_words = prop_oneof![
        shared(&words),
        words.clone().prop_map(Expr::upper),
        (words.clone(), words.clone()).prop_map(|(a, b)| a.concat(b)),
    ];
    [new_ints.boxed(), new_reals.boxed(), new_truths.boxed(), new_words.boxed()]
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let leaves = [
        prop_oneof![Just(col("i")), Just(col("j")), Just(null()), extremes().prop_map(lit)].boxed(),
        prop_oneof![Just(col("x")), Just(col("y")), doubles().prop_map(lit)].boxed(),
        prop_oneof![Just(col("b")), Just(col("c")), Just(null().eq(1)), any::<bool>().prop_map(lit)].boxed(),
        prop_oneof![Just(col("s")), Just(col("t")), texts().prop_map(lit)].boxed(),
    ];
    let [ints, reals, truths, words] = grow(grow(grow(leaves)));
    prop_oneof![ints, reals, truths, words]
}

fn any_batch() -> impl Strategy<Value = RecordBatch> {
    let numbers = (prop::option::weighted(0.8, extremes()), prop::option::weighted(0.8, extremes()));
    let reals = (prop::option::weighted(0.8, doubles()), prop::option::weighted(0.8, doubles()));
    let truths = (any::<Option<bool>>(), any::<Option<bool>>());
    let words = (prop::option::weighted(0.8, texts()), prop::option::weighted(0.8, texts()));
    prop::collection::vec((numbers, reals, truths, words, any::<Option<i32>>()), 0..20).prop_map(|rows| {
        let columns: [(&str, ArrayRef); 9] = [
            ("i", Arc::new(rows.iter().map(|row| row.0.0).collect::<Int64Array>())),
            ("j", Arc::new(rows.iter().map(|row| row.0.1).collect::<Int64Array>())),
            ("x", Arc::new(rows.iter().map(|row| row.1.0).collect::<Float64Array>())),
            ("y", Arc::new(rows.iter().map(|row| row.1.1).collect::<Float64Array>())),
            ("b", Arc::new(rows.iter().map(|row| row.2.0).collect::<BooleanArray>())),
            ("c", Arc::new(rows.iter().map(|row| row.2.1).collect::<BooleanArray>())),
            ("s", Arc::new(rows.iter().map(|row| row.3.0.clone()).collect::<StringViewArray>())),
            ("t", Arc::new(rows.iter().map(|row| row.3.1.clone()).collect::<StringViewArray>())),
            ("d", Arc::new(rows.iter().map(|row| row.4).collect::<Date32Array>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    })
}

fn entry(array: &ArrayRef, row: usize) -> Cell {
    use arrow::datatypes::DataType;
    if array.data_type() == &DataType::Null || array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::Boolean => Cell::Boolean(array.as_boolean().value(row)),
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8View => Cell::Text(array.as_string_view().value(row).to_string()),
        _ => Cell::Date(array.as_primitive::<Date32Type>().value(row)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn columns_at_once_give_what_rows_one_by_one_give(expr in any_expr(), batch in any_batch()) {
        let bound = expr.bind(batch.schema_ref()).map_err(|error| TestCaseError::fail(format!("{expr}: {error}")))?;
        let wanted: Vec<Answer> = (0..batch.num_rows())
            .map(|row| cell(&expr, &|name| entry(batch.column_by_name(name).unwrap(), row)))
            .collect();
        match bound.evaluate(&batch) {
            Ok(array) => {
                prop_assert_eq!(array.data_type(), &bound.data_type());
                prop_assert_eq!(array.len(), batch.num_rows());
                for (row, wanted) in wanted.iter().enumerate() {
                    let found = entry(&array, row);
                    match wanted {
                        Ok(wanted) => prop_assert!(same(&found, wanted), "{} row {}: {:?}, not {:?}", expr, row, found, wanted),
                        Err(Wrong) => prop_assert!(false, "{} row {}: {:?}, not an error", expr, row, found),
                    }
                }
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Arithmetic);
                // A constant that is wrong is an error even where a column has no rows to show it.
                prop_assert!(wanted.iter().any(Result::is_err) || batch.num_rows() == 0, "{}: {}", expr, error);
                prop_assert!(bound.can_fail());
            }
        }
    }
}
