//! One query block: `select … from … where … group by … having …`, with the order and the cut of its result.

use super::correlated::Correlated;
use super::from::{Tables, conjuncts, existence, filtered};
use super::grouped::{Grouped, grouping_name};
use super::inner::{self, Inner, beside_rows};
use super::query::{Ending, Lowering, distinct};
use super::scope::Scope;
use super::windows::Windows;
use crate::aggregate::Makes;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, col};
use crate::plan::{AggregateSelect, LogicalPlan, SUFFIX, SortKey, WindowKey};
use crate::source::constants::visible_schema;
use crate::sql::convert::{Names, WINDOW_PLACES};
use crate::sql::fits::expand_columns;
use crate::sql::over::Windowed;
use crate::sql::quantified::Quantified;
use crate::sql::rows::values_of;
use sqlparser::ast::{self, SelectItem, Spanned};
use sqlparser::tokenizer::Span;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// What names mean in a block: columns of its tables and, where there is none, results that have been named.
struct BlockNames<'a> {
    lowering: &'a Lowering<'a>,
    scope: &'a Scope,
    /// Items of the select list that have a name, as far as they are known.
    aliases: RefCell<Vec<(String, Expr)>>,
    /// Queries whose values are used.
    inner: RefCell<Vec<Inner>>,
    /// How many queries have been met.
    queries: Cell<usize>,
    /// Window functions that have been met, and windows that have a name.
    windows: RefCell<Windows>,
    named_windows: &'a [ast::NamedWindowDefinition],
    /// The arguments of each `grouping(…)`, and its place.
    groupings: RefCell<Vec<(Vec<Expr>, Span)>>,
}

impl BlockNames<'_> {
    fn aliased(&self, parts: &[ast::Ident]) -> Option<Expr> {
        let [name] = parts else { return None };
        let aliases = self.aliases.borrow();
        let known = aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(&name.value))?;
        Some(known.1.clone())
    }

    /// The value of a query in an expression, whose table is joined later.
    fn noted(&self, (inner, value): (Inner, Expr)) -> Expr {
        self.inner.borrow_mut().push(inner);
        value
    }

    /// The number of another query, whose columns are called as no column of a table is.
    fn next_number(&self) -> usize {
        loop {
            self.queries.update(|met| met + 1);
            if !self.scope.has_planned_with(&inner::name(self.queries.get())) {
                return self.queries.get();
            }
        }
    }
}

impl Names for BlockNames<'_> {
    fn column(&self, parts: &[ast::Ident]) -> Result<Expr> {
        self.scope.column(parts).or_else(|error| self.aliased(parts).ok_or(error))
    }

    fn value_of(&self, query: &ast::Query) -> Result<Expr> {
        Ok(self.noted(self.lowering.value_of(query, self.next_number(), self.scope)?))
    }

    fn exists(&self, query: &ast::Query) -> Result<Expr> {
        Ok(self.noted(self.lowering.existence_of(query, self.next_number(), self.scope)?))
    }

    fn named_windows(&self) -> &[ast::NamedWindowDefinition] {
        self.named_windows
    }

    fn window(&self, windowed: Windowed) -> Result<Expr> {
        self.windows.borrow_mut().add(windowed)
    }

    fn member_of(&self, value: &Expr, query: &ast::Query) -> Result<Expr> {
        Ok(self.noted(self.lowering.membership_of(value, query, self.next_number(), self.scope)?))
    }

    fn compared(&self, value: &Expr, how: Quantified, query: &ast::Query) -> Result<Expr> {
        Ok(self.noted(self.lowering.comparison_of(value, how, query, self.next_number(), self.scope)?))
    }

    fn grouping(&self, keys: Vec<Expr>, span: Span) -> Result<Expr> {
        let mut known = self.groupings.borrow_mut();
        known.push((keys, span));
        Ok(col(grouping_name(known.len() - 1)))
    }
}

/// The same, in which results that have been named come before columns, as behind `order by`.
struct ResultsFirst<'a>(&'a BlockNames<'a>);

