//! Queries inside of expressions, which become joins.
//!
//! What such a query says stands in columns that rows get beside their own: by a cross join with its one row, or by a left join with
//! a table in which each key is once. So a row stays one row, and the expression is one like others.

use super::from::filtered;
use super::query::{Lowering, distinct};
use super::scope::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, Literal, col, count_rows, lit, when};
use crate::frame::visible_names;
use crate::plan::{Join, JoinKind, LogicalPlan};
use crate::sql::quantified::Quantified;
use crate::types::ColumnType;
use sqlparser::ast::{self, Spanned};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A query that an expression asks.
#[derive(Clone, Debug)]
pub(super) struct Inner {
    /// The columns in which the expression finds what the query says.
    names: Vec<String>,
    joins: Vec<Beside>,
}

/// A table that stands beside rows.
#[derive(Clone, Debug)]
struct Beside {
    table: Arc<LogicalPlan>,
    /// Expressions over the rows, and over the table.
    on: Vec<(Expr, Expr)>,
    kind: JoinKind,
}

impl Beside {
    /// A table of one row.
    fn one_row(table: Arc<LogicalPlan>) -> Self {
        Beside { table, on: Vec::new(), kind: JoinKind::Cross }
    }

    /// A table that has each key once; rows without a match have nulls.
    fn by_key(table: Arc<LogicalPlan>, on: Vec<(Expr, Expr)>) -> Self {
        Beside { table, on, kind: JoinKind::Left }
    }
}

impl Inner {
    /// Whether a column is one of those that the expression finds.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    /// Whether one of these columns is.
    fn is_used(&self, columns: &BTreeSet<Arc<str>>) -> bool {
        self.names.iter().any(|own| columns.contains(own.as_str()))
    }

    /// The same query beside other rows, of which `change` tells what it asks.
    ///
    /// # Errors
    /// The first that `change` gives.
    pub(super) fn of_others(mut self, change: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Self> {
        for (ours, _) in self.joins.iter_mut().flat_map(|join| &mut join.on) {
            *ours = change(ours)?;
        }
        Ok(self)
    }

    /// The rows of `plan`, each with what the query says.
    pub(super) fn beside(self, plan: Arc<LogicalPlan>) -> Arc<LogicalPlan> {
        self.joins.into_iter().fold(plan, |plan, Beside { table, on, kind }| {
            Arc::new(LogicalPlan::Join(Join::new(plan, table, on, kind)))
        })
    }
}

/// A query whose columns stand in a table by keys.
pub(super) fn by_key(names: Vec<String>, table: Arc<LogicalPlan>, on: Vec<(Expr, Expr)>) -> Inner {
    Inner { names, joins: vec![Beside::by_key(table, on)] }
}

/// The rows of `plan` beside what queries say: all of them where there are no groups, else those that are asked `below`, of rows, by
/// keys and inside of aggregates; and the queries that stand beside groups, which `asked` expressions are about. Of `groups` there
/// are keys and these expressions.
pub(super) fn beside_rows<'a>(
    inner: Vec<Inner>,
    plan: Arc<LogicalPlan>,
    below: impl Iterator<Item = &'a Expr>,
    groups: Option<(&'a [Expr], Vec<&'a Expr>)>,
) -> (Arc<LogicalPlan>, Vec<Inner>) {
    let Some((keys, asked)) = groups else {
        return (inner.into_iter().fold(plan, |plan, inner| inner.beside(plan)), Vec::new());
    };
    let mut used: BTreeSet<Arc<str>> = below.chain(keys).flat_map(Expr::columns).collect();
    let mut named = BTreeSet::new();
    asked.iter().for_each(|expr| add_columns_of_groups(expr, keys, &mut named));
    for call in asked.into_iter().flat_map(Expr::aggregates) {
        used.extend(call.args.iter().flat_map(Expr::columns));
    }
    let (mut plan, mut of_groups) = (plan, Vec::new());
    for inner in inner {
        if inner.is_used(&used) {
            plan = inner.clone().beside(plan);
        }
        of_groups.extend(inner.is_used(&named).then_some(inner));
    }
    (plan, of_groups)
}

