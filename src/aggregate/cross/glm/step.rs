//! One pass of a fit: how good the estimates of the pass before are, and better ones.

use super::family::Family;
use super::fitted::{Fitted, Stage, Values};
use crate::aggregate::cross::cells::Cells;
use crate::aggregate::cross::fit::{Coefficient, fit};
use crate::aggregate::cross::model::Model;
use crate::aggregate::cross::ols::{INTERCEPT, Ols};
use crate::aggregate::cross::sums::{doubles, weights};
use crate::aggregate::store::{column, exported, for_each_live, live_rows, not_an_export, typed};
use crate::aggregate::{Aggregate, Exactness, GroupStates, Rows, find};
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringViewArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float64Type};
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// As in R.
const MOST_ITERATIONS: u64 = 25;
const TOLERANCE: f64 = 1e-8;
/// In a last step, linear predictors change by far less than this, or by 1 and more where estimates grow without end.
const SETTLED_CHANGE: f64 = 0.5;

/// A step of a logistic or Poisson regression. Its arguments are those of the regression and, but in the first step, what the
/// step before gave; it gives a text.
#[derive(Clone, Debug)]
pub(super) struct Step {
    model: Ols,
    family: Family,
    first: bool,
}

impl Step {
    pub(super) fn new(model: Ols, family: Family, first: bool) -> Self {
        Step { model, family, first }
    }

    /// The arguments of the regression, without the fit so far.
    fn own<'a, T>(&self, arguments: &'a [T]) -> &'a [T] {
        &arguments[..arguments.len() - usize::from(!self.first && !arguments.is_empty())]
    }
}

impl Aggregate for Step {
    fn name(&self) -> &str {
        match (self.family, self.first) {
            (Family::Logistic, true) => "first step of logistic",
            (Family::Logistic, false) => "step of logistic",
            (Family::Poisson, true) => "first step of poisson",
            (Family::Poisson, false) => "step of poisson",
        }
    }

    fn is_step(&self) -> bool {
        true
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.model.check(self, self.own(arguments))?;
        Ok(DataType::Utf8View)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn most_state_bytes(&self) -> usize {
        self.model.most_bytes()
    }

    fn suffix(&self) -> String {
        self.model.ending(None)
    }

    fn argument_name(&self, at: usize) -> Option<&str> {
        self.model.is_weights(at).then_some("weights")
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        self.output_type(arguments)?;
        Ok(Box::new(StepStates::new(self.clone(), arguments)?))
    }
}

/// What is summed over rows: of each step the deviance; of the first, weights, weighted responses, and the constants of the
/// family.
const FIRST_SUMS: usize = 5;

/// The fit before, read.
#[derive(Clone, Debug)]
struct Before {
    fitted: Arc<Fitted>,
    predictor: Arc<Model>,
    change: Arc<Model>,
}

impl Before {
    fn parse(text: &str) -> Result<Self> {
        let fitted = Fitted::parse(text)?;
        let (predictor, change) = (fitted.predictor()?.into(), fitted.change()?.into());
        Ok(Before { fitted: fitted.into(), predictor, change })
    }
}

struct StepStates {
    step: Step,
    /// Sums of products of the terms and the working response.
    cells: Cells,
    /// Sums over rows and, but of the first step, the greatest change of a linear predictor.
    others: Vec<Box<dyn GroupStates>>,
    before: Vec<Option<Before>>,
    before_bytes: usize,
}

impl StepStates {
    fn new(step: Step, types: &[DataType]) -> Result<Self> {
        let numbers = usize::from(step.model.is_weighted());
        let own = step.own(types);
        let mut of_cells = own[..own.len() - numbers].to_vec();
        // Rows always have working weights.
        of_cells.push(DataType::Float64);
        let cells = Cells::new(step.model.clone().weighted(), &of_cells);
        let names: &[&str] = if step.first { &["sum"; FIRST_SUMS] } else { &["sum", "max"] };
        let states = |name: &&str| find(name, 1)?.states(&[DataType::Float64]);
        let others = names.iter().map(states).collect::<Result<_>>()?;
        Ok(StepStates { step, cells, others, before: Vec::new(), before_bytes: 0 })
    }

    fn remember(&mut self, group: usize, text: &str) -> Result<()> {
        if self.before[group].is_none() {
            self.before[group] = Some(Before::parse(text)?);
            self.before_bytes += 8 * text.len() + size_of::<Fitted>();
        }
        Ok(())
    }

