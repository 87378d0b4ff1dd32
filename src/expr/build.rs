//! Building expressions in Rust: `col("DepDelay").gt(15).and(col("Month").eq(12))`.

use super::aggregates::built_in;
use super::function::Function;
use super::tree::{AggregateCall, BinaryOp, Expr, Literal, UnaryOp};
use crate::aggregate::{Measure, Ols};
use crate::types::ColumnType;
use std::ops;
use std::sync::Arc;

/// The column called `name`.
pub fn col(name: impl Into<Arc<str>>) -> Expr {
    Expr::Column(name.into())
}

/// A constant: a number, a text, a Boolean, or `None` for null.
pub fn lit(value: impl Into<Literal>) -> Expr {
    Expr::Literal(value.into())
}

/// The number of rows, `count(*)`.
pub fn count_rows() -> Expr {
    built_in("count", Vec::new())
}

/// The number of rows, as [`count_rows`].
pub fn len() -> Expr {
    count_rows()
}

/// The date of year, month (1 to 12) and day (1 to 31).
pub fn make_date(year: impl Into<Expr>, month: impl Into<Expr>, day: impl Into<Expr>) -> Expr {
    call(Function::MakeDate, [year.into(), month.into(), day.into()])
}

/// What the linear regression of `response` on `regressors` predicts for a row: `predicted(ols(y, x…))`. The fit is over all
/// rows, or over those of the row's group, in [`LazyFrame::with_group_columns`](crate::LazyFrame::with_group_columns).
pub fn predicted(response: impl Into<Expr>, regressors: impl IntoIterator<Item = Expr>) -> Expr {
    let regressors: Vec<Expr> = regressors.into_iter().collect();
    let model = Ols::new(regressors.iter().map(ToString::to_string), true).measure(Measure::Model);
    let args = std::iter::once(response.into()).chain(regressors.iter().cloned()).collect();
    let fit = Expr::Aggregate(AggregateCall { aggregate: Arc::new(model), args });
    call(Function::Predict, std::iter::once(fit).chain(regressors))
}

/// The fold of a row, 0 to `folds` − 1, by a hash of its identity: the same in every run, for any threads and partitions.
///
/// ```
/// use outcrop::expr::{col, fold};
/// use outcrop::{compute, scan_csv};
///
/// let air = scan_csv("testdata/airline/1987.csv.bz2")?;
/// let training = air.filter(fold(5, 42).not_eq(0));
/// let (all, kept): (i64, i64) = compute((air.count(), training.count()))?;
/// assert!((kept as f64 / all as f64 - 0.8).abs() < 0.02);
/// # Ok::<(), outcrop::Error>(())
/// ```
pub fn fold(folds: i64, seed: i64) -> Expr {
    call(Function::Fold, [lit(folds), lit(seed)])
}

/// A number uniform over [0, 1), by a hash of the row's identity: the same in every run, for any threads and partitions.
pub fn random(seed: i64) -> Expr {
    call(Function::Random, [lit(seed)])
}

/// The first of `values` that is not null.
pub fn coalesce(values: impl IntoIterator<Item = Expr>) -> Expr {
    call(Function::Coalesce, values)
}

/// The greatest of `values` that is not null.
pub fn greatest(values: impl IntoIterator<Item = Expr>) -> Expr {
    call(Function::Greatest, values)
}

/// The least of `values` that is not null.
pub fn least(values: impl IntoIterator<Item = Expr>) -> Expr {
    call(Function::Least, values)
}

/// Starts a choice: `when(c).then(a).otherwise(b)`.
pub fn when(condition: impl Into<Expr>) -> When {
    When { branches: Vec::new(), condition: condition.into() }
}

/// A choice that waits for the value of its last condition.
#[derive(Clone, Debug)]
pub struct When {
    branches: Vec<(Expr, Expr)>,
    condition: Expr,
}

impl When {
    /// The value where the condition is true.
    pub fn then(mut self, value: impl Into<Expr>) -> Then {
        self.branches.push((self.condition, value.into()));
        Then { branches: self.branches }
    }
}

/// A choice that may be ended or go on.
#[derive(Clone, Debug)]
pub struct Then {
    branches: Vec<(Expr, Expr)>,
}

impl Then {
    /// Another condition, asked where none before was true.
    pub fn when(self, condition: impl Into<Expr>) -> When {
        When { branches: self.branches, condition: condition.into() }
    }

    /// The value where no condition is true.
    pub fn otherwise(self, value: impl Into<Expr>) -> Expr {
        Expr::Case { branches: self.branches, otherwise: Some(Box::new(value.into())) }
    }

    /// Null where no condition is true.
    pub fn end(self) -> Expr {
        Expr::Case { branches: self.branches, otherwise: None }
    }
}

