//! Which columns the table of results has, and which results do not go with it.
//!
//! Columns are those that most strata have, and of two sets that are as frequent those of the first stratum in the order of
//! keys; so are types, where they do not widen into each other. A result that is different costs its stratum only.

use crate::error::{Error, ErrorKind};
use crate::types::ColumnType;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The columns of a result, and whether they were read from text.
pub(super) type Shape = (Vec<(String, ColumnType)>, bool);

/// The strata whose results have one shape.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Of the shape, in the order in which they came.
    pub(super) number: usize,
    /// How many there are.
    pub(super) strata: usize,
    /// The first of them.
    pub(super) first: usize,
    /// Its keys in words.
    pub(super) label: String,
}

/// A column of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) column_type: ColumnType,
}

/// Why a result does not go with the others.
#[derive(Clone, Debug)]
pub(super) enum Odd {
    Lacks { name: String, usual: String, is_text: bool },
    Surplus { name: String, usual: String, is_text: bool },
    Type { name: String, own: ColumnType, of_others: ColumnType, usual: String },
}

impl Odd {
    /// What is said of a stratum with such a result.
    pub(super) fn error(&self, label: &str) -> Error {
        let names = |without: &str, with: &str, name: &str, is_text: bool| {
            let what = format!(
                "results do not go together: that for {without} has no column `{name}`, which that for {with} has"
            );
            Error::new(ErrorKind::Name, what).hint(match is_text {
                true => "the first line that a program prints names its columns, the same for all groups",
                false => "return the same columns for all strata; a value may be missing",
            })
        };
        match self {
            Odd::Lacks { name, usual, is_text } => names(label, usual, name, *is_text),
            Odd::Surplus { name, usual, is_text } => names(usual, label, name, *is_text),
            Odd::Type { name, own, of_others, usual } => {
                let what =
                    format!("results do not go together: `{name}` is {of_others} for {usual} and {own} for {label}");
                Error::new(ErrorKind::Type, what).hint("return the same type for all strata")
            }
        }
    }
}

/// A column while shapes are brought together.
struct Growing {
    name: String,
    common: ColumnType,
    /// Of the results that were not read from text, whose types stay what they are.
    typed: ColumnType,
    /// Of the first result that has a value.
    label: String,
}

impl Growing {
    /// The types with those of one more shape, if they go together.
    fn with(&self, own: ColumnType, is_text: bool) -> Option<(ColumnType, ColumnType)> {
        use ColumnType::{Null, Utf8};
        let typed = if is_text { self.typed } else { self.typed.unify(own) };
        let forced = |a: ColumnType, b: ColumnType| a != b && a != Null && b != Null && a.unify(b) == Utf8;
        let common = self.common.unify(own);
        let clash = !is_text && forced(self.typed, own) || common == Utf8 && !matches!(typed, Null | Utf8);
        (!clash).then_some((common, typed))
    }
}

/// The columns of the table, and the shapes, by number, that do not go with it.
pub(super) fn unify(shapes: &BTreeMap<Shape, Known>) -> (Vec<Column>, BTreeMap<usize, Odd>) {
    // Results without columns, of programs that had nothing to print, have no say.
    let mut by_number: Vec<(&Shape, &Known)> = shapes.iter().filter(|((shape, _), _)| !shape.is_empty()).collect();
    by_number.sort_by_key(|(_, known)| (Reverse(known.strata), known.first));
    let mut sets: BTreeMap<Vec<&str>, (usize, Reverse<usize>)> = BTreeMap::new();
    for (shape, known) in &by_number {
        let (strata, first) = sets.entry(names(shape)).or_insert((0, Reverse(usize::MAX)));
        *strata += known.strata;
        first.0 = first.0.min(known.first);
    }
    let Some((usual, (_, Reverse(first)))) = sets.into_iter().max_by_key(|(_, weight)| *weight) else {
        return (Vec::new(), BTreeMap::new());
    };
    let model = by_number.iter().find(|(_, known)| known.first == first);
    let Some(((model, _), Known { label: usual_label, .. })) = model else { return (Vec::new(), BTreeMap::new()) };
    let growing = |(name, _): &(String, ColumnType)| Growing {
        name: name.clone(),
        common: ColumnType::Null,
        typed: ColumnType::Null,
        label: usual_label.clone(),
    };
    let mut columns: Vec<Growing> = model.iter().map(growing).collect();
    let mut odd = BTreeMap::new();
    for (shape, known) in by_number {
        let why = match differs(&names(shape), &usual, usual_label, shape.1) {
            Some(why) => Err(why),
            None => grown(&columns, shape),
        };
        match why {
            Ok(types) => {
                for (column, (common, typed)) in columns.iter_mut().zip(types) {
                    if column.common == ColumnType::Null && common != ColumnType::Null {
                        column.label.clone_from(&known.label);
                    }
                    (column.common, column.typed) = (common, typed);
                }
            }
            Err(why) => {
                odd.insert(known.number, why);
            }
        }
    }
    let column = |column: Growing| Column { name: column.name, column_type: column.common };
    (columns.into_iter().map(column).collect(), odd)
}

