//! Results that are values of their groups.

use crate::aggregate::values::Values;
use arrow::array::ArrayRef;
use arrow::buffer::{BooleanBuffer, NullBuffer};

/// At most one value a group, of groups that come one after the other. The last may still go on.
pub(super) struct Picks<V> {
    values: V,
    picked: Vec<bool>,
    open: bool,
}

impl<V: Values> Picks<V> {
    pub(super) fn new(values: V) -> Self {
        Picks { values, picked: Vec::new(), open: false }
    }

    pub(super) fn column(&self, values: &ArrayRef) -> crate::error::Result<V::Column> {
        self.values.column_of(std::slice::from_ref(values), 0)
    }

    /// The next group begins.
    pub(super) fn begin(&mut self) {
        self.picked.push(false);
        self.values.grow(self.picked.len());
        self.open = true;
    }

    /// The value of the group that began last.
    pub(super) fn pick(&mut self, value: V::Value<'_>) {
        if let Some(last) = self.picked.len().checked_sub(1) {
            self.picked[last] = true;
            self.values.set(last, value);
        }
    }

    /// The group that began last is complete.
    pub(super) fn end(&mut self) {
        self.open = false;
    }

    /// The values of the groups that are complete.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let ended = self.picked.len() - usize::from(self.open);
        let nulls = NullBuffer::new(BooleanBuffer::from(&self.picked[..ended]));
        let column = self.values.to_column(0..ended, nulls);
        let mut rest = Picks::new(self.values.empty());
        if self.open {
            rest.begin();
            if self.picked[ended] {
                rest.pick(self.values.get(ended));
            }
        }
        *self = rest;
        column
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.values.bytes_held() + self.picked.capacity()
    }
}