fn call(function: Function, args: impl IntoIterator<Item = Expr>) -> Expr {
    Expr::Function { function, args: args.into_iter().collect() }
}

macro_rules! literal_from {
    ($($from:ty => $variant:ident),*) => {
        $(impl From<$from> for Literal {
            fn from(value: $from) -> Self {
                Literal::$variant(value.into())
            }
        })*
    };
}

literal_from!(bool => Boolean, i64 => Int64, i32 => Int64, u32 => Int64, f64 => Float64, &str => Utf8, String => Utf8);

impl<T: Into<Literal>> From<Option<T>> for Literal {
    fn from(value: Option<T>) -> Self {
        value.map_or(Literal::Null, Into::into)
    }
}

impl<T: Into<Literal>> From<T> for Expr {
    fn from(value: T) -> Self {
        Expr::Literal(value.into())
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident $op:ident),*) => {
        $(impl<T: Into<Expr>> ops::$trait<T> for Expr {
            type Output = Expr;
            fn $method(self, other: T) -> Expr {
                self.binary(BinaryOp::$op, other)
            }
        })*
    };
}

operators!(Add add Add, Sub sub Sub, Mul mul Mul, Div div Divide, Rem rem Modulo);

impl ops::Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        self.unary(UnaryOp::Negate)
    }
}

impl ops::Not for Expr {
    type Output = Expr;
    fn not(self) -> Expr {
        self.unary(UnaryOp::Not)
    }
}

