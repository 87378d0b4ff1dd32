//! Temporary simple grouping until the real one lands.
#![allow(missing_docs)]
use crate::aggregate::{Aggregate, GroupIds, GroupStates, Rows};
use crate::batch::RowOrigin;
use crate::error::Result;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, UInt32Array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Float64Type};
use arrow::row::{RowConverter, SortField};
use std::collections::HashMap;
use std::sync::Arc;

pub struct GroupTable {
    keys: RowConverter,
    map: HashMap<Vec<u8>, u32>,
    list: Vec<Vec<u8>>,
    states: Vec<Box<dyn GroupStates>>,
    key_count: usize,
}

impl GroupTable {
    pub fn new(k: &[DataType], a: Vec<(Arc<dyn Aggregate>, Vec<DataType>)>) -> Result<Self> {
        let options = SortOptions { descending: false, nulls_first: false };
        let keys = RowConverter::new(k.iter().map(|t| SortField::new_with_options(t.clone(), options)).collect())?;
        let mut states = a.iter().map(|(a, t)| a.states(t)).collect::<Result<Vec<_>>>()?;
        if k.is_empty() {
            for s in &mut states {
                s.grow(1);
            }
        }
        Ok(GroupTable { keys, map: HashMap::new(), list: Vec::new(), states, key_count: k.len() })
    }
    fn ids(&mut self, rows: impl Iterator<Item = Vec<u8>>) -> Vec<u32> {
        let mut ids = Vec::new();
        for row in rows {
            let next = self.list.len() as u32;
            let list = &mut self.list;
            ids.push(*self.map.entry(row).or_insert_with_key(|k| {
                list.push(k.clone());
                next
            }));
        }
        for s in &mut self.states {
            s.grow(self.list.len());
        }
        ids
    }
    pub fn update(&mut self, k: &[ArrayRef], a: &[Vec<ArrayRef>], rows: usize, origin: &RowOrigin) -> Result<()> {
        let ids;
        let groups = if self.key_count == 0 {
            GroupIds::One(rows)
        } else {
            let k: Vec<_> = k.iter().map(normalise_floats).collect();
            let encoded = self.keys.convert_columns(&k)?;
            ids = self.ids(encoded.iter().map(|r| r.as_ref().to_vec()));
            GroupIds::Each(&ids)
        };
        let rows = Rows { groups, mask: None, origin };
        for (s, a) in self.states.iter_mut().zip(a) {
            s.update(a, &rows)?;
        }
        Ok(())
    }
    pub fn merge(&mut self, o: GroupTable) -> Result<()> {
        let map = if self.key_count == 0 { vec![0] } else { self.ids(o.list.iter().cloned()) };
        for (s, o) in self.states.iter_mut().zip(&o.states) {
            s.merge(&**o, &map)?;
        }
        Ok(())
    }
    pub fn finish(mut self) -> Result<Vec<ArrayRef>> {
        let groups = if self.key_count == 0 { 1 } else { self.list.len() };
        let mut order: Vec<u32> = (0..groups as u32).collect();
        order.sort_by(
            |a, b| if self.key_count == 0 { a.cmp(b) } else { self.list[*a as usize].cmp(&self.list[*b as usize]) },
        );
        let parser = self.keys.parser();
        let mut columns = if self.key_count == 0 {
            vec![]
        } else {
            self.keys.convert_rows(order.iter().map(|i| parser.parse(&self.list[*i as usize])))?
        };
        let indices = UInt32Array::from(order);
        for s in &mut self.states {
            columns.push(take(&s.finish(0..groups)?, &indices, None)?);
        }
        Ok(columns)
    }
    pub fn bytes_held(&self) -> usize {
        self.states.iter().map(|s| s.bytes_held()).sum()
    }
}

pub fn normalise_floats(a: &ArrayRef) -> ArrayRef {
    match a.as_primitive_opt::<Float64Type>() {
        None => Arc::clone(a),
        Some(f) => {
            let fix = |x: f64| if x.is_nan() { f64::NAN } else { x + 0.0 };
            let fixed: Float64Array = f.unary(fix);
            debug_assert_eq!(fixed.len(), a.len());
            Arc::new(fixed)
        }
    }
}
