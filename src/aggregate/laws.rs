//! The laws that every registered aggregate obeys, over every type it accepts and data chosen to hurt.
//!
//! Results are compared to the bit, among themselves and with a naive oracle in rational arithmetic.

mod folds;
mod oracle;
mod samples;

use super::{Aggregate, Bootstrap, GroupIds, GroupStates, Over, Rows, Summary, all};
use crate::batch::{Positions, RowOrigin};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Float64Type};
use samples::{Sample, samples};
use std::sync::Arc;

const GROUPS: usize = 4;

/// An aggregate applied to a sample.
struct Case {
    aggregate: Arc<dyn Aggregate>,
    arguments: Vec<ArrayRef>,
    sample: Sample,
}

/// Every aggregate with states, with every sample it accepts.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let few = |inner: &str| -> Arc<dyn Aggregate> {
        let arguments = if inner == "cov" { 2 } else { 1 };
        Arc::new(Bootstrap::new(super::find(inner, arguments).unwrap(), 5, 1).unwrap())
    };
    let replicated = ["mean", "cov"].map(few);
    let summary: Arc<dyn Aggregate> = Arc::new(Summary);
    for aggregate in
        all().into_iter().filter(|aggregate| aggregate.over() == Over::Rows).chain(replicated).chain([summary])
    {
        if aggregate.output_type(&[]).is_ok() {
            cases.extend(samples().into_iter().map(|sample| Case {
                aggregate: Arc::clone(&aggregate),
                arguments: vec![],
                sample,
            }));
        }
        for sample in samples() {
            let own = sample.values.data_type().clone();
            let arguments = if aggregate.output_type(std::slice::from_ref(&own)).is_ok() {
                vec![Arc::clone(&sample.values)]
            } else if aggregate.output_type(&[own.clone(), own]).is_ok() {
                vec![Arc::clone(&sample.values), sample.reversed()]
            } else {
                continue;
            };
            cases.push(Case { aggregate: Arc::clone(&aggregate), arguments, sample });
        }
    }
    cases
}

impl Case {
    fn types(&self) -> Vec<DataType> {
        self.arguments.iter().map(|argument| argument.data_type().clone()).collect()
    }

    fn empty(&self, groups: usize) -> Box<dyn GroupStates> {
        let mut states = self.aggregate.states(&self.types()).unwrap();
        states.grow(groups);
        states
    }

    fn update(&self, states: &mut dyn GroupStates, from: usize, to: usize) {
        let arguments: Vec<ArrayRef> = self.arguments.iter().map(|column| column.slice(from, to - from)).collect();
        let mask = self.sample.mask.as_ref().map(|mask| mask.slice(from, to - from));
        let positions = Positions::Listed(self.sample.positions[from..to].into());
        let origin = RowOrigin { file: 3, positions };
        let groups = GroupIds::Each(&self.sample.groups[from..to]);
        states.update(&arguments, &Rows { groups, mask: mask.as_ref(), origin: &origin }).unwrap();
    }

    fn over(&self, from: usize, to: usize) -> Box<dyn GroupStates> {
        let mut states = self.empty(GROUPS);
        self.update(&mut *states, from, to);
        states
    }

    fn whole(&self) -> String {
        result(&mut *self.over(0, self.rows()))
    }

    fn rows(&self) -> usize {
        self.sample.groups.len()
    }

    fn name(&self) -> String {
        format!("{}({}) over {}", self.aggregate.name(), self.types().len(), self.sample.name)
    }
}

const IDENTITY: [u32; GROUPS] = [0, 1, 2, 3];

fn merged(mut into: Box<dyn GroupStates>, other: &dyn GroupStates) -> Box<dyn GroupStates> {
    into.merge(other, &IDENTITY).unwrap();
    into
}

/// All results in a form that shows every bit; or the error.
fn result(states: &mut dyn GroupStates) -> String {
    match states.finish(0..GROUPS) {
        Err(error) => error.to_string(),
        Ok(column) => show(&column),
    }
}

fn show(column: &ArrayRef) -> String {
    match column.as_primitive_opt::<Float64Type>() {
        Some(floats) => format!("{:?}", floats.iter().map(|value| value.map(f64::to_bits)).collect::<Vec<_>>()),
        None => format!("{column:?}"),
    }
}

#[test]
fn results_are_those_of_the_oracle() {
    for case in cases() {
        let expected_type = case.aggregate.output_type(&case.types()).unwrap();
        let mut states = case.over(0, case.rows());
        match states.finish(0..GROUPS) {
            Ok(column) => {
                assert_eq!(*column.data_type(), expected_type, "{}", case.name());
                for group in 0..GROUPS {
                    oracle::check(&case.name(), case.aggregate.name(), &case.sample, group, Some(&column));
                }
            }
            Err(_) => oracle::check_overflow(&case.name(), case.aggregate.name(), &case.sample, GROUPS),
        }
    }
}

#[test]
fn empty_is_neutral_on_both_sides() {
    for case in cases() {
        let whole = case.whole();
        let right = merged(case.over(0, case.rows()), &*case.empty(GROUPS));
        let left = merged(case.empty(GROUPS), &*case.over(0, case.rows()));
        for mut states in [right, left] {
            assert_eq!(result(&mut *states), whole, "{}", case.name());
        }
        let both = result(&mut *merged(case.empty(GROUPS), &*case.empty(GROUPS)));
        assert_eq!(both, result(&mut *case.empty(GROUPS)), "{}", case.name());
    }
}