/// Adds the columns that stand neither in keys nor in aggregates.
fn add_columns_of_groups(expr: &Expr, keys: &[Expr], found: &mut BTreeSet<Arc<str>>) {
    match expr {
        Expr::Aggregate(_) => {}
        known if keys.contains(known) => {}
        Expr::Column(name) => {
            found.insert(Arc::clone(name));
        }
        other => other.children().into_iter().for_each(|child| add_columns_of_groups(child, keys, found)),
    }
}

/// A name that no column has by chance.
pub(super) fn name(number: usize) -> String {
    format!("value of query {number}")
}

impl Lowering<'_> {
    /// The value of a query of one column and at most one row, as the `number`th in its block.
    pub(super) fn value_of(&self, query: &ast::Query, number: usize, outer: &Scope) -> Result<(Inner, Expr)> {
        if let Some(correlated) = self.correlated(query, outer)? {
            return self.value_by_key(correlated, query, number);
        }
        let plan = self.only_columns(query, &[name(number)], outer)?;
        let rows = row_count(&plan);
        if rows == RowCount::Unknown {
            return Err(self
                .unsupported("a query that may have several rows, in the place of a value,", query.span())
                .hint("take an aggregate, such as max(x), or add `limit 1`"));
        }
        let join = match rows {
            RowCount::One => Beside::one_row(plan),
            // Without a row, the value is missing.
            _ => Beside::by_key(plan, vec![(lit(true), lit(true))]),
        };
        Ok((Inner { names: vec![name(number)], joins: vec![join] }, col(name(number))))
    }

    /// Whether a query has rows.
    pub(super) fn existence_of(&self, query: &ast::Query, number: usize, outer: &Scope) -> Result<(Inner, Expr)> {
        let correlated = self.correlated_rows(query, outer)?;
        if let Some(correlated) = correlated.filter(|correlated| !self.has_aggregate(correlated, outer)) {
            self.refuse_conditions_of_pairs(&correlated)?;
            let found = name(number);
            let (table, on) = correlated.keys_once(&found)?;
            return Ok((by_key(vec![found.clone()], table, on), col(found).is_not_null()));
        }
        let input = self.within(query, outer)?;
        let input = Arc::new(LogicalPlan::Limit { input, skip: 0, rows: 1 });
        let plan = Arc::new(counted(input, &[(count_rows(), name(number))])?);
        let inner = Inner { names: vec![name(number)], joins: vec![Beside::one_row(plan)] };
        Ok((inner, col(name(number)).gt(0)))
    }

    /// Whether a value is one of those of a query: unknown where it is missing, or not found and one of those is missing.
    pub(super) fn membership_of(
        &self,
        value: &Expr,
        query: &ast::Query,
        number: usize,
        outer: &Scope,
    ) -> Result<(Inner, Expr)> {
        if self.correlated(query, outer)?.is_some() {
            let what = "`in` with a query that uses columns of the query around it, in this place,";
            return Err(self.unsupported(what, query.span()).hint(BEHIND_WHERE));
        }
        let member = name(number);
        let (found, all, known) = (format!("{member}: found"), format!("{member}: all"), format!("{member}: known"));
        let members = self.only_columns(query, std::slice::from_ref(&member), outer);
        let members = members.map_err(|error| not_in_equations(error, BEHIND_WHERE))?;
        let counts = [(count_rows(), all.clone()), (col(member.as_str()).count(), known.clone())];
        let counts = Arc::new(counted(Arc::clone(&members), &counts)?);
        let input = Arc::new(distinct(members)?);
        let columns = vec![col(member.as_str()), lit(true).alias(found.as_str())];
        let once = Arc::new(LogicalPlan::Project { input, columns });
        let joins = vec![Beside::one_row(counts), Beside::by_key(once, vec![(value.clone(), col(member.as_str()))])];
        let (is_found, all_rows, known_rows) =
            (col(found.as_str()).is_not_null(), col(all.as_str()), col(known.as_str()));
        let is_open = value.clone().is_null().or(all_rows.clone().not_eq(known_rows));
        let unknown = Expr::Literal(Literal::Null);
        let membership = when(is_found).then(true).when(all_rows.eq(0)).then(false).when(is_open).then(unknown);
        Ok((Inner { names: vec![found, all, known], joins }, membership.otherwise(false)))
    }

    /// Whether a value compares so with one of those of a query, or with all of them: unknown where it is missing, or where one of
    /// those is and no other tells.
    pub(super) fn comparison_of(
        &self,
        value: &Expr,
        how: Quantified,
        query: &ast::Query,
        number: usize,
        outer: &Scope,
    ) -> Result<(Inner, Expr)> {
        if self.correlated(query, outer)?.is_some() {
            let what = "`any` or `all` of a query that uses columns of the query around it";
            return Err(self.unsupported(what, query.span()).hint(AGGREGATE));
        }
        if let Some(is_member) = how.is_membership() {
            let (inner, found) = self.membership_of(value, query, number, outer)?;
            return Ok((inner, if is_member { found } else { found.not() }));
        }
        let member = name(number);
        let named = |what: &str| format!("{member}: {what}");
        let (least, greatest, all, known) = (named("least"), named("greatest"), named("all"), named("known"));
        let members = self.only_columns(query, std::slice::from_ref(&member), outer);
        let members = members.map_err(|error| not_in_equations(error, AGGREGATE))?;
        let of_members = || col(member.as_str());
        let facts = [
            (of_members().min(), least.clone()),
            (of_members().max(), greatest.clone()),
            (count_rows(), all.clone()),
            (of_members().count(), known.clone()),
        ];
        let table = Arc::new(counted(members, &facts)?);
        let told = how.of_extremes(value, &col(least.as_str()), &col(greatest.as_str()));
        let is_open = value.clone().is_null().or(col(all.as_str()).not_eq(col(known.as_str())));
        // Of no values, all compare so, and none does.
        let of_none = when(col(all.as_str()).eq(0)).then(how.all);
        let told = if how.all { of_none.when(told.not()).then(false) } else { of_none.when(told).then(true) };
        let comparison = told.when(is_open).then(Expr::Literal(Literal::Null)).otherwise(how.all);
        Ok((Inner { names: vec![least, greatest, all, known], joins: vec![Beside::one_row(table)] }, comparison))
    }

    /// The rows of `plan` whose values are those of a row of a query, or are those of none.
    pub(super) fn among(
        &self,
        plan: Arc<LogicalPlan>,
        values: Vec<Expr>,
        query: &ast::Query,
        negated: bool,
        number: usize,
        outer: &Scope,
    ) -> Result<Arc<LogicalPlan>> {
        if let Some(correlated) = self.correlated(query, outer)? {
            return self.among_by_key(plan, values, correlated, query, negated);
        }
        let member = name(number);
        let names: Vec<String> = match values.len() {
            1 => vec![member.clone()],
            several => (1..=several).map(|at| format!("{member}: {at}")).collect(),
        };
        let members = self.only_columns(query, &names, outer)?;
        for (value, name) in values.iter().zip(&names) {
            let types = [
                value.bind(&*plan.schema()?)?.column_type(),
                col(name.as_str()).bind(&*members.schema()?)?.column_type(),
            ];
            if types[0].unify(types[1]) == ColumnType::Utf8 && types.iter().any(|known| known.is_numeric()) {
                let message = format!("`in` compares {} with the {} of the query", types[0], types[1]);
                return self.placed(Err(Error::new(ErrorKind::Type, message).hint("`cast` one of them")), query.span());
            }
        }
        let keys: Vec<_> = values.iter().cloned().zip(names.iter().map(|name| col(name.as_str()))).collect();
        if !negated {
            return Ok(Arc::new(LogicalPlan::Join(Join::new(plan, members, keys, JoinKind::Semi))));
        }
        let [value] = &values[..] else {
            return self.among_no_rows(plan, &values, &members, &names, query);
        };
        // A missing value may be any, and where one of those of the query is missing, any may be among them.
        let (all, known) = (format!("{member}: all"), format!("{member}: known"));
        let counts = [(count_rows(), all.clone()), (col(member.as_str()).count(), known.clone())];
        let counts = Arc::new(counted(Arc::clone(&members), &counts)?);
        let plan = Arc::new(LogicalPlan::Join(Join::new(plan, counts, Vec::new(), JoinKind::Cross)));
        let (all, known) = (col(all), col(known));
        let is_told = all.clone().eq(0).or(all.eq(known).and(value.clone().is_not_null()));
        Ok(Arc::new(LogicalPlan::Join(Join::new(filtered(plan, is_told), members, keys, JoinKind::Anti))))
    }

    /// The rows of `plan` for which a query has rows, or has none.
    pub(super) fn existing(
        &self,
        plan: Arc<LogicalPlan>,
        query: &ast::Query,
        negated: bool,
        number: usize,
        outer: &Scope,
    ) -> Result<Arc<LogicalPlan>> {
        let correlated = self.correlated_rows(query, outer)?;
        if let Some(correlated) = correlated.filter(|correlated| !self.has_aggregate(correlated, outer)) {
            return Ok(self.with_rows_in(plan, correlated, negated));
        }
        let (inner, exists) = self.existence_of(query, number, outer)?;
        Ok(filtered(inner.beside(plan), if negated { exists.not() } else { exists }))
    }

    /// The rows of `plan` whose values are those of no row of a table, and cannot be where values are missing: by an anti join for
    /// each choice of values that a row has, and each choice of these that are compared, with the rows that lack the others of them.
    fn among_no_rows(
        &self,
        mut plan: Arc<LogicalPlan>,
        values: &[Expr],
        members: &Arc<LogicalPlan>,
        names: &[String],
        query: &ast::Query,
    ) -> Result<Arc<LogicalPlan>> {
        if values.len() > MOST_IN_ROW {
            let error =
                self.unsupported(&format!("`not in` with a row of {} values and a query", values.len()), query.span());
            return Err(
                error.hint(format!("they may be {MOST_IN_ROW}; `not exists (select … where x = a and …)` takes more"))
            );
        }
        let has = |choice: usize, at: usize| choice >> at & 1 == 1;
        let missing = |expr: Expr, is_missing: bool| if is_missing { expr.is_null() } else { expr.is_not_null() };
        for own in 0..1_usize << values.len() {
            for compared in (0..=own).filter(|compared| own & compared == *compared) {
                let of_row = values.iter().enumerate().map(|(at, value)| missing(value.clone(), !has(own, at)));
                let mut keys: Vec<_> = Expr::conjunction(of_row).map(|row| (row, lit(true))).into_iter().collect();
                let (mut columns, mut conditions) = (vec![lit(true).alias(FOUND)], Vec::new());
                for (at, name) in names.iter().enumerate().filter(|(at, _)| has(own, *at)) {
                    conditions.push(missing(col(name.as_str()), !has(compared, at)));
                    if has(compared, at) {
                        keys.push((values[at].clone(), col(name.as_str())));
                        columns.push(col(name.as_str()));
                    }
                }
                let chosen = conditions.into_iter().fold(Arc::clone(members), filtered);
                let chosen = distinct(Arc::new(LogicalPlan::Project { input: chosen, columns }))?;
                plan = Arc::new(LogicalPlan::Join(Join::new(plan, Arc::new(chosen), keys, JoinKind::Anti)));
            }
        }
        Ok(plan)
    }

    /// All columns of a query, under other names.
    fn only_columns(&self, query: &ast::Query, names: &[String], outer: &Scope) -> Result<Arc<LogicalPlan>> {
        let plan = self.within(query, outer)?;
        let columns = visible_names(&plan.schema()?);
        if columns.len() != names.len() {
            let needed = if names.len() == 1 { "one is".to_owned() } else { format!("{} are", names.len()) };
            let has = if columns.len() == 1 { "one column".to_owned() } else { format!("{} columns", columns.len()) };
            let message = format!("the query has {has}, and {needed} needed here");
            return self.placed(Err(Error::new(ErrorKind::Type, message)), query.span());
        }
        let columns = columns.into_iter().zip(names).map(|(column, name)| column.alias(name.as_str())).collect();
        Ok(Arc::new(LogicalPlan::Project { input: plan, columns }))
    }

    /// A query inside of another one, whose columns it cannot use.
    fn within(&self, query: &ast::Query, outer: &Scope) -> Result<Arc<LogicalPlan>> {
        self.query(query).map_err(|error| {
            let name = error.message().split('`').nth(1).unwrap_or_default();
            let is_unknown = ["no column `", "no table `"].iter().any(|start| error.message().starts_with(start));
            let is_around = outer.has_table(name) || outer.column(&[ast::Ident::new(name)]).is_ok();
            if error.kind() != ErrorKind::Name || !is_unknown || !is_around {
                return error;
            }
            let written = error.underlined().map_or(name, |place| {
                let rest = &place.text[place.range.start..];
                let ends = |sign: char| !(sign.is_alphanumeric() || matches!(sign, '_' | '.' | '"'));
                &rest[..rest.find(ends).unwrap_or(rest.len())]
            });
            let message =
                format!("`{written}`: a query that uses columns of the query around it in this way is not supported");
            let told = Error::new(ErrorKind::Unsupported, message).hint(EQUATIONS);
            match error.underlined() {
                Some(place) => told.underline(&place.text, place.range.clone()),
                None => told,
            }
        })
    }
}