    /// The next fit of a group, from the totals of its rows.
    fn next(&self, group: usize, totals: &[f64]) -> Result<Fitted> {
        let before = self.before[group].as_ref().map(|before| &*before.fitted);
        if let Some(settled) = before.filter(|before| before.is_settled()) {
            return Ok(settled.clone());
        }
        let (model, family) = (&self.step.model, self.step.family);
        let intercept = model.has_intercept();
        let (sums, terms) = self.cells.model_of(group)?;
        let deviance = totals[0];
        let mut next = match before {
            Some(before) => Fitted { rows: sums.count, left_out: sums.left_out, ..before.clone() },
            None if !self.step.first => return Ok(Fitted::nothing(sums.left_out)),
            None => {
                let [_, weights, responses, saturated, constant] = *totals else {
                    return Err(Error::internal("a first step without its sums"));
                };
                let null_deviance = family.null_deviance(intercept, weights, responses, saturated);
                let nothing = Fitted::nothing(sums.left_out);
                Fitted { stage: Stage::Going, rows: sums.count, null_deviance, constant: 2.0 * constant, ..nothing }
            }
        };
        if let Some(before) = before {
            if !deviance.is_finite() && before.halvings < MOST_ITERATIONS && before.has_changed() {
                next.halve();
                return Ok(next);
            }
            let change = (deviance - before.deviance).abs() / (deviance.abs() + 0.1);
            if change < TOLERANCE || before.iterations == MOST_ITERATIONS || !deviance.is_finite() {
                next.stage = if change < TOLERANCE { Stage::Converged } else { Stage::Stopped };
                next.separated = totals[1] > SETTLED_CHANGE;
                next.deviance = deviance;
                return Ok(next);
            }
        }
        let solved = if sums.special { None } else { fit(&sums, terms.terms.len(), intercept) };
        let Some(solved) = solved else { return Ok(Fitted::nothing(sums.left_out)) };
        let names = intercept.then(|| Arc::from(INTERCEPT)).into_iter();
        let names = names.chain(terms.terms.iter().map(|parts| model.name_of(parts)));
        let old = |at: usize| before.and_then(|before| before.terms.get(at)?.values);
        let values = |(at, coefficient): (usize, &Option<Coefficient>)| {
            let Coefficient { estimate, unit_error: std_error, .. } = (*coefficient)?;
            let change = before.map_or(0.0, |_| estimate - old(at).map_or(0.0, |old| old.estimate));
            Some(Values { estimate, std_error, change })
        };
        let values = solved.coefficients.iter().enumerate().map(values);
        let all = names.map(|name| name.to_string()).zip(values).collect();
        next.take_terms(&terms, intercept, all);
        (next.iterations, next.halvings) = (next.iterations + 1, 0);
        next.rank = solved.rank;
        next.deviance = deviance;
        Ok(next)
    }

    fn same<'a>(&self, other: &'a dyn GroupStates) -> Result<&'a Self> {
        other.as_any().downcast_ref::<Self>().ok_or_else(not_an_export::<Self>)
    }

    /// Takes over what groups of `other` know of the step before.
    fn take_before(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            if let (None, Some(known)) = (&self.before[into], &other.before[from]) {
                self.before[into] = Some(known.clone());
                self.before_bytes += other.before_bytes / other.before.len().max(1);
            }
        }
    }
}

/// A column of a batch, by row.
fn slices(columns: &[Float64Array]) -> Vec<&[f64]> {
    columns.iter().map(|column| column.values().as_ref()).collect()
}