#[test]
fn chunking_and_merge_order_do_not_matter_at_any_split_point() {
    for case in cases() {
        let whole = case.whole();
        for split in 0..=case.rows() {
            let (one, two) = (case.over(0, split), case.over(split, case.rows()));
            let mut chunked = case.over(0, split);
            case.update(&mut *chunked, split, case.rows());
            assert_eq!(result(&mut *chunked), whole, "{} in two updates at {split}", case.name());
            assert_eq!(result(&mut *merged(case.over(0, split), &*two)), whole, "{} merged at {split}", case.name());
            assert_eq!(result(&mut *merged(two, &*one)), whole, "{} commuted at {split}", case.name());
        }
    }
}

#[test]
fn merge_is_associative() {
    for case in cases() {
        let whole = case.whole();
        let rows = case.rows();
        for (first, second) in [(0, 1), (1, 5), (3, rows / 2), (rows / 3, rows - 1), (7, 7), (rows, rows)] {
            let parts = || [case.over(0, first), case.over(first, second), case.over(second, rows)];
            let [a, b, c] = parts();
            let mut left = merged(merged(a, &*b), &*c);
            let [a, b, c] = parts();
            let mut right = merged(a, &*merged(b, &*c));
            assert_eq!(result(&mut *left), whole, "{}", case.name());
            assert_eq!(result(&mut *right), whole, "{}", case.name());
        }
    }
}

#[test]
fn export_then_import_is_the_identity_and_import_is_a_merge() {
    for case in cases() {
        let whole = case.whole();
        let rows = case.rows();
        for split in [0, 1, rows / 2, rows] {
            let exported = case.over(0, split).export(0..GROUPS).unwrap();
            let mut imported = case.empty(GROUPS);
            imported.import(&exported, &IDENTITY).unwrap();
            assert_eq!(result(&mut *imported), result(&mut *case.over(0, split)), "{}", case.name());
            case.update(&mut *imported, split, rows);
            assert_eq!(result(&mut *imported), whole, "{} continued after import", case.name());
            let mut states = case.over(split, rows);
            states.import(&exported, &IDENTITY).unwrap();
            assert_eq!(result(&mut *states), whole, "{} imported into states", case.name());
        }
    }
}

#[test]
fn parts_of_the_groups_export_and_finish_alike() {
    for case in cases() {
        let mut states = case.over(0, case.rows());
        let Ok(column) = states.finish(0..GROUPS) else { continue };
        let exported = states.export(1..3).unwrap();
        let mut imported = case.empty(2);
        imported.import(&exported, &[0, 1]).unwrap();
        for part in [imported.finish(0..2).unwrap(), states.finish(1..3).unwrap()] {
            assert_eq!(show(&part), show(&column.slice(1, 2)), "{}", case.name());
        }
    }
}

#[test]
fn group_maps_permute_and_collapse() {
    for case in cases() {
        let states = case.over(0, case.rows());
        let (mut there, mut back) = (case.empty(GROUPS), case.empty(GROUPS));
        there.merge(&*states, &[2, 0, 3, 1]).unwrap();
        back.merge(&*there, &[1, 3, 0, 2]).unwrap();
        assert_eq!(result(&mut *back), case.whole(), "{} permuted there and back", case.name());
        let mut collapsed = case.empty(1);
        collapsed.merge(&*states, &[0; GROUPS]).unwrap();
        let mut ungrouped = case.empty(1);
        let origin = RowOrigin { file: 3, positions: Positions::Listed(case.sample.positions.clone()) };
        let rows = Rows { groups: GroupIds::One(case.rows()), mask: case.sample.mask.as_ref(), origin: &origin };
        ungrouped.update(&case.arguments, &rows).unwrap();
        let show = |states: &mut dyn GroupStates| states.finish(0..1).map(|column| show(&column)).ok();
        assert_eq!(show(&mut *collapsed), show(&mut *ungrouped), "{} ungrouped", case.name());
    }
}

#[test]
fn a_mask_leaves_out_what_a_filter_removes() {
    for mut case in cases() {
        let Some(mask) = case.sample.mask.take() else { continue };
        let all_true = BooleanBuffer::new_set(mask.len());
        let with_nulls = BooleanArray::new(all_true, Some(NullBuffer::new(mask.values().clone())));
        case.sample.mask = Some(mask.clone());
        let masked = case.whole();
        case.sample.mask = Some(with_nulls);
        assert_eq!(case.whole(), masked, "{} null in a mask is false", case.name());
        case.sample.keep(&mask);
        case.arguments.iter_mut().for_each(|argument| *argument = filter(argument, &mask).unwrap());
        assert_eq!(case.whole(), masked, "{}", case.name());
    }
}

#[test]
fn states_refuse_those_of_another_kind_and_foreign_columns() {
    let one = |name: &str, data_type: DataType| super::find(name, 1).unwrap().states(&[data_type]).unwrap();
    let mut sums = one("sum", DataType::Float64);
    sums.grow(1);
    assert!(sums.merge(&*one("sum", DataType::Int64), &[]).is_err());
    let export = one("count", DataType::Int64).export(0..0).unwrap();
    assert!(sums.import(&export, &[]).is_err());
    assert!(sums.import(&[], &[0]).is_err());
}

#[test]
fn wrong_arguments_are_named() {
    let error = super::Sum.output_type(&[DataType::Utf8View]).unwrap_err();
    assert_eq!(error.message(), "`sum` takes one column of numbers or Booleans, not Utf8");
    assert!(super::Mean.output_type(&[DataType::Date32]).is_err());
    assert!(super::Extreme::Min.output_type(&[]).is_err());
}
