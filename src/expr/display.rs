//! Expressions as text: what users would have typed, with no more parentheses than needed.

use super::civil;
use super::function::Function;
use super::tree::{AggregateCall, BinaryOp, Expr, Literal, UnaryOp};
use std::fmt::{self, Display, Formatter, Write};

/// How tightly an operator binds; higher binds tighter. The order is that of the parser.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Alias,
    Or,
    And,
    Not,
    Is,
    Like,
    Compare,
    Sum,
    Product,
    Negate,
    Atom,
}

/// Words that mean something in an expression or a question; a column of that name is written in backticks.
pub(crate) const RESERVED: [&str; 32] = [
    "and", "or", "not", "is", "null", "in", "between", "like", "ilike", "escape", "case", "when", "then", "else",
    "end", "true", "false", "as", "by", "group", "where", "having", "sort", "order", "limit", "asc", "desc", "select",
    "from", "join", "cast", "try_cast",
];

/// Whether `name` may stand without backticks.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start)
        && chars.all(is_name_part)
        && !RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// Whether a name without backticks may start with `ch`.
pub(crate) fn is_name_start(ch: char) -> bool {
    ch == '_' || ch.is_alphabetic()
}

/// Whether a name without backticks may go on with `ch`.
pub(crate) fn is_name_part(ch: char) -> bool {
    ch == '_' || ch.is_alphanumeric()
}

struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_plain_name(self.0) { f.write_str(self.0) } else { write_quoted(f, self.0, '`') }
    }
}

fn write_quoted(f: &mut Formatter<'_>, text: &str, quote: char) -> fmt::Result {
    f.write_char(quote)?;
    for ch in text.chars() {
        if ch == quote {
            f.write_char(quote)?;
        }
        f.write_char(ch)?;
    }
    f.write_char(quote)
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("null"),
            Literal::Boolean(value) => write!(f, "{value}"),
            Literal::Int64(value) => write!(f, "{value}"),
            Literal::Float64(value) if value.is_finite() => f.write_str(ryu::Buffer::new().format_finite(*value)),
            Literal::Float64(value) => write!(f, "cast('{value}' as float64)"),
            Literal::Utf8(text) => write_quoted(f, text, '\''),
            Literal::Date(days) => write!(f, "date '{}'", civil::Date(*days)),
            Literal::Timestamp(micros) => write!(f, "timestamp '{}'", civil::Timestamp(*micros)),
        }
    }
}

impl BinaryOp {
    /// The operator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Divide => "/",
            BinaryOp::FloorDivide => "//",
            BinaryOp::Modulo => "%",
            BinaryOp::Concat => "||",
            BinaryOp::Eq => "=",
            BinaryOp::NotEq => "<>",
            BinaryOp::Lt => "<",
            BinaryOp::LtEq => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::GtEq => ">=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
        }
    }

    fn level(self) -> Level {
        match self {
            BinaryOp::Or => Level::Or,
            BinaryOp::And => Level::And,
            BinaryOp::Add | BinaryOp::Sub => Level::Sum,
            BinaryOp::Mul | BinaryOp::Divide | BinaryOp::FloorDivide | BinaryOp::Modulo | BinaryOp::Concat => {
                Level::Product
            }
            _ => Level::Compare,
        }
    }
}

fn level(expr: &Expr) -> Level {
    match expr {
        Expr::Alias { .. } => Level::Alias,
        Expr::Unary { op: UnaryOp::Not, .. } => match negated(expr) {
            Some(inner) => level(inner),
            None => Level::Not,
        },
        Expr::Unary { op: UnaryOp::Negate, .. } => Level::Negate,
        Expr::Literal(Literal::Int64(value)) if *value < 0 => Level::Negate,
        Expr::Literal(Literal::Float64(value)) if value.is_finite() && value.is_sign_negative() => Level::Negate,
        Expr::Unary { .. } => Level::Is,
        Expr::Like { .. } => Level::Like,
        Expr::InList { .. } => Level::Compare,
        Expr::Binary { op, .. } => op.level(),
        _ => Level::Atom,
    }
}

/// The operand of a `not` that is written inside the operator: `x not in (…)`, `x not like …`.
fn negated(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Unary { op: UnaryOp::Not, expr } if matches!(**expr, Expr::InList { .. } | Expr::Like { .. }) => {
            Some(expr)
        }
        _ => None,
    }
}

/// `expr`, in parentheses if it binds more loosely than `least`.
struct At<'a>(&'a Expr, Level);

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if level(self.0) < self.1 { write!(f, "({})", self.0) } else { write!(f, "{}", self.0) }
    }
}