impl GroupStates for StepStates {
    fn grow(&mut self, groups: usize) {
        self.cells.grow(groups);
        self.others.iter_mut().for_each(|other| other.grow(groups));
        self.before.resize(groups.max(self.before.len()), None);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let own = self.step.own(arguments);
        let so_far = (!self.step.first).then(|| typed::<StringViewArray>(arguments, own.len())).transpose()?;
        let weighted = self.step.model.is_weighted();
        let products = self.cells.design().products(own)?;
        let texts = self.cells.texts(own)?;
        let weights = weighted.then(|| weights(own, own.len() - 1)).transpose()?;
        let regressors = own.len() - 1 - usize::from(weighted);
        let number = |at: usize| match own[1 + at].data_type() {
            DataType::Utf8View => Ok(None),
            _ => doubles(column(own, 1 + at)?).map(Some),
        };
        let numbers = (0..regressors).map(number).collect::<Result<Vec<_>>>()?;
        let text_at = |at: usize| (0..at).filter(|before| numbers[*before].is_none()).count();
        let nulls = products.iter().chain(&weights).map(|column| column.nulls());
        let nulls = nulls.chain(texts.iter().map(|texts| texts.nulls()));
        let nulls = nulls.fold(None, |all: Option<NullBuffer>, own| NullBuffer::union(all.as_ref(), own));
        let values = slices(&products);
        let count = rows.groups.rows();
        let (mut responses, mut roots) = (vec![0.0; count], vec![0.0; count]);
        let mut sums: Vec<Vec<f64>> = vec![vec![0.0; count]; self.others.len()];
        let mut levels = Vec::new();
        let asked = live_rows(rows, None);
        let mut result = Ok(());
        let mut row_of = |row: usize| -> Result<()> {
            let group = rows.groups.of(row);
            if let Some(texts) = so_far {
                self.remember(group, texts.value(row))?;
            }
            let before = self.before[group].as_ref();
            if before.is_some_and(|before| before.fitted.is_settled()) {
                return Ok(());
            }
            let is_finite = || values.iter().all(|column| column[row].is_finite());
            let weight = weights.as_ref().map_or(1.0, |weights| weights.value(row));
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) || !is_finite() || !weight.is_finite() {
                self.cells.leave_out(group);
                return Ok(());
            }
            if weight == 0.0 {
                return Ok(());
            }
            let (family, response) = (self.step.family, values[0][row]);
            family.check(response)?;
            let mut linear = |model: &Model| {
                let number = |at: usize| numbers[at].as_ref().map_or(f64::NAN, |numbers| numbers.value(row));
                let level = |at: usize| texts[text_at(at)].value(row);
                model.linear(number, level, &mut levels).unwrap_or(f64::NAN)
            };
            let eta = match before {
                None => family.start(response, weight),
                Some(before) => {
                    sums[1][row] = linear(&before.change).abs();
                    linear(&before.predictor)
                }
            };
            let working = family.working(response, weight, eta);
            (responses[row], roots[row]) = (working.response, working.weight.sqrt());
            sums[0][row] = working.deviance;
            if before.is_none() {
                (sums[1][row], sums[2][row]) = (weight, weight * response);
                (sums[3][row], sums[4][row]) = family.constants(response, weight);
            }
            Ok(())
        };
        for_each_live(count, asked.as_ref(), |row| {
            if result.is_ok() {
                result = row_of(row);
            }
        });
        result?;
        let mut columns = values;
        columns[0] = &responses;
        let mut key = Vec::new();
        for row in (0..count).filter(|row| roots[*row] > 0.0) {
            self.cells.add_row(rows.groups.of(row), &texts, &columns, Some(&roots), row, &mut key);
        }
        for (other, sums) in self.others.iter_mut().zip(sums) {
            other.update(&[Arc::new(Float64Array::from(sums))], rows)?;
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn GroupStates, map: &[u32]) -> Result<()> {
        let other = self.same(other)?;
        GroupStates::merge(&mut self.cells, &other.cells, map)?;
        for (own, theirs) in self.others.iter_mut().zip(&other.others) {
            own.merge(&**theirs, map)?;
        }
        self.take_before(other, map.iter().map(|into| *into as usize).enumerate());
        Ok(())
    }

    fn merge_some(&mut self, other: &dyn GroupStates, from: &[u32], into: &[u32]) -> Result<()> {
        let other = self.same(other)?;
        GroupStates::merge_some(&mut self.cells, &other.cells, from, into)?;
        for (own, theirs) in self.others.iter_mut().zip(&other.others) {
            own.merge_some(&**theirs, from, into)?;
        }
        self.take_before(other, from.iter().zip(into).map(|(from, into)| (*from as usize, *into as usize)));
        Ok(())
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let mut columns = GroupStates::export(&self.cells, groups.clone())?;
        for other in &self.others {
            columns.extend(other.export(groups.clone())?);
        }
        let text = |before: &Option<Before>| before.as_ref().map(|before| before.fitted.text());
        columns.push(Arc::new(self.before[groups].iter().map(text).collect::<StringViewArray>()));
        Ok(columns)
    }

    fn import(&mut self, columns: &[ArrayRef], map: &[u32]) -> Result<()> {
        let mut rest = columns;
        let mut take = |own: &mut dyn GroupStates| {
            let width = own.export(0..0)?.len();
            let (first, others) = rest.split_at_checked(width).ok_or_else(not_an_export::<Self>)?;
            rest = others;
            own.import(first, map)
        };
        take(&mut self.cells)?;
        self.others.iter_mut().try_for_each(|other| take(&mut **other))?;
        let texts = exported::<Self, StringViewArray>(rest, 0)?;
        if texts.len() != map.len() {
            return Err(not_an_export::<Self>());
        }
        for (row, into) in map.iter().enumerate().filter(|(row, _)| texts.is_valid(*row)) {
            self.remember(*into as usize, texts.value(row))?;
        }
        Ok(())
    }

    fn finish(&mut self, groups: Range<usize>) -> Result<ArrayRef> {
        let others = self.others.iter_mut().map(|other| other.finish(groups.clone())).collect::<Result<Vec<_>>>()?;
        let totals = |at: usize| -> Vec<f64> {
            let value = |column: &ArrayRef| {
                let column = column.as_primitive::<Float64Type>();
                if column.is_valid(at) { column.value(at) } else { 0.0 }
            };
            others.iter().map(value).collect()
        };
        let next = |(at, group): (usize, usize)| Ok(Some(self.next(group, &totals(at))?.text()));
        let fits = groups.enumerate().map(next).collect::<Result<StringViewArray>>()?;
        Ok(Arc::new(fits))
    }