/// So many values a row may have that must not be among those of a query: with each more there are three times as many joins.
const MOST_IN_ROW: usize = 3;
/// The column of rows that are looked for, beside what is compared.
const FOUND: &str = "found in the query";

/// Where columns of the query around a query may stand.
const EQUATIONS: &str = "in its `where` they may stand in equations, beside other conditions with `and`";
const AGGREGATE: &str = "an aggregate may, in equations: x > (select max(n) from u where u.k = t.k)";
const BEHIND_WHERE: &str = "behind `where` it may: `in` stands there beside other conditions with `and`";

/// The error, with another hint where equations are not of use.
fn not_in_equations(error: Error, hint: &str) -> Error {
    if error.hint_text() == Some(EQUATIONS) { error.hint(hint) } else { error }
}

/// One row of aggregates over all rows.
fn counted(input: Arc<LogicalPlan>, aggregates: &[(Expr, String)]) -> Result<LogicalPlan> {
    let call = |(expr, name): &(Expr, String)| match expr {
        Expr::Aggregate(call) => Ok((call.clone(), name.clone())),
        _ => Err(Error::internal("no aggregate")),
    };
    let aggregates = aggregates.iter().map(call).collect::<Result<_>>()?;
    Ok(LogicalPlan::Aggregate { input, keys: Vec::new(), aggregates })
}

