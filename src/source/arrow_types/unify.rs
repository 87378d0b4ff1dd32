//! One list of columns from files that state the types of theirs.
//!
//! Columns are matched by name. A file in which a column holds no value has no say in its type; integers widen to
//! doubles and dates to timestamps. Where files disagree beyond that, the column is refused, by name, and the others
//! stay.

use super::columns::{FileColumn, FileColumns, LENGTH, Meaning};
use crate::error::Result;
use crate::source::column_policy::{ColumnNames, ColumnPolicy};
use crate::types::ColumnType;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A column of a set of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct SetColumn {
    pub(in crate::source) name: String,
    pub(in crate::source) column_type: ColumnType,
}

/// The columns of a set of files.
#[derive(Debug)]
pub(in crate::source) struct Unified {
    pub(in crate::source) columns: Vec<SetColumn>,
    /// By file, where each column stands among those of the file; `None` where the file lacks it.
    pub(in crate::source) maps: Vec<Vec<Option<usize>>>,
    /// Names that cannot be asked for, and what they are.
    pub(in crate::source) refused: BTreeMap<String, String>,
    /// What the user should know of columns that are not read.
    pub(in crate::source) warning: Option<String>,
}

/// Brings the columns of files together, which are given with their names.
///
/// # Errors
/// A file lacks a column of the others, or has one that they lack, and the policy does not allow it.
pub(in crate::source) fn unify(files: &[(Arc<str>, &FileColumns)], policy: ColumnPolicy) -> Result<Unified> {
    let mut refused = refused_by_some(files);
    let lengths = lengths(files, &mut refused);
    let mut names = ColumnNames::new(policy);
    let mut maps = Vec::with_capacity(files.len());
    for (file, own) in files {
        let offered: Vec<usize> =
            (0..own.columns.len()).filter(|&at| !refused.contains_key(&own.columns[at].name)).collect();
        let mut here: Vec<&str> = offered.iter().map(|&at| own.columns[at].name.as_str()).collect();
        // A list that is null in every row has a length all the same: null.
        let lists = own.columns.iter().filter_map(|column| lengths.get(column.name.as_str()));
        here.extend(lists.filter(|length| !refused.contains_key(**length)));
        let map = names.take(file, &here)?;
        maps.push(map.into_iter().map(|at| offered.get(at?).copied()).collect::<Vec<_>>());
    }
    let mut columns = Vec::with_capacity(names.names().len());
    let mut kept = Vec::with_capacity(names.names().len());
    for (at, name) in names.names().iter().enumerate() {
        let in_files = files.iter().zip(&maps).filter_map(|((file, own), map)| {
            let column = own.columns.get((*map.get(at)?)?)?;
            Some((file, column))
        });
        match common_type(in_files) {
            Ok(column_type) => {
                columns.push(SetColumn { name: name.clone(), column_type });
                kept.push(at);
            }
            Err(what) => {
                refused.insert(name.clone(), what);
            }
        }
    }
    for map in &mut maps {
        *map = kept.iter().map(|&at| map.get(at).copied().flatten()).collect();
    }
    Ok(Unified { columns, maps, refused, warning: names.warning() })
}

/// Names that some file refuses; with the file, where another offers such a column.
fn refused_by_some(files: &[(Arc<str>, &FileColumns)]) -> BTreeMap<String, String> {
    let mut refused: BTreeMap<String, (String, &Arc<str>)> = BTreeMap::new();
    for (file, own) in files {
        for (name, what) in &own.refused {
            refused.entry(name.clone()).or_insert_with(|| (what.clone(), file));
        }
    }
    let all = files.iter().flat_map(|(_, own)| &own.columns);
    let offered: Vec<&str> = all.filter(|column| refused.contains_key(&column.name)).map(|c| c.name.as_str()).collect();
    let told = |(name, (what, file)): (&String, &(String, &Arc<str>))| {
        let what = if offered.contains(&name.as_str()) { format!("{what} in {file}") } else { what.clone() };
        (name.clone(), what)
    };
    refused.iter().map(told).collect()
}

/// By the name of each list of some file, the name of its length, for lists that another file has as a column without
/// values. If that column has values, the length is refused.
fn lengths<'a>(
    files: &'a [(Arc<str>, &FileColumns)],
    refused: &mut BTreeMap<String, String>,
) -> HashMap<&'a str, &'a str> {
    let mut lengths: HashMap<&str, &str> = HashMap::new();
    for column in files.iter().flat_map(|(_, own)| &own.columns).filter(|column| column.meaning == Meaning::Lengths) {
        if let Some(list) = column.name.strip_suffix(LENGTH) {
            lengths.insert(list, column.name.as_str());
        }
    }
    for (file, own) in files {
        for column in own.columns.iter().filter(|column| !column.only_nulls) {
            if let Some(length) = lengths.get(column.name.as_str()) {
                refused.entry((*length).to_owned()).or_insert_with(|| {
                    format!("the length of a list, but `{}` is {} in {file}", column.name, column.column_type)
                });
            }
        }
    }
    lengths
}

