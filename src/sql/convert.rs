//! sqlparser's tree to ours.

use super::dialect::Grammar;
use super::foreign::{refuse, retold};
use super::over::Windowed;
use super::patterns::Match;
use super::quantified::Quantified;
use super::rows::values_of;
use super::select::name_arguments;
use super::stopped::with_meaning;
use super::syntax::{MAX_DEPTH, MAX_NESTING, exclusions, left_over, parser_error, refuse_long_chains, too_deep};
use super::words::Words;
use crate::aggregate;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::civil;
use crate::expr::decimal;
use crate::expr::display::RESERVED;
use crate::expr::{BinaryOp, Expr, Function, Literal, UnaryOp, lit};
use crate::types::ColumnType;
use sqlparser::ast::{self, BinaryOperator, CastKind, DataType, ExactNumberInfo};
use sqlparser::ast::{Spanned, TypedString, UnaryOperator, Value};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};
use std::ops::Range;

/// The expression that the words `range` are, all of them; it has no table, so neither windows nor queries are in it.
pub(super) fn expression(words: &Words, range: Range<usize>) -> Result<Expr> {
    let tree = parsed(words, range.clone())?;
    Converter { words, range, names: None }.convert(&tree, 0)
}

/// The tree of the words `range`, which are an expression.
pub(super) fn parsed(words: &Words, range: Range<usize>) -> Result<ast::Expr> {
    if range.is_empty() {
        return Err(words.error(ErrorKind::Syntax, "an expression is missing", range));
    }
    refuse(words, range.clone())?;
    refuse_long_chains(words, range.clone())?;
    let has_query = words.has_query(&range);
    let grammar = if has_query { Grammar::WITH_QUERIES } else { Grammar::QUESTION };
    let tokens = retold(prepared(words, range.clone())?);
    let mut parser = Parser::new(&grammar).with_recursion_limit(MAX_NESTING).with_tokens_with_locations(tokens);
    let tree = parser.parse_expr().map_err(|error| parser_error(words, &range, &error))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let at = words.starting_at(next.span.start).unwrap_or(range.end - 1);
        return Err(with_meaning(left_over(words, at), words, &range, at));
    }
    Ok(tree)
}

/// The words `range` as the parser takes them: without what it does not know, and with arguments named as it knows it.
pub(super) fn prepared(words: &Words, range: Range<usize>) -> Result<Vec<TokenWithSpan>> {
    let mut tokens = words.tokens(range.clone());
    name_arguments(&mut tokens);
    let dropped = exclusions(words, range.clone())?;
    let mut at = range.start;
    tokens.retain(|_| {
        at += 1;
        !dropped.contains(&(at - 1))
    });
    Ok(tokens)
}

/// What the names and the inner queries of an expression stand for, where it is part of a statement.
pub(super) trait Names {
    /// The column of these parts, `column` or `table.column`.
    fn column(&self, parts: &[ast::Ident]) -> Result<Expr>;

    /// The value of a query in parentheses.
    fn value_of(&self, query: &ast::Query) -> Result<Expr>;

    /// Whether a query has rows; refused where its value is.
    fn exists(&self, query: &ast::Query) -> Result<Expr> {
        self.value_of(query)
    }

    /// The windows that are named behind `window`.
    fn named_windows(&self) -> &[ast::NamedWindowDefinition] {
        &[]
    }

    /// The column of a window function.
    fn window(&self, windowed: Windowed) -> Result<Expr> {
        let message = format!("the window function `{}` cannot stand in this place", windowed.call);
        Err(Error::new(ErrorKind::Syntax, message).hint(WINDOW_PLACES))
    }

    /// Whether a value is among those of a query; refused where queries are.
    fn member_of(&self, _value: &Expr, query: &ast::Query) -> Result<Expr> {
        self.value_of(query)
    }

    /// Whether a value compares so with those of a query; refused where queries are.
    fn compared(&self, _value: &Expr, _how: Quantified, query: &ast::Query) -> Result<Expr> {
        self.value_of(query)
    }

    /// Whether `predicted` and `residual` may stand here.
    fn predicts(&self) -> bool {
        false
    }

    /// Which of these keys a group is not one of, as the bits of a number; refused where there are no groups.
    fn grouping(&self, _keys: Vec<Expr>, _span: Span) -> Result<Expr> {
        Err(Error::new(ErrorKind::Unsupported, "`grouping` in this place is not supported")
            .hint("it stands in the select list, in `having` and in `order by`"))
    }
}