/// How many rows a plan has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowCount {
    One,
    AtMostOne,
    Unknown,
}

fn row_count(plan: &LogicalPlan) -> RowCount {
    use RowCount::{AtMostOne, One, Unknown};
    let below = plan.input().map_or(Unknown, |input| row_count(input));
    match (plan, below) {
        (LogicalPlan::Scan(source), _) => match source.known_rows() {
            Some(1) => One,
            Some(0) => AtMostOne,
            _ => Unknown,
        },
        (LogicalPlan::Aggregate { keys, .. }, _) if keys.is_empty() => One,
        (LogicalPlan::Aggregate { .. }, below) => below,
        (LogicalPlan::Limit { skip: 0, rows: 1.., .. }, One) => One,
        (LogicalPlan::Limit { rows: 0 | 1, .. }, _) => AtMostOne,
        (LogicalPlan::Project { .. } | LogicalPlan::Sort { .. } | LogicalPlan::Window { .. }, below) => below,
        (LogicalPlan::Filter { .. } | LogicalPlan::Limit { .. }, One | AtMostOne) => AtMostOne,
        (LogicalPlan::Join(join), left) => match (join.kind, left, row_count(&join.right)) {
            (JoinKind::Cross, One, One) => One,
            (JoinKind::Left, left, One | AtMostOne) => left,
            (JoinKind::Semi | JoinKind::Anti, One | AtMostOne, _) => AtMostOne,
            (JoinKind::Cross | JoinKind::Inner, One | AtMostOne, One | AtMostOne) => AtMostOne,
            _ => Unknown,
        },
        _ => Unknown,
    }
}