/// The type that holds the values of a column in all files, or how they disagree.
fn common_type<'a>(files: impl Iterator<Item = (&'a Arc<str>, &'a FileColumn)>) -> Result<ColumnType, String> {
    let mut common: Option<(ColumnType, &Arc<str>)> = None;
    let mut without_values = ColumnType::Null;
    for (file, column) in files {
        let own = column.column_type;
        if column.only_nulls {
            without_values = if without_values == ColumnType::Null { own } else { without_values };
            continue;
        }
        let Some((before, first)) = common else {
            common = Some((own, file));
            continue;
        };
        let both = before.unify(own);
        if both == ColumnType::Utf8 && (before != ColumnType::Utf8 || own != ColumnType::Utf8) {
            return Err(format!("{before} in {first} and {own} in {file}"));
        }
        common = Some((both, if both == before { first } else { file }));
    }
    Ok(common.map_or(without_values, |(column_type, _)| column_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use arrow::datatypes::{DataType, Field, Schema};

    fn list() -> DataType {
        DataType::List(Arc::new(Field::new("item", DataType::Int64, true)))
    }

    /// Columns of a file; a type in parentheses has no value.
    fn file(columns: &[(&str, DataType, bool)]) -> FileColumns {
        let field = |(name, data_type, _): &(&str, DataType, bool)| Field::new(*name, data_type.clone(), true);
        let (mut own, _) = FileColumns::of(&Schema::new(columns.iter().map(field).collect::<Vec<_>>()), |_| false);
        for (name, _, has_values) in columns {
            own.columns.iter_mut().filter(|c| c.name == *name).for_each(|c| c.only_nulls |= !has_values);
        }
        own
    }

    fn all(files: &[FileColumns], policy: ColumnPolicy) -> Result<Unified> {
        let named = files.iter().enumerate().map(|(at, own)| (Arc::from(format!("f{at}")), own));
        unify(&named.collect::<Vec<_>>(), policy)
    }

    fn shown(unified: &Unified) -> Vec<String> {
        unified.columns.iter().map(|column| format!("{} {}", column.name, column.column_type)).collect()
    }

    #[test]
    fn a_file_without_values_has_no_say_wherever_it_stands() {
        let (text, number) = ([("a", DataType::Utf8, false)], [("a", DataType::Int64, true)]);
        for order in [[&text, &number], [&number, &text]] {
            let unified = all(&order.map(|columns| file(columns)), ColumnPolicy::Error).unwrap();
            assert_eq!(shown(&unified), ["a Int64"]);
        }
        let none = all(&[file(&[("a", DataType::Null, true)]), file(&text)], ColumnPolicy::Error).unwrap();
        assert_eq!(shown(&none), ["a Utf8"]);
    }

    #[test]
    fn only_the_column_is_refused_of_which_files_disagree() {
        let files = [
            file(&[("a", DataType::Int64, true), ("b", DataType::Int64, true), ("d", DataType::Date32, true)]),
            file(&[("b", DataType::Float64, true), ("d", DataType::Date64, true), ("a", DataType::Utf8, true)]),
        ];
        let unified = all(&files, ColumnPolicy::Error).unwrap();
        assert_eq!(shown(&unified), ["b Float64", "d Date"]);
        assert_eq!(unified.maps, [[Some(1), Some(2)], [Some(0), Some(1)]]);
        assert_eq!(unified.refused["a"], "Int64 in f0 and Utf8 in f1");
    }

    #[test]
    fn columns_that_some_files_lack_follow_the_policy() {
        let files = [
            file(&[("a", DataType::Int64, true), ("b", DataType::Int64, true)]),
            file(&[("c", DataType::Utf8, true), ("a", DataType::Int64, true)]),
        ];
        assert_eq!(all(&files, ColumnPolicy::Error).unwrap_err().kind(), ErrorKind::Malformed);
        let fill = all(&files, ColumnPolicy::Fill).unwrap();
        assert_eq!(shown(&fill), ["a Int64", "b Int64"]);
        assert_eq!(fill.maps, [[Some(0), Some(1)], [Some(1), None]]);
        assert!(fill.warning.is_some_and(|warning| warning.contains("`c`")));
        let union = all(&files, ColumnPolicy::Union).unwrap();
        assert_eq!(shown(&union), ["a Int64", "b Int64", "c Utf8"]);
        assert_eq!(union.maps, [vec![Some(0), Some(1), None], vec![Some(1), None, Some(0)]]);
    }

    #[test]
    fn a_list_without_values_elsewhere_keeps_its_length_and_one_that_is_no_list_loses_it() {
        let lists = file(&[("l", list(), true)]);
        let nulls = all(&[lists.clone(), file(&[("l", DataType::Null, true)])], ColumnPolicy::Error).unwrap();
        assert_eq!((shown(&nulls), &nulls.maps[1]), (vec!["l.length Int64".to_owned()], &vec![None]));
        assert_eq!(nulls.refused["l"], "a list in f0");
        let other = all(&[lists, file(&[("l", DataType::Int64, true)])], ColumnPolicy::Error).unwrap();
        assert!(other.columns.is_empty());
        assert_eq!(other.refused["l.length"], "the length of a list, but `l` is Int64 in f1");
    }
}