impl Names for ResultsFirst<'_> {
    fn column(&self, parts: &[ast::Ident]) -> Result<Expr> {
        self.0.aliased(parts).map_or_else(|| self.0.column(parts), Ok)
    }

    fn value_of(&self, query: &ast::Query) -> Result<Expr> {
        self.0.value_of(query)
    }

    fn exists(&self, query: &ast::Query) -> Result<Expr> {
        self.0.exists(query)
    }

    fn named_windows(&self) -> &[ast::NamedWindowDefinition] {
        self.0.named_windows
    }

    fn window(&self, windowed: Windowed) -> Result<Expr> {
        self.0.window(windowed)
    }

    fn member_of(&self, value: &Expr, query: &ast::Query) -> Result<Expr> {
        self.0.member_of(value, query)
    }

    fn compared(&self, value: &Expr, how: Quantified, query: &ast::Query) -> Result<Expr> {
        self.0.compared(value, how, query)
    }

    fn grouping(&self, keys: Vec<Expr>, span: Span) -> Result<Expr> {
        self.0.grouping(keys, span)
    }
}

impl Lowering<'_> {
    /// The plan of a block.
    pub(super) fn block<'a>(&self, select: &'a ast::Select, ending: Ending<'_>) -> Result<Arc<LogicalPlan>> {
        self.refuse_clauses(select)?;
        let ending = self.with_top(select, ending)?;
        let conditions = select.selection.as_ref().map(conjuncts).unwrap_or_default();
        let (Tables { plan, scope }, conditions) = self.from(&select.from, conditions)?;
        let names = BlockNames {
            lowering: self,
            scope: &scope,
            aliases: RefCell::default(),
            inner: RefCell::default(),
            queries: Cell::default(),
            windows: RefCell::default(),
            named_windows: &select.named_window,
            groupings: RefCell::default(),
        };
        let mut columns = self.select_list(select, &names)?;
        let (mut asked, mut members, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for condition in conditions {
            let pairs_of = |(query, negated): (&'a ast::Query, bool)| -> Result<Option<(Correlated<'a>, bool, Span)>> {
                let correlated = self.correlated_rows(query, &scope)?.filter(Correlated::compares);
                let correlated = correlated.filter(|correlated| !self.has_aggregate(correlated, &scope));
                Ok(correlated.map(|correlated| (correlated, negated, query.span())))
            };
            if let Some(found) = existence(condition).map(pairs_of).transpose()?.flatten() {
                pairs.push(found);
                continue;
            }
            match condition {
                ast::Expr::InSubquery { expr, subquery, negated } => {
                    let row = values_of(expr).unwrap_or(std::slice::from_ref(&**expr));
                    let values = row.iter().map(|value| self.convert(value, &names)).collect::<Result<Vec<_>>>()?;
                    members.push((values, subquery, *negated, names.next_number()));
                }
                other => asked.push((self.convert(other, &names)?, other.span())),
            }
        }
        let is_key = |column: &Expr| !column.contains_aggregate() && !names.windows.borrow().are_in(column);
        let by = self.group_keys(&select.group_by, &columns, &names, is_key)?;
        let mut having = select.having.as_ref().map(|having| self.convert(having, &names)).transpose()?;
        // `*` inside of aggregates.
        let shown = visible_schema(&plan.schema()?);
        let of_keys: BTreeSet<Arc<str>> = by.keys.iter().flat_map(Expr::columns).collect();
        for expr in columns.iter_mut().chain(&mut having) {
            *expr = expand_columns(expr, &shown, &of_keys)?;
        }
        let (is_distinct, first_of) = match &select.distinct {
            None | Some(ast::Distinct::All) => (false, None),
            Some(ast::Distinct::Distinct) => (true, None),
            Some(ast::Distinct::On(keys)) if keys.is_empty() => {
                let error = Error::new(ErrorKind::Syntax, "`distinct on ()` names no columns");
                let error =
                    error.hint("`distinct on (a, b)` keeps the first row of each a and b; `limit 1` the first of all");
                return self.placed(Err(error), select.span());
            }
            Some(ast::Distinct::On(keys)) => (false, Some(keys)),
        };
        let sort = match is_distinct {
            true => Vec::new(),
            false => self.sort_keys(ending.order, &columns, &names, &ResultsFirst(&names))?,
        };
        let mut qualify = select.qualify.as_ref().map(|qualify| self.convert(qualify, &names)).transpose()?;
        if let Some(keys) = first_of {
            qualify = Some(self.first_of_each(select, keys, &columns, &sort, &names)?);
        }
        let windows = names.windows.take();
        let of_members =
            members.iter().flat_map(|(values, query, ..)| values.iter().map(move |value| (value, query.span())));
        let of_rows = asked.iter().map(|(condition, span)| (condition, *span)).chain(of_members);
        self.check_windows(select, &windows, of_rows, &by.keys, having.as_ref())?;
        let beside = || {
            let sort = sort.iter().map(|key| &key.expr);
            columns.iter().chain(&having).chain(&qualify).chain(sort).chain(windows.exprs())
        };
        let has_aggregate = beside().any(Expr::contains_aggregate);
        let grouped = by.are_given || having.is_some() || has_aggregate;
        let span = select.span();
        let mut groupings = Vec::new();
        for (args, span) in names.groupings.take() {
            groupings.push(self.placed(by.numbers(&args), span)?);
        }
        // Values of queries that only stand beside aggregates are joined to the groups.
        let below = asked.iter().map(|(condition, _)| condition).chain(members.iter().flat_map(|(values, ..)| values));
        let groups = grouped.then(|| (&by.keys[..], beside().collect()));
        let (mut plan, inner_of_groups) = beside_rows(names.inner.take(), plan, below, groups);
        let mut conditions = Vec::with_capacity(asked.len());
        for (condition, span) in asked {
            if condition.contains_aggregate() {
                let error = Error::new(ErrorKind::Syntax, "an aggregate in `where`, which is asked of single rows");
                return self.placed(Err(error.hint("`having` asks groups")), span);
            }
            self.placed(condition.bind_condition(&*plan.schema()?), span)?;
            conditions.push(condition);
        }
        if let Some(all) = Expr::conjunction(conditions) {
            plan = filtered(plan, all);
        }
        for (query, negated, span) in pairs {
            plan = self.with_rows_in(plan, query, negated);
            self.placed(plan.schema(), span)?;
        }
        for (values, query, negated, number) in members {
            let span = query.span();
            plan = self.among(plan, values, query, negated, number, &scope)?;
            self.placed(plan.schema(), span)?;
        }
        let cut = |plan| if is_distinct { plan } else { ending.cut.of(plan) };
        if columns.iter().any(makes_rows) && !windows.is_empty() {
            let error = self.unsupported("a window function beside an aggregate that makes rows", span);
            return Err(error.hint("a query in `from` gives its rows a name first"));
        }
        if columns.iter().any(makes_rows) {
            if by.has_sets || !groupings.is_empty() {
                let what = "an aggregate that makes rows beside `grouping sets`, `rollup`, `cube` or `grouping`";
                let error = self.unsupported(what, span);
                return Err(error.hint("a query for each grouping, with `union all` between them, gives the same rows"));
            }
            let question = AggregateSelect { keys: by.keys, select: columns.clone(), having, sort, limit: None };
            plan = cut(Arc::new(self.placed(question.plan(plan), span)?));
        } else if grouped {
            let inner = inner_of_groups;
            let groups = Grouped { scope: &scope, by, groupings, columns, having, windows, qualify, sort, inner };
            plan = self.placed(groups.plan(plan, cut), span)?;
        } else {
            let later = columns.iter().chain(sort.iter().map(|key| &key.expr));
            plan = self.placed(windows.over(plan, qualify.as_ref(), later), span)?;
            if !sort.is_empty() {
                plan = Arc::new(LogicalPlan::Sort { input: plan, keys: sort });
            }
            // What is selected is computed last, for the rows that stay.
            plan = Arc::new(LogicalPlan::Project { input: cut(plan), columns });
        }
        self.placed(plan.schema(), span)?;
        if !is_distinct {
            return Ok(plan);
        }
        self.ended(Arc::new(distinct(plan)?), ending)
    }

    /// What holds for the first row of each of these keys, in the order of the result: `distinct on`.
    fn first_of_each(
        &self,
        select: &ast::Select,
        keys: &[ast::Expr],
        columns: &[Expr],
        sort: &[SortKey],
        names: &BlockNames<'_>,
    ) -> Result<Expr> {
        if let Some(qualify) = &select.qualify {
            let error = self.unsupported("`qualify` beside `distinct on`", qualify.span());
            return Err(error.hint("a query in `from` may have the one, and the query around it the other"));
        }
        let results = ResultsFirst(names);
        let key = |key: &ast::Expr| self.by_position_or_name(key, columns, &results);
        let partition = keys.iter().map(key).collect::<Result<Vec<_>>>()?;
        let of_sort =
            |key: &SortKey| WindowKey { expr: key.expr.clone(), descending: key.descending, nulls_first: false };
        let span = keys.first().map_or_else(|| select.span(), Spanned::span);
        let number = Windowed::row_number(partition, sort.iter().map(of_sort).collect(), self.words, self.bytes(span));
        Ok(self.placed(names.window(number), span)?.eq(1))
    }

    /// Whether window functions stand only where they may, and are there where they must be.
    fn check_windows<'a>(
        &self,
        select: &ast::Select,
        windows: &Windows,
        mut of_rows: impl Iterator<Item = (&'a Expr, Span)>,
        keys: &[Expr],
        having: Option<&Expr>,
    ) -> Result<()> {
        let misplaced = |clause: &str, span: Span| {
            let message = format!("a window function in `{clause}`, which is asked before there are windows");
            let hint = match clause {
                "group by" => WINDOW_PLACES,
                _ => "`qualify` asks rows that have been given their window functions",
            };
            self.placed(Err(Error::new(ErrorKind::Syntax, message).hint(hint)), span)
        };
        if let Some((_, span)) = of_rows.find(|(condition, _)| windows.are_in(condition)) {
            return misplaced("where", span);
        }
        if keys.iter().any(|key| windows.are_in(key)) {
            return misplaced("group by", select.group_by.span());
        }
        if let (Some(having), Some(written)) = (having, &select.having)
            && windows.are_in(having)
        {
            return misplaced("having", written.span());
        }
        match &select.qualify {
            Some(qualify) if windows.is_empty() => {
                let error = Error::new(ErrorKind::Syntax, "`qualify` without a window function");
                self.placed(Err(error.hint("`where` asks rows, and `having` asks groups")), qualify.span())
            }
            _ => Ok(()),
        }
    }

    /// The columns of the result, whose names differ.
    fn select_list(&self, select: &ast::Select, names: &BlockNames<'_>) -> Result<Vec<Expr>> {
        let mut columns: Vec<Expr> = Vec::new();
        let mut taken: HashSet<String> = HashSet::new();
        let mut add = |expr: Expr, name: &str| {
            let (mut unique, mut number) = (name.to_owned(), 1);
            // Of a joined table, as questions call it.
            let beside = match &expr {
                Expr::Column(planned) if planned.starts_with(&format!("{name}{SUFFIX}")) => Some(planned.to_string()),
                _ => None,
            };
            while !taken.insert(unique.clone()) {
                number += 1;
                unique = match &beside {
                    Some(planned) if number == 2 => planned.clone(),
                    _ => format!("{name}_{number}"),
                };
            }
            columns.push(if *expr.output_name() == *unique { expr } else { expr.alias(unique) });
        };
        if select.flavor == ast::SelectFlavor::FromFirstNoSelect {
            let all = self.placed(names.scope.all(None), select.span())?;
            all.into_iter().for_each(|(planned, name)| add(col(planned), &name));
        }
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let converted = self.convert(expr, names)?;
                    let name = match (expr, &converted) {
                        // A name as it is written in its table, which another one may have, too.
                        (_, Expr::Column(planned)) if names.scope.has_planned(planned) => names.scope.own_name(planned),
                        (ast::Expr::Identifier(ident), _) => Arc::from(ident.value.as_str()),
                        (_, converted) if makes_rows(converted) => converted.output_name(),
                        // As it was written, so that who reads the answer finds it under that name.
                        (written, _) => written.to_string().into(),
                    };
                    add(converted, &name);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let converted = self.convert(expr, names)?;
                    names.aliases.borrow_mut().push((alias.value.clone(), converted.clone()));
                    add(converted, &alias.value);
                }
                SelectItem::Wildcard(options) => self.all(None, options, names, &mut add)?,
                SelectItem::QualifiedWildcard(ast::SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let [ast::ObjectNamePart::Identifier(table)] = name.0.as_slice() else {
                        let error = self.unsupported("a table of several names", name.span());
                        return Err(error.hint("the name of a table has no dot: t.*"));
                    };
                    self.all(Some(table), options, names, &mut add)?;
                }
                other => {
                    let error = self.unsupported("this item", other.span());
                    return Err(error.hint("expressions, `*` and `t.*` stand in a select list"));
                }
            }
        }
        Ok(columns)
    }

    /// The columns of `*`, without those that are excluded, and with others in the place of some.
    fn all(
        &self,
        table: Option<&ast::Ident>,
        options: &ast::WildcardAdditionalOptions,
        names: &BlockNames<'_>,
        add: &mut dyn FnMut(Expr, &str),
    ) -> Result<()> {
        let span = options.wildcard_token.0.span;
        let scope = names.scope;
        let mut replaced: Vec<(&ast::Ident, Expr)> = Vec::new();
        for item in options.opt_replace.iter().flat_map(|replace| &replace.items) {
            replaced.push((&item.column_name, self.convert(&item.expr, names)?));
        }
        if options.opt_ilike.is_some() || options.opt_rename.is_some() {
            let error = self.unsupported("`ilike` or `rename` behind `*`", span);
            return Err(error.hint("there are exclude and replace: * exclude (a) replace (x / 2 as x)"));
        }
        let mut excluded: Vec<&ast::Ident> = Vec::new();
        match &options.opt_exclude {
            Some(ast::ExcludeSelectItem::Single(name)) => excluded.extend(single(name)),
            Some(ast::ExcludeSelectItem::Multiple(names)) => excluded.extend(names.iter().filter_map(single)),
            None => {}
        }
        if let Some(except) = &options.opt_except {
            excluded.push(&except.first_element);
            excluded.extend(&except.additional_elements);
        }
        let columns = self.placed(scope.all(table), table.map_or(span, |table| table.span))?;
        let is = |name: &str, ident: &ast::Ident| name.eq_ignore_ascii_case(&ident.value);
        let named = excluded.iter().copied().chain(replaced.iter().map(|(ident, _)| *ident));
        if let Some(unknown) = named.clone().find(|ident| !columns.iter().any(|(_, name)| is(name, ident))) {
            let scope_error = scope.column(std::slice::from_ref(unknown)).err();
            let error = scope_error.unwrap_or_else(|| Error::new(ErrorKind::Name, format!("no column `{unknown}`")));
            return self.placed(Err(error), unknown.span);
        }
        for (planned, name) in columns {
            if excluded.iter().any(|ident| is(&name, ident)) {
                continue;
            }
            let other = replaced.iter().find(|(ident, _)| is(&name, ident));
            add(other.map_or_else(|| col(planned), |(_, expr)| expr.clone()), &name);
        }
        Ok(())
    }
}

/// Whether a column is an aggregate that makes rows of its own.
pub(super) fn makes_rows(column: &Expr) -> bool {
    matches!(column.unaliased(), Expr::Aggregate(call) if call.aggregate.makes() != Makes::Value)
}

fn single(name: &ast::ObjectName) -> Option<&ast::Ident> {
    match name.0.as_slice() {
        [ast::ObjectNamePart::Identifier(ident)] => Some(ident),
        _ => None,
    }
}