/// Where window functions may stand.
pub(super) const WINDOW_PLACES: &str =
    "window functions stand in a select list, in `qualify` and in `sort` (`order by`)";

/// The column of a name by itself, whose table is not known: a column with a dot in its name, or one with its table before it.
pub(super) fn column(parts: &[ast::Ident]) -> Result<Expr> {
    if let [name] = parts
        && name.quote_style.is_none()
        && RESERVED.iter().any(|word| word.eq_ignore_ascii_case(&name.value))
    {
        let error = Error::new(ErrorKind::Syntax, format!("`{}` is a word of the language", name.value));
        return Err(error.hint(format!("a column of that name is written in backticks: `{}`", name.value)));
    }
    let name: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
    Ok(Expr::Column(name.join(".").into()))
}

pub(super) struct Converter<'a> {
    pub(super) words: &'a Words,
    /// The words of the expression.
    pub(super) range: Range<usize>,
    pub(super) names: Option<&'a dyn Names>,
}

impl Converter<'_> {
    /// The error with its place, if it has none yet.
    pub(super) fn placed<T>(&self, result: Result<T>, span: Span) -> Result<T> {
        result.map_err(|error| match error.underlined() {
            Some(_) => error,
            None => {
                let within = self.bytes(span);
                let place = self.mentioned(&error, &within).unwrap_or(within);
                error.underline(&self.words.text, place)
            }
        })
    }

    /// Where the name stands that an error mentions first; an aggregate may have been written by another one.
    fn mentioned(&self, error: &Error, within: &Range<usize>) -> Option<Range<usize>> {
        let name = error.message().split('`').nth(1)?;
        let is_call = |at: usize| match (self.words.token(at), self.words.token(at + 1)) {
            (Some(Token::Word(word)), Some(Token::LParen)) => {
                aggregate::find(&word.value, 1).is_ok_and(|found| found.name() == name)
            }
            _ => false,
        };
        let places = (0..self.words.len()).map(|at| (at, self.words.bytes(at..at + 1)));
        let mut inside = places.filter(|(_, place)| within.start <= place.start && place.end <= within.end);
        inside.find(|(at, _)| self.words.reads(*at, name) || is_call(*at)).map(|(_, place)| place)
    }

    /// An error of `kind` at `span`.
    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>, span: Span) -> Error {
        Error::new(kind, message).underline(&self.words.text, self.bytes(span))
    }

    pub(super) fn unsupported(&self, what: &str, span: Span) -> Error {
        self.error(ErrorKind::Unsupported, format!("{what} is not supported"), span)
    }

    /// The function of a part of a date.
    pub(super) fn part(&self, name: &str, tree: &ast::Expr) -> Result<Function> {
        let function = Function::find(name).filter(|function| is_date_part(*function));
        function.ok_or_else(|| {
            let is_it = |at: &usize| {
                self.words.reads(*at, name)
                    || matches!(self.words.token(*at), Some(Token::SingleQuotedString(text)) if text == name)
            };
            let message = format!("`{name}` is not a part of a date");
            match self.range.clone().find(is_it) {
                Some(at) => self.words.error(ErrorKind::Name, message, at..at + 1),
                None => self.error(ErrorKind::Name, message, tree.span()),
            }
            .hint("parts are year, quarter, month, week, day, doy, isodow, dow, hour, minute, second and epoch")
        })
    }

    fn boxed(&self, tree: &ast::Expr, depth: usize) -> Result<Box<Expr>> {
        self.convert(tree, depth).map(Box::new)
    }

    pub(super) fn convert(&self, tree: &ast::Expr, depth: usize) -> Result<Expr> {
        if depth > MAX_DEPTH {
            return Err(too_deep(self.words, self.range.clone()));
        }
        let depth = depth + 1;
        let unary = |op, expr: &ast::Expr| Ok(Expr::Unary { op, expr: self.boxed(expr, depth)? });
        match tree {
            ast::Expr::Nested(inner) => self.convert(inner, depth),
            ast::Expr::Identifier(name) => self.column(std::slice::from_ref(name), name.span),
            ast::Expr::CompoundIdentifier(parts) => self.column(parts, tree.span()),
            ast::Expr::CompoundFieldAccess { root, access_chain } => {
                self.measure_of_fit(root, access_chain, tree, depth)
            }
            ast::Expr::Value(value) => self.value(&value.value, "", tree),
            ast::Expr::TypedString(typed) => self.typed_string(typed, tree, depth),
            ast::Expr::IsNull(expr) => unary(UnaryOp::IsNull, expr),
            ast::Expr::IsNotNull(expr) => unary(UnaryOp::IsNotNull, expr),
            ast::Expr::UnaryOp { op: UnaryOperator::Not, expr } => unary(UnaryOp::Not, expr),
            ast::Expr::UnaryOp { op: UnaryOperator::Plus, expr } => self.convert(expr, depth),
            ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
                ast::Expr::Value(value) if matches!(value.value, Value::Number(..)) => {
                    self.value(&value.value, "-", tree)
                }
                _ => unary(UnaryOp::Negate, expr),
            },
            ast::Expr::BinaryOp { .. } => self.chain(tree, depth),
            ast::Expr::Between { expr, negated, low, high } => {
                let value = self.convert(expr, depth)?;
                let (low, high) = (self.convert(low, depth)?, self.convert(high, depth)?);
                Ok(negate(*negated, value.between(low, high)))
            }
            ast::Expr::InList { expr, list, negated } => {
                if let Some(row) = values_of(expr) {
                    return Ok(negate(*negated, self.row_in_list(row, list, tree.span(), depth)?));
                }
                let expr = self.boxed(expr, depth)?;
                let list = list.iter().map(|item| self.convert(item, depth)).collect::<Result<_>>()?;
                Ok(negate(*negated, Expr::InList { expr, list }))
            }
            ast::Expr::Like { negated, any: false, expr, pattern, escape_char }
            | ast::Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                let (expr, pattern) = (self.boxed(expr, depth)?, self.convert(pattern, depth)?);
                let pattern = Box::new(self.escaped(pattern, escape_char.as_deref(), tree.span())?);
                let ignore_case = matches!(tree, ast::Expr::ILike { .. });
                Ok(negate(*negated, Expr::Like { expr, pattern, ignore_case }))
            }
            ast::Expr::RLike { negated, expr, pattern, .. } => {
                let (text, how) = (self.convert(expr, depth)?, Match::plain(*negated));
                self.found(how, text, self.convert(pattern, depth)?, pattern.span())
            }
            ast::Expr::Cast { kind, expr, data_type, format: None } => self.cast(kind, expr, data_type, depth),
            ast::Expr::Extract { field, expr, .. } => {
                let function = self.part(field.to_string().trim_matches('\''), tree)?;
                Ok(Expr::Function { function, args: vec![self.convert(expr, depth)?] })
            }
            ast::Expr::Case { operand, conditions, else_result, .. } => {
                let operand = operand.as_deref().map(|operand| self.convert(operand, depth)).transpose()?;
                let mut branches = Vec::with_capacity(conditions.len());
                for branch in conditions {
                    let condition = self.convert(&branch.condition, depth)?;
                    let condition = match &operand {
                        Some(operand) => operand.clone().eq(condition),
                        None => condition,
                    };
                    branches.push((condition, self.convert(&branch.result, depth)?));
                }
                let otherwise = else_result.as_deref().map(|value| self.boxed(value, depth)).transpose()?;
                Ok(Expr::Case { branches, otherwise })
            }
            ast::Expr::Function(call) => self.call(call, tree, depth),
            ast::Expr::Tuple(_) => Err(self
                .unsupported("a list or a row in this place", tree.span())
                .hint("lists stand behind `in`; rows are compared: (a, b) = (1, 2), (a, b) in ((1, 2), (3, 4))")),
            other => self.form(other, depth),
        }
    }

    /// `cast(expr as data_type)`.
    pub(super) fn cast(&self, kind: &CastKind, expr: &ast::Expr, data_type: &DataType, depth: usize) -> Result<Expr> {
        if let Some(rounded) = self.decimal(data_type, expr, kind, depth)? {
            return Ok(rounded);
        }
        let to = self.of_type(ColumnType::parse(&data_type.to_string()))?;
        Ok(Expr::Cast { expr: self.boxed(expr, depth)?, to, try_: is_try(kind) })
    }

    /// An error about a type, which the parser gives no place, where its name stands.
    fn of_type<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            let within = self.words.bytes(self.range.clone());
            let place = self.mentioned(&error, &within).unwrap_or(within);
            error.underline(&self.words.text, place)
        })
    }

    /// A cast to `decimal(p, s)`, which is a function of numbers; `None` for other types.
    fn decimal(&self, to: &DataType, expr: &ast::Expr, kind: &CastKind, depth: usize) -> Result<Option<Expr>> {
        let (DataType::Decimal(digits) | DataType::Numeric(digits) | DataType::Dec(digits)) = to else {
            return Ok(None);
        };
        let (precision, scale) = match *digits {
            ExactNumberInfo::None => return Ok(None),
            ExactNumberInfo::Precision(precision) => (precision, 0),
            ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
        };
        let precision = i64::try_from(precision).unwrap_or(i64::MAX);
        if !decimal::is_known(precision, scale) {
            let name = to.to_string().to_lowercase();
            let name = name.split('(').next().unwrap_or_default();
            let message = format!("`{name}` has from 1 to 38 digits, and no more of them behind the point");
            return self.of_type(Err(Error::new(ErrorKind::Type, message)));
        }
        let function = if is_try(kind) { Function::TryToDecimal } else { Function::ToDecimal };
        let args = vec![self.convert(expr, depth)?, lit(precision), lit(scale)];
        Ok(Some(Expr::Function { function, args }))
    }

    /// Operators in a row, `a + b + c`, which lean to the left: their spine is walked in a loop, for the frames of
    /// `convert` are large.
    fn chain(&self, tree: &ast::Expr, depth: usize) -> Result<Expr> {
        let mut spine = Vec::new();
        let mut first = tree;
        while let ast::Expr::BinaryOp { left, op, right } = first {
            if compares(op) && matches!(left.as_ref(), ast::Expr::BinaryOp { op, .. } if compares(op)) {
                return Err(self.comparisons_in_a_row(first));
            }
            if compares(op) && (values_of(left).is_some() || values_of(right).is_some()) {
                break;
            }
            spine.push((op, right.as_ref(), first));
            first = left;
        }
        let inner = depth + spine.len();
        let rows = self.compared_rows(first, inner)?;
        // An interval may stand before what it is added to.
        let length = self.interval_of(first, inner)?;
        let mut whole = match (length, spine.last()) {
            (None, _) => rows.map_or_else(|| self.convert(first, inner), Ok)?,
            (Some(length), Some((op, right, node))) if **op == BinaryOperator::Plus => {
                let value = self.convert(right, inner)?;
                let later = self.later(value, op, length, node)?;
                spine.pop();
                later
            }
            (Some(_), _) => {
                let error = self.unsupported("an interval in this place", first.span());
                return Err(error.hint("it may stand behind `+` or `-`: d + interval '1 month'"));
            }
        };
        for (op, right, node) in spine.into_iter().rev() {
            if let Some(length) = self.interval_of(right, inner)? {
                whole = self.later(whole, op, length, node)?;
                continue;
            }
            let right_side = self.convert(right, inner)?;
            whole = match (op, Match::of(op)) {
                (_, Some(how)) => self.found(how, whole, right_side, right.span())?,
                // A function of two.
                (BinaryOperator::BitwiseXor, None) => whole.power(right_side),
                (op, None) => {
                    let op = self.operator(op, node)?;
                    Expr::Binary { left: Box::new(whole), op, right: Box::new(right_side) }
                }
            };
        }
        Ok(whole)
    }

    /// The error for `a < b < c`, and for `a < b || c < d`, in which `||` binds first.
    fn comparisons_in_a_row(&self, whole: &ast::Expr) -> Error {
        let message = "a comparison is no operand of another one";
        let place = self.bytes(whole.span());
        let is_joining = |at: &usize| {
            let bytes = self.words.bytes(*at..*at + 1);
            self.words.token(*at) == Some(&Token::StringConcat) && place.contains(&bytes.start)
        };
        match self.range.clone().find(is_joining) {
            Some(at) => self
                .words
                .error(ErrorKind::Syntax, message, at..at + 1)
                .hint("`||` joins texts; conditions are joined with `or`"),
            None => self
                .error(ErrorKind::Syntax, message, whole.span())
                .hint("write `a < b and b < c` or `b between a and c`; or put one of them in parentheses"),
        }
    }

    pub(super) fn bytes(&self, span: Span) -> Range<usize> {
        self.words.span_bytes(span).unwrap_or_else(|| self.words.bytes(self.range.clone()))
    }

    fn column(&self, parts: &[ast::Ident], span: Span) -> Result<Expr> {
        self.placed(self.names.map_or_else(|| column(parts), |names| names.column(parts)), span)
    }

    fn value(&self, value: &Value, sign: &str, node: &ast::Expr) -> Result<Expr> {
        Ok(Expr::Literal(match value {
            Value::Null => Literal::Null,
            Value::Boolean(value) => Literal::Boolean(*value),
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Literal::Utf8(text.as_str().into()),
            Value::Number(digits, false) => {
                let number = format!("{sign}{digits}");
                if digits.contains(['.', 'e', 'E']) {
                    let value = fast_float2::parse(&number).ok();
                    let bad = || self.error(ErrorKind::Syntax, format!("`{number}` is not a number"), node.span());
                    Literal::Float64(value.ok_or_else(bad)?)
                } else {
                    Literal::Int64(number.parse().map_err(|_| {
                        self.error(ErrorKind::Syntax, format!("`{number}` is beyond the range of Int64"), node.span())
                            .hint(format!("write {number}.0 for a Float64"))
                    })?)
                }
            }
            Value::Placeholder(_) => {
                return Err(self.unsupported("a placeholder", node.span()).hint("the value stands in its place"));
            }
            _ => return Err(self.unsupported("this kind of constant", node.span()).hint(CONSTANTS)),
        }))
    }

    fn typed_string(&self, typed: &TypedString, node: &ast::Expr, depth: usize) -> Result<Expr> {
        let (Value::SingleQuotedString(text) | Value::DoubleQuotedString(text)) = &typed.value.value else {
            return Err(self.unsupported("this kind of constant", node.span()).hint(CONSTANTS));
        };
        let (literal, shape) = match typed.data_type {
            DataType::Date => (civil::parse_date(text).map(Literal::Date), "date '2001-12-31'"),
            DataType::Timestamp(..) | DataType::Datetime(_) => {
                (civil::parse_timestamp(text).map(Literal::Timestamp), "timestamp '2001-12-31 23:59:00'")
            }
            ref other => return self.cast(&CastKind::Cast, &ast::Expr::Value(typed.value.clone()), other, depth),
        };
        literal.map(Expr::Literal).ok_or_else(|| {
            self.error(ErrorKind::Syntax, format!("'{text}' is not a date that exists"), node.span())
                .hint(format!("write {shape}"))
        })
    }

    pub(super) fn operator(&self, op: &BinaryOperator, node: &ast::Expr) -> Result<BinaryOp> {
        Ok(match op {
            BinaryOperator::Plus => BinaryOp::Add,
            BinaryOperator::Minus => BinaryOp::Sub,
            BinaryOperator::Multiply => BinaryOp::Mul,
            BinaryOperator::Divide => BinaryOp::Divide,
            BinaryOperator::DuckIntegerDivide => BinaryOp::FloorDivide,
            BinaryOperator::Modulo => BinaryOp::Modulo,
            BinaryOperator::StringConcat => BinaryOp::Concat,
            BinaryOperator::Eq => BinaryOp::Eq,
            BinaryOperator::NotEq => BinaryOp::NotEq,
            BinaryOperator::Lt => BinaryOp::Lt,
            BinaryOperator::LtEq => BinaryOp::LtEq,
            BinaryOperator::Gt => BinaryOp::Gt,
            BinaryOperator::GtEq => BinaryOp::GtEq,
            BinaryOperator::And => BinaryOp::And,
            BinaryOperator::Or => BinaryOp::Or,
            other => {
                let error = self.unsupported(&format!("the operator `{other}`"), node.span());
                return Err(error.hint("there are + - * / // % ^ || = <> < <= > >= ~ and or not"));
            }
        })
    }
}

/// Which constants there are.
const CONSTANTS: &str =
    "constants are 1, 1.5, 'text', true, false, null, date '2001-12-31' and timestamp '2001-12-31 23:59:00'";

fn is_try(kind: &CastKind) -> bool {
    matches!(kind, CastKind::TryCast | CastKind::SafeCast)
}

fn negate(negated: bool, expr: Expr) -> Expr {
    if negated { expr.not() } else { expr }
}

fn is_date_part(function: Function) -> bool {
    matches!(
        function,
        Function::Year
            | Function::Quarter
            | Function::Month
            | Function::Week
            | Function::Day
            | Function::DayOfYear
            | Function::IsoDow
            | Function::Dow
            | Function::Hour
            | Function::Minute
            | Function::Second
            | Function::Epoch
    )
}

fn compares(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}
