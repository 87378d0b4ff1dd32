//! Aggregates of different values, each taken once: `sum(distinct x)`, `string_agg(distinct x, ',')`.

use super::{Chunk, Fold, Stretch};
use crate::aggregate::{Aggregate, Constant, Exactness, GroupIds, GroupStates, Makes, Over, Rows};
use crate::batch::RowOrigin;
use crate::error::{Error, ErrorKind, Result};
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use std::sync::Arc;

/// An aggregate over the different values of its argument, in ascending order.
#[derive(Clone, Debug)]
pub struct Unique {
    inner: Arc<dyn Aggregate>,
}

impl Unique {
    /// `inner` over different values.
    ///
    /// # Errors
    /// `Unsupported` for an aggregate that has to know beforehand how many values there are, that is itself over different values, or
    /// that does not make one value of each group of one column.
    pub fn new(inner: Arc<dyn Aggregate>) -> Result<Self> {
        let is_plain = inner.makes() == Makes::Value && inner.in_steps().is_none() && inner.ordering().is_empty();
        let by_place = inner.over() == Over::Rows && inner.order_sensitive();
        if is_plain && !by_place && inner.over() != Over::SortedValues {
            return Ok(Unique { inner });
        }
        let message = format!("`distinct` in `{}` is not supported", inner.name());
        Err(Error::new(ErrorKind::Unsupported, message)
            .hint("in SQL, a query in `from` takes each value once: … from (select distinct x from t)"))
    }
}

impl Aggregate for Unique {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn opening(&self) -> String {
        format!("{}distinct ", self.inner.opening())
    }

    fn constants(&self) -> Vec<Constant> {
        self.inner.constants()
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [one] if one.is_nested() => Err(Error::new(ErrorKind::Type, format!("`distinct` does not take {one}"))),
            [_] => self.inner.output_type(arguments),
            _ => Err(Error::new(ErrorKind::Type, format!("`distinct` in `{}` takes one column", self.name()))),
        }
    }

    fn exactness(&self) -> Exactness {
        self.inner.exactness()
    }

    fn over(&self) -> Over {
        Over::SortedValues
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        Ok(match self.inner.over() {
            Over::Rows => {
                let states = self.inner.states(arguments)?;
                let (inner, arguments) = (Arc::clone(&self.inner), arguments.to_vec());
                Box::new(OfStates { inner, arguments, states, ended: 0, is_open: false, ids: Vec::new() })
            }
            _ => Box::new(OfFold(self.inner.fold(arguments)?)),
        })
    }
}

/// A fold over values that each come once.
struct OfFold(Box<dyn Fold>);

impl Fold for OfFold {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        self.0.absorb(&Chunk { values: chunk.values, counts: None }, stretches)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        self.0.finish()
    }

    fn bytes_held(&self) -> usize {
        self.0.bytes_held()
    }
}

/// States that take values once.
struct OfStates {
    inner: Arc<dyn Aggregate>,
    arguments: Vec<DataType>,
    /// Of the groups since results were taken last.
    states: Box<dyn GroupStates>,
    /// So many of these have ended, and perhaps one has not.
    ended: usize,
    is_open: bool,
    /// Scratch: the group of each row.
    ids: Vec<u32>,
}

impl Fold for OfStates {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { return Ok(()) };
        let rows = first.rows.start..last.rows.end;
        self.ids.clear();
        for stretch in stretches {
            self.ids.resize(self.ids.len() + stretch.rows.len(), self.ended as u32);
            self.is_open = !stretch.ends;
            self.ended += usize::from(stretch.ends);
        }
        self.states.grow(self.ended + usize::from(self.is_open));
        if rows.is_empty() {
            return Ok(());
        }
        let values = chunk.values.slice(rows.start, rows.len());
        let rows = Rows { groups: GroupIds::Each(&self.ids), mask: None, origin: &RowOrigin::consecutive(0) };
        self.states.update(&[values], &rows)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let ended = std::mem::take(&mut self.ended);
        let mut next = self.inner.states(&self.arguments)?;
        if self.is_open {
            next.grow(1);
            next.import(&self.states.export(ended..ended + 1)?, &[0])?;
        }
        self.states.grow(ended);
        let results = self.states.finish(0..ended)?;
        self.states = next;
        Ok(results)
    }

    fn bytes_held(&self) -> usize {
        self.states.bytes_held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{List, find_with};
    use arrow::array::{Array, Int64Array};
    use arrow::compute::concat;

    /// Groups of 3, 0, 1 and 4 values, cut at two places, results taken after each chunk or in the end.
    fn folded(aggregate: &Unique, cuts: [usize; 2], eager: bool) -> String {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 5, 9, -4, 2, 3, 4, 8]));
        let counts = [3, 1, 2, 7, 1, 1, 5, 2];
        let groups = [0..3, 3..3, 3..4, 4..8];
        let mut fold = aggregate.fold(&[DataType::Int64]).unwrap();
        let (mut results, mut start) = (Vec::new(), 0);
        for end in cuts.into_iter().chain([8]) {
            let of_chunk = |group: &std::ops::Range<usize>| {
                let part = group.start.max(start)..group.end.min(end);
                let is_here = part.start < part.end || group.is_empty() && (start..end).contains(&group.start);
                let (begins, ends) = ((part.start == group.start).then_some(99), part.end == group.end);
                is_here.then(|| Stretch { rows: part.start - start..part.end - start, begins, ends })
            };
            let stretches: Vec<Stretch> = groups.iter().filter_map(of_chunk).collect();
            let part = values.slice(start, end - start);
            fold.absorb(&Chunk { values: &part, counts: Some(&counts[start..end]) }, &stretches).unwrap();
            if eager {
                results.push(fold.finish().unwrap());
            }
            start = end;
        }
        results.push(fold.finish().unwrap());
        format!("{:?}", concat(&results.iter().map(|part| part.as_ref() as &dyn Array).collect::<Vec<_>>()).unwrap())
    }

    #[test]
    fn values_count_once_wherever_chunks_are_cut() {
        let sum = Unique::new(find_with("sum", 1, &[]).unwrap()).unwrap();
        let all: ArrayRef = Arc::new(Int64Array::from(vec![Some(15), None, Some(-4), Some(17)]));
        assert_eq!(folded(&sum, [0, 0], false), format!("{all:?}"));
        let list = Unique::new(Arc::new(List)).unwrap();
        for aggregate in [sum, Unique::new(find_with("avg", 1, &[]).unwrap()).unwrap(), list] {
            let whole = folded(&aggregate, [0, 0], false);
            for (first, second) in (0..=8).flat_map(|first| (first..=8).map(move |second| (first, second))) {
                for eager in [false, true] {
                    assert_eq!(
                        folded(&aggregate, [first, second], eager),
                        whole,
                        "{aggregate:?} {first} {second} {eager}"
                    );
                }
            }
        }
        for name in ["median", "first", "n_unique", "top_k"] {
            let constants = if name == "top_k" { vec![Constant::Number(2.0)] } else { Vec::new() };
            assert!(Unique::new(find_with(name, 1, &constants).unwrap()).is_err(), "{name}");
        }
    }
}
