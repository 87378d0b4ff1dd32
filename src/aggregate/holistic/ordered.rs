//! Aggregates of values in an order of their own: `string_agg(x, ',' order by y desc)`, `first(x order by y)`.

use super::{Chunk, Fold, Nulls, Stretch};
use crate::aggregate::{Aggregate, Constant, Exactness, Over};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{Array, ArrayRef, AsArray, UInt32Array, new_empty_array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// An aggregate that goes by the order of rows, `string_agg`, `list`, `first` or `last`, whose rows are ordered by the arguments
/// behind its own, and where these are equal by input order. Rows whose value is null are left out; null keys come last.
#[derive(Clone, Debug)]
pub struct Ordered {
    inner: Arc<dyn Aggregate>,
    /// Of the keys.
    descending: Vec<bool>,
}

impl Ordered {
    /// `inner` over rows in the order of so many keys, each ascending or descending.
    ///
    /// # Errors
    /// `Unsupported` for an aggregate that cannot be given an order.
    pub fn new(inner: Arc<dyn Aggregate>, descending: Vec<bool>) -> Result<Self> {
        if inner.over() == Over::InputOrder || edge(&*inner).is_some() {
            return Ok(Ordered { inner, descending });
        }
        let message = format!("`order by` in `{}` is not supported", inner.name());
        Err(Error::new(ErrorKind::Unsupported, message)
            .hint("string_agg, list, first and last have it; where the order does not matter it is ignored"))
    }
}

/// Whether it is `first`, or `last`.
fn edge(aggregate: &dyn Aggregate) -> Option<bool> {
    match aggregate.name() {
        "first" => Some(true),
        "last" => Some(false),
        _ => None,
    }
}

impl Aggregate for Ordered {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn constants(&self) -> Vec<Constant> {
        self.inner.constants()
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let own = arguments.len().checked_sub(self.descending.len());
        let own = own.ok_or_else(|| Error::internal("an order with fewer keys than it has"))?;
        if let Some(list) = arguments[own..].iter().find(|key| key.is_nested()) {
            let message = format!("`order by` in `{}` takes single values, not {list}", self.name());
            return Err(Error::new(ErrorKind::Type, message));
        }
        self.inner.output_type(&arguments[..own])
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn over(&self) -> Over {
        Over::InputOrder
    }

    fn ordering(&self) -> &[bool] {
        &self.descending
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        Ok(match (edge(&*self.inner), arguments) {
            (None, _) => self.inner.fold(arguments)?,
            (Some(_), [DataType::Null]) => Box::new(Nulls::new(DataType::Null)),
            (Some(first), [value]) => Box::new(Picks::new(value, first)),
            (Some(_), _) => return Err(Error::internal("a fold over several arguments")),
        })
    }
}

/// The first or the last value of each group.
struct Picks {
    value: DataType,
    first: bool,
    /// Values of groups that have ended, in order.
    ended: Vec<ArrayRef>,
    /// That of the group that has not, if it has one.
    open: Option<ArrayRef>,
    bytes: usize,
}

impl Picks {
    fn new(value: &DataType, first: bool) -> Self {
        Picks { value: value.clone(), first, ended: Vec::new(), open: None, bytes: 0 }
    }

    /// These rows are the values of the next groups.
    fn end(&mut self, values: &ArrayRef, rows: Vec<Option<u32>>) -> Result<()> {
        if !rows.is_empty() {
            let picked = picked_of(values, rows)?;
            self.bytes += picked.get_array_memory_size();
            self.ended.push(picked);
        }
        Ok(())
    }
}

/// Values by themselves, without the texts of those beside them.
fn picked_of(values: &ArrayRef, rows: Vec<Option<u32>>) -> Result<ArrayRef> {
    let picked = take(values, &UInt32Array::from(rows), None)?;
    Ok(match picked.as_string_view_opt() {
        Some(texts) => Arc::new(texts.gc()),
        None => picked,
    })
}

impl Fold for Picks {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let mut picked: Vec<Option<u32>> = Vec::new();
        for stretch in stretches {
            let row = if self.first { stretch.rows.start } else { stretch.rows.end.wrapping_sub(1) };
            let row = if stretch.rows.is_empty() { None } else { u32::try_from(row).ok() };
            if stretch.begins.is_some() {
                self.open = None;
            }
            let keeps = self.first && self.open.is_some() || row.is_none();
            match (stretch.ends, keeps.then(|| self.open.take()).flatten()) {
                (true, Some(value)) => {
                    self.end(chunk.values, std::mem::take(&mut picked))?;
                    self.bytes += value.get_array_memory_size();
                    self.ended.push(value);
                }
                (true, None) => picked.push(row),
                (false, Some(value)) => self.open = Some(value),
                (false, None) => {
                    self.open = row.map(|row| picked_of(chunk.values, vec![Some(row)])).transpose()?;
                }
            }
        }
        self.end(chunk.values, picked)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let parts = std::mem::take(&mut self.ended);
        self.bytes = 0;
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(if parts.is_empty() { new_empty_array(&self.value) } else { concat(&parts)? })
    }

    fn bytes_held(&self) -> usize {
        // Once more when they are put together.
        2 * self.bytes
    }
}