/// The fit in `predicted(ols(…))`, which stands for a model and its regressors.
fn fit_of(function: Function, args: &[Expr]) -> Option<String> {
    let (Function::Predict, [Expr::Aggregate(fit), regressors @ ..]) = (function, args) else { return None };
    let own = fit.args.get(1..1 + regressors.len()).filter(|own| *own == regressors);
    own.and_then(|_| fit.to_string().strip_suffix(".model").map(str::to_owned))
}

struct List<'a>(&'a [Expr]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, expr) in self.0.iter().enumerate() {
            write!(f, "{}{expr}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

fn write_membership(f: &mut Formatter<'_>, expr: &Expr, not: &str) -> fmt::Result {
    match expr {
        Expr::InList { expr, list } => write!(f, "{} {not}in ({})", At(expr, Level::Compare), List(list)),
        Expr::Like { expr, pattern, ignore_case } => {
            let like = if *ignore_case { "ilike" } else { "like" };
            write!(f, "{} {not}{like} {}", At(expr, Level::Like), At(pattern, Level::Compare))
        }
        other => write!(f, "{other}"),
    }
}

impl Display for AggregateCall {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.aggregate.opening())?;
        if self.args.is_empty() {
            f.write_str("*")?;
        }
        let ordering = self.aggregate.ordering();
        let (own, keys) = self.args.split_at(self.args.len().saturating_sub(ordering.len()));
        for (at, arg) in own.iter().enumerate() {
            f.write_str(if at > 0 { ", " } else { "" })?;
            if let Some(name) = self.aggregate.argument_name(at) {
                write!(f, "{name} => ")?;
            }
            write!(f, "{arg}")?;
        }
        for constant in self.aggregate.constants() {
            write!(f, ", {}", Literal::from(constant))?;
        }
        for (at, (key, descending)) in keys.iter().zip(ordering).enumerate() {
            let (before, behind) = (if at > 0 { "," } else { " order by" }, if *descending { " desc" } else { "" });
            write!(f, "{before} {key}{behind}")?;
        }
        f.write_str(&self.aggregate.suffix())
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Column(name) => write!(f, "{}", Name(name)),
            Expr::Wildcard => f.write_str("*"),
            Expr::Literal(literal) => write!(f, "{literal}"),
            Expr::Alias { expr, name } => write!(f, "{expr} as {}", Name(name)),
            Expr::Unary { op: UnaryOp::Not, expr } => match negated(self) {
                Some(inner) => write_membership(f, inner, "not "),
                None => write!(f, "not {}", At(expr, Level::Not)),
            },
            // A literal after the sign would be read as a negative literal, and two signs as a comment.
            Expr::Unary { op: UnaryOp::Negate, expr } => match **expr {
                Expr::Literal(_) => write!(f, "-({expr})"),
                _ => write!(f, "-{}", At(expr, Level::Atom)),
            },
            Expr::Unary { op: UnaryOp::IsNull, expr } => write!(f, "{} is null", At(expr, Level::Is)),
            Expr::Unary { op: UnaryOp::IsNotNull, expr } => write!(f, "{} is not null", At(expr, Level::Is)),
            Expr::Binary { left, op, right } => {
                let level = op.level();
                let (left_level, right_level) = match level {
                    Level::Or => (level, Level::And),
                    Level::And => (level, Level::Not),
                    // Comparisons in a row are no expression.
                    Level::Compare => (Level::Sum, Level::Sum),
                    Level::Sum => (level, Level::Product),
                    _ => (level, Level::Negate),
                };
                write!(f, "{} {} {}", At(left, left_level), op.symbol(), At(right, right_level))
            }
            Expr::Function { function, args } => match fit_of(*function, args) {
                Some(fit) => write!(f, "predicted({fit})"),
                None => write!(f, "{function}({})", List(args)),
            },
            Expr::Cast { expr, to, try_ } => {
                let name = if *try_ { "try_cast" } else { "cast" };
                write!(f, "{name}({expr} as {})", to.to_string().to_lowercase())
            }
            Expr::Case { branches, otherwise } => {
                f.write_str("case")?;
                for (condition, value) in branches {
                    write!(f, " when {condition} then {value}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " else {otherwise}")?;
                }
                f.write_str(" end")
            }
            Expr::InList { .. } | Expr::Like { .. } => write_membership(f, self, ""),
            Expr::Aggregate(call) => write!(f, "{call}"),
        }
    }
}