/// The names of a shape in alphabetical order.
fn names((columns, _): &Shape) -> Vec<&str> {
    let mut names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

fn differs(own: &[&str], usual: &[&str], usual_label: &str, is_text: bool) -> Option<Odd> {
    let usual_label = usual_label.to_owned();
    if let Some(name) = usual.iter().find(|name| !own.contains(name)) {
        return Some(Odd::Lacks { name: (*name).to_owned(), usual: usual_label, is_text });
    }
    let name = own.iter().find(|name| !usual.contains(name))?;
    Some(Odd::Surplus { name: (*name).to_owned(), usual: usual_label, is_text })
}

/// The types of all columns with those of a shape, which has the same names.
fn grown(columns: &[Growing], (shape, is_text): &Shape) -> Result<Vec<(ColumnType, ColumnType)>, Odd> {
    let with = |column: &Growing| {
        let own = shape.iter().find(|(name, _)| *name == column.name).map_or(ColumnType::Null, |(_, own)| *own);
        column.with(own, *is_text).ok_or_else(|| Odd::Type {
            name: column.name.clone(),
            own,
            of_others: column.common,
            usual: column.label.clone(),
        })
    };
    columns.iter().map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::ColumnType::{Boolean, Float64, Int64, Null, Utf8};
    use super::*;

    /// A shape, whether it is of text, and how many strata have it.
    type Case<'a> = (&'a [(&'a str, ColumnType)], bool, usize);

    /// The columns and the odd shapes, by number; the first shape is that of the first strata, and so on.
    fn unified(shapes: &[Case<'_>]) -> (Vec<(String, ColumnType)>, Vec<usize>) {
        let mut known = BTreeMap::new();
        for (number, (columns, is_text, strata)) in shapes.iter().enumerate() {
            let columns = columns.iter().map(|(name, of_type)| ((*name).to_owned(), *of_type)).collect();
            let first = number * 100;
            known.insert((columns, *is_text), Known { number, strata: *strata, first, label: format!("k = {first}") });
        }
        let (columns, odd) = unify(&known);
        (columns.into_iter().map(|column| (column.name, column.column_type)).collect(), odd.into_keys().collect())
    }

    fn owned(columns: &[(&str, ColumnType)]) -> Vec<(String, ColumnType)> {
        columns.iter().map(|(name, of_type)| ((*name).to_owned(), *of_type)).collect()
    }

    #[test]
    fn columns_are_those_of_most_strata_in_the_order_of_the_first() {
        let found = unified(&[
            (&[("x", Int64)], true, 2),
            (&[("b", Int64), ("a", Null)], true, 1),
            (&[("a", Float64), ("b", Float64)], true, 2),
            (&[], true, 50),
        ]);
        assert_eq!(found, (owned(&[("b", Float64), ("a", Float64)]), vec![0]));
        let tie = unified(&[(&[("a", Int64)], true, 1), (&[("b", Int64)], true, 1)]);
        assert_eq!(tie, (owned(&[("a", Int64)]), vec![1]), "of equals, the first");
    }

    #[test]
    fn types_that_do_not_widen_are_text_if_they_were_text_and_else_those_of_most() {
        let printed = unified(&[(&[("a", Int64)], true, 1), (&[("a", Boolean)], true, 3)]);
        assert_eq!(printed, (owned(&[("a", Utf8)]), vec![]));
        let typed = unified(&[(&[("a", Int64)], false, 1), (&[("a", Utf8)], false, 2), (&[("a", Null)], false, 1)]);
        assert_eq!(typed, (owned(&[("a", Utf8)]), vec![0]));
        let mixed = unified(&[(&[("a", Int64)], false, 2), (&[("a", Utf8)], true, 1), (&[("a", Float64)], true, 1)]);
        assert_eq!(mixed, (owned(&[("a", Float64)]), vec![1]), "an integer that a function returned is no text");
        let mixed = unified(&[(&[("a", Utf8)], false, 2), (&[("a", Int64)], true, 1)]);
        assert_eq!(mixed, (owned(&[("a", Utf8)]), vec![]), "what was printed can be read as text");
    }
}