macro_rules! binary_methods {
    ($($(#[$doc:meta])* $method:ident $op:ident;)*) => {
        impl Expr {
            $($(#[$doc])* pub fn $method(self, other: impl Into<Expr>) -> Expr {
                self.binary(BinaryOp::$op, other)
            })*
        }
    };
}

binary_methods! {
    /// Whether equal; null if either is null. NaN equals itself, −0.0 equals 0.0.
    eq Eq;
    /// Whether different; null if either is null.
    not_eq NotEq;
    /// Whether below; NaN is above all numbers.
    lt Lt;
    /// Whether below or equal.
    lt_eq LtEq;
    /// Whether above; NaN is above all numbers.
    gt Gt;
    /// Whether above or equal.
    gt_eq GtEq;
    /// Whether both are true.
    and And;
    /// Whether one is true.
    or Or;
    /// The quotient rounded down, `//`.
    floor_div FloorDivide;
    /// This text followed by another, `||`.
    concat Concat;
}

macro_rules! function_methods {
    ($($(#[$doc:meta])* $method:ident($($arg:ident),*) $function:ident;)*) => {
        impl Expr {
            $($(#[$doc])* pub fn $method(self $(, $arg: impl Into<Expr>)*) -> Expr {
                call(Function::$function, [self $(, $arg.into())*])
            })*
        }
    };
}

function_methods! {
    /// Upper case of this text.
    upper() Upper;
    /// Lower case of this text.
    lower() Lower;
    /// Number of characters of this text.
    length() Length;
    /// Up to `length` characters from `start`; the first is 1.
    substring(start, length) Substring;
    /// This text without white space at both ends.
    trim() Trim;
    /// Whether this text starts with `prefix`.
    starts_with(prefix) StartsWith;
    /// Whether this text ends with `suffix`.
    ends_with(suffix) EndsWith;
    /// Whether this text contains `part`.
    contains(part) Contains;
    /// This text with every `from` replaced by `to`.
    str_replace(from, to) Replace;
    /// This value without its sign.
    abs() Abs;
    /// The nearest whole number, halves away from zero.
    round() Round;
    /// Rounded to `digits` decimals, Float64.
    round_to(digits) Round;
    /// The largest whole number not above.
    floor() Floor;
    /// The smallest whole number not below.
    ceil() Ceil;
    /// Square root.
    sqrt() Sqrt;
    /// Natural logarithm.
    ln() Ln;
    /// Logarithm to base 10.
    log10() Log10;
    /// Logarithm to base 2.
    log2() Log2;
    /// ln(1 + x) of this x, precise near 0.
    log1p() Log1p;
    /// e to the power of this.
    exp() Exp;
    /// exp(x) − 1 of this x, precise near 0.
    expm1() Expm1;
    /// Cube root.
    cbrt() Cbrt;
    /// −1, 0 or 1.
    sign() Sign;
    /// Sine of this angle in radians.
    sin() Sin;
    /// Cosine of this angle in radians.
    cos() Cos;
    /// Tangent of this angle in radians.
    tan() Tan;
    /// Arc sine, in radians.
    asin() Asin;
    /// Arc cosine, in radians.
    acos() Acos;
    /// Arc tangent, in radians.
    atan() Atan;
    /// The angle of the point (`x`, this), from −π to π.
    atan2(x) Atan2;
    /// Hyperbolic sine.
    sinh() Sinh;
    /// Hyperbolic cosine.
    cosh() Cosh;
    /// Hyperbolic tangent.
    tanh() Tanh;
    /// Inverse hyperbolic sine.
    asinh() Asinh;
    /// Inverse hyperbolic cosine.
    acosh() Acosh;
    /// Inverse hyperbolic tangent.
    atanh() Atanh;
    /// √(x² + y²) of this x and `y`, without overflow on the way.
    hypot(y) Hypot;
    /// These radians in degrees.
    degrees() Degrees;
    /// These degrees in radians.
    radians() Radians;
    /// The gamma function.
    gamma() Gamma;
    /// Natural logarithm of the gamma function's magnitude.
    lgamma() Lgamma;
    /// The error function.
    erf() Erf;
    /// 1 − erf(x) of this x, precise far from 0.
    erfc() Erfc;
    /// Whether this is NaN.
    is_nan() IsNan;
    /// Whether this is neither NaN nor infinite.
    is_finite() IsFinite;
    /// Whether this is infinite.
    is_infinite() IsInfinite;
    /// This to the power of `exponent`, Float64.
    power(exponent) Power;
    /// Year of this date or time.
    year() Year;
    /// Quarter, 1 to 4.
    quarter() Quarter;
    /// Month, 1 to 12.
    month() Month;
    /// ISO 8601 week, 1 to 53.
    week() Week;
    /// Day of the month, 1 to 31.
    day() Day;
    /// Day of the year, 1 to 366.
    day_of_year() DayOfYear;
    /// Day of the week, Monday = 1 to Sunday = 7.
    isodow() IsoDow;
    /// Day of the week, Sunday = 0 to Saturday = 6.
    dow() Dow;
    /// Hour of this Timestamp.
    hour() Hour;
    /// Minute of this Timestamp.
    minute() Minute;
    /// Second of this Timestamp.
    second() Second;
    /// This, or `other` where this is null.
    coalesce(other) Coalesce;
    /// Null where this equals `other`, else this.
    nullif(other) Nullif;
}

impl Expr {
    fn binary(self, op: BinaryOp, other: impl Into<Expr>) -> Expr {
        Expr::Binary { left: Box::new(self), op, right: Box::new(other.into()) }
    }

    fn unary(self, op: UnaryOp) -> Expr {
        Expr::Unary { op, expr: Box::new(self) }
    }

    /// Whether this is false; null stays null. The same as `!expr`.
    #[allow(
        clippy::should_implement_trait,
        reason = "the trait is implemented too; the method reads better in a chain"
    )]
    pub fn not(self) -> Expr {
        self.unary(UnaryOp::Not)
    }

    /// The logarithm of this to `base`.
    pub fn log(self, base: impl Into<Expr>) -> Expr {
        call(Function::Log, [base.into(), self])
    }

    /// Whether this is null.
    pub fn is_null(self) -> Expr {
        self.unary(UnaryOp::IsNull)
    }

    /// Whether this is not null.
    pub fn is_not_null(self) -> Expr {
        self.unary(UnaryOp::IsNotNull)
    }

    /// Whether this lies between `low` and `high`, both included.
    pub fn between(self, low: impl Into<Expr>, high: impl Into<Expr>) -> Expr {
        self.clone().gt_eq(low).and(self.lt_eq(high))
    }

    /// Whether this equals one of `list`.
    pub fn is_in<T: Into<Expr>>(self, list: impl IntoIterator<Item = T>) -> Expr {
        Expr::InList { expr: Box::new(self), list: list.into_iter().map(Into::into).collect() }
    }

    /// Whether this text matches `pattern`, where `%` stands for any text and `_` for any character.
    pub fn like(self, pattern: impl Into<Expr>) -> Expr {
        Expr::Like { expr: Box::new(self), pattern: Box::new(pattern.into()), ignore_case: false }
    }

    /// This converted to a type; a value that does not convert is an error.
    pub fn cast(self, to: ColumnType) -> Expr {
        Expr::Cast { expr: Box::new(self), to, try_: false }
    }

    /// This converted to a type; a value that does not convert gives null.
    pub fn try_cast(self, to: ColumnType) -> Expr {
        Expr::Cast { expr: Box::new(self), to, try_: true }
    }

    /// The start of the `unit` (`year`, `quarter`, `month`, `week`, `day`, `hour`, `minute`, `second`) this lies in.
    pub fn date_trunc(self, unit: &str) -> Expr {
        call(Function::DateTrunc, [lit(unit), self])
    }

    /// This under the name `name`.
    pub fn alias(self, name: impl Into<Arc<str>>) -> Expr {
        Expr::Alias { expr: Box::new(self), name: name.into() }
    }
}