    fn bytes_held(&self) -> usize {
        let others: usize = self.others.iter().map(|other| other.bytes_held()).sum();
        let before = self.before.capacity() * size_of::<Option<Before>>() + self.before_bytes;
        GroupStates::bytes_held(&self.cells) + others + before
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::GroupIds;
    use crate::batch::{Positions, RowOrigin};

    const ROWS: usize = 60;
    const GROUPS: [u32; 3] = [0, 1, 2];

    fn columns() -> Vec<ArrayRef> {
        let numbers = |number: fn(usize) -> Option<f64>| Arc::new((0..ROWS).map(number).collect::<Float64Array>());
        let texts: StringViewArray = (0..ROWS).map(|row| Some(["a", "b", "c"][row * 7 % 11 % 3])).collect();
        vec![
            numbers(|row| Some((row * 5 % 7 % 2) as f64)),
            numbers(|row| Some((row * 13 % 29) as f64 / 7.0).filter(|_| row % 10 != 3)),
            Arc::new(texts),
            numbers(|row| Some(if row == 44 { f64::NAN } else { (row % 4) as f64 })),
        ]
    }

    fn over(step: &Step, columns: &[ArrayRef], from: usize, to: usize) -> Box<dyn GroupStates> {
        let types: Vec<DataType> = columns.iter().map(|column| column.data_type().clone()).collect();
        let mut states = step.states(&types).unwrap();
        states.grow(GROUPS.len());
        let part: Vec<ArrayRef> = columns.iter().map(|column| column.slice(from, to - from)).collect();
        let groups: Vec<u32> = (from..to).map(|row| (row % 2) as u32).collect();
        let origin = RowOrigin { file: 0, positions: Positions::Consecutive(from as u64) };
        let rows = Rows { groups: GroupIds::Each(&groups), mask: None, origin: &origin };
        states.update(&part, &rows).unwrap();
        states
    }

    fn fits(mut states: Box<dyn GroupStates>) -> StringViewArray {
        states.finish(0..GROUPS.len()).unwrap().as_string_view().clone()
    }

    #[test]
    fn steps_obey_the_laws_of_aggregates() {
        let model = Ols::new(["x", "f"], true).weighted();
        for family in [Family::Logistic, Family::Poisson] {
            let mut columns = columns();
            let mut step = Step::new(model.clone(), family, true);
            for _ in 0..3 {
                let whole = fits(over(&step, &columns, 0, ROWS));
                for split in [0, 1, 7, 30, ROWS] {
                    let (first, second) = (over(&step, &columns, 0, split), over(&step, &columns, split, ROWS));
                    let mut travelled = over(&step, &columns, 0, 0);
                    for part in [&second, &first] {
                        travelled.import(&part.export(0..GROUPS.len()).unwrap(), &GROUPS).unwrap();
                    }
                    let mut merged = over(&step, &columns, 0, 0);
                    merged.merge(&*second, &GROUPS).unwrap();
                    merged.merge_some(&*first, &GROUPS, &GROUPS).unwrap();
                    assert_eq!(fits(merged), whole, "{family:?} at {split}");
                    assert_eq!(fits(travelled), whole, "{family:?} at {split}");
                }
                assert!(whole.value(2).starts_with("nothing") && whole.value(0).starts_with("going"), "{whole:?}");
                let texts: StringViewArray = (0..ROWS).map(|row| Some(whole.value(row % 2).to_owned())).collect();
                columns.truncate(4);
                columns.push(Arc::new(texts));
                step = Step::new(model.clone(), family, false);
            }
        }
    }

    #[test]
    fn a_step_too_far_is_halved() {
        let step = Step::new(Ols::new(["x"], true), Family::Poisson, true);
        let columns = columns()[..2].to_vec();
        let first = fits(over(&step, &columns, 0, ROWS));
        let mut far = Fitted::parse(first.value(0)).unwrap();
        for values in far.terms.iter_mut().filter_map(|term| term.values.as_mut()) {
            (values.estimate, values.change) = (values.estimate + 1e4, 1e4);
        }
        let texts: StringViewArray = (0..ROWS).map(|_| Some(far.text())).collect();
        let columns = vec![Arc::clone(&columns[0]), Arc::clone(&columns[1]), Arc::new(texts)];
        let next = Step::new(Ols::new(["x"], true), Family::Poisson, false);
        let next = Fitted::parse(fits(over(&next, &columns, 0, ROWS)).value(0)).unwrap();
        assert_eq!((next.halvings, next.iterations), (1, 1));
        assert_eq!(next.terms[0].values.unwrap().estimate, far.terms[0].values.unwrap().estimate - 5e3);
    }
}
