//! The states of a model with factors: columns of texts, each value of which, a level, has a term of its own.
//!
//! A group is divided into *cells*, one for each combination of levels in it, and a cell has the sums of products of the
//! numbers in its rows. In a cell the indicator of a level is 1 or 0 throughout, so all products with indicators are among
//! those sums, and are put together in the end.

use super::ols::Ols;
use super::sums::{CrossProducts, CrossSums, Unasked, doubles};
use crate::aggregate::Rows;
use crate::aggregate::store::{
    Store, binary_column, column, for_each_live, live_rows, not_an_export, read_view_bytes, typed, view_bytes_column,
};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{Array, ArrayRef, BinaryArray, Float64Array, StringViewArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use num_bigint::BigInt;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// More terms would take minutes to be fitted.
const MOST_TERMS: usize = 300;

/// What a regressor of a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Regressor {
    /// A column of the sums.
    Number(usize),
    /// A factor.
    Factor(usize),
}

/// The levels of a factor, numbered as they come.
#[derive(Default)]
struct Levels {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
    bytes: usize,
}

impl Levels {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let (name, number): (Arc<str>, u32) = (name.into(), self.names.len() as u32);
        self.bytes += name.len() + 2 * size_of::<(Arc<str>, u32)>();
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }
}

/// Cells, and to which group and levels each belongs.
pub(super) struct Cells {
    sums: CrossProducts<Unasked>,
    /// By group and levels.
    cells: BTreeMap<Box<[u32]>, u32>,
    levels: Vec<Levels>,
    /// By group, rows that lack a value.
    left_out: Vec<u64>,
    /// Of the arguments, which are numbers and which factors.
    numbers: Vec<usize>,
    factors: Vec<usize>,
    model: Ols,
}

impl Cells {
    /// States for arguments of these types: a response, which is a number, and regressors.
    pub(super) fn new(model: Ols, types: &[DataType]) -> Self {
        let (factors, numbers) = (0..types.len()).partition(|at| types[*at] == DataType::Utf8View);
        Cells::of(model, numbers, factors)
    }

    fn of(model: Ols, numbers: Vec<usize>, factors: Vec<usize>) -> Self {
        Cells {
            sums: CrossProducts::new(numbers.len(), Unasked),
            cells: BTreeMap::new(),
            levels: factors.iter().map(|_| Levels::default()).collect(),
            left_out: Vec::new(),
            numbers,
            factors,
            model,
        }
    }

    fn cell(&mut self, key: &[u32]) -> usize {
        if let Some(cell) = self.cells.get(key) {
            return *cell as usize;
        }
        let cell = self.cells.len();
        self.cells.insert(key.into(), cell as u32);
        self.sums.grow(cell + 1);
        cell
    }

    /// The cells of a group, by levels.
    fn of_group(&self, group: usize) -> impl Iterator<Item = (&[u32], usize)> {
        let group = group as u32;
        let start: Box<[u32]> = [group].into();
        let cells = self.cells.range(start..).take_while(move |(key, _)| key[0] == group);
        cells.map(|(key, cell)| (&key[1..], *cell as usize))
    }

    fn regressors(&self) -> Vec<Regressor> {
        let regressor = |at: usize| match self.factors.iter().position(|factor| *factor == at) {
            Some(factor) => Regressor::Factor(factor),
            None => Regressor::Number(1 + self.numbers.iter().position(|number| *number == at).unwrap_or_default()),
        };
        (1..self.numbers.len() + self.factors.len()).map(regressor).collect()
    }

    /// The sums of a group with a column for each level but the first of a factor, and what the columns are called.
    fn model_of(&self, group: usize) -> Result<(CrossSums, Vec<Arc<str>>)> {
        let regressors = self.regressors();
        // By factor, its levels in this group and the column of each.
        let mut columns: Vec<BTreeMap<&str, Option<usize>>> = vec![BTreeMap::new(); self.factors.len()];
        for (levels, _) in self.of_group(group) {
            for ((own, level), columns) in self.levels.iter().zip(levels).zip(&mut columns) {
                columns.insert(&own.names[*level as usize], None);
            }
        }
        let mut terms: Vec<Arc<str>> = Vec::new();
        let mut all_levels = !self.model.has_intercept();
        for (regressor, name) in regressors.iter().zip(self.model.regressors()) {
            match regressor {
                Regressor::Number(_) => terms.push(Arc::clone(name)),
                Regressor::Factor(factor) => {
                    for (level, column) in columns[*factor].iter_mut().skip(usize::from(!all_levels)) {
                        *column = Some(2 + terms.len());
                        terms.push(format!("{name} = '{}'", level.replace('\'', "''")).into());
                    }
                    // Without an intercept the first factor stands for it.
                    all_levels = false;
                }
            }
            if terms.len() > MOST_TERMS {
                let message = format!("`ols` has more than {MOST_TERMS} terms, with one for each level of a factor");
                return Err(
                    Error::new(ErrorKind::Limit, message).hint("group by the factor in place of regressing on it")
                );
            }
        }
        let mut sums = CrossSums::zero(terms.len() + 2, self.left_out[group]);
        for (levels, cell) in self.of_group(group) {
            let own = self.sums.sums_of(cell);
            // The columns that are not 0 in this cell, and those of its sums that they are.
            let mut active = vec![(0, 0), (1, 1)];
            let mut at = 2;
            for regressor in &regressors {
                match regressor {
                    Regressor::Number(number) => {
                        active.push((at, *number));
                        at += 1;
                    }
                    Regressor::Factor(factor) => {
                        let level = &self.levels[*factor].names[levels[*factor] as usize];
                        active.extend(columns[*factor][&**level].map(|column| (column, 0)));
                        at += columns[*factor].values().flatten().count();
                    }
                }
            }
            sums.add(&own, &active);
        }
        Ok((sums, terms))
    }

    /// Levels and sums of the cells of a group, and the wide sums of each that has them.
    fn group_bytes(&self, group: usize) -> Result<Vec<u8>> {
        let mut bytes = self.left_out[group].to_le_bytes().to_vec();
        let mut put = |part: &[u8]| {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        };
        for (levels, cell) in self.of_group(group) {
            for (own, level) in self.levels.iter().zip(levels) {
                put(own.names[*level as usize].as_bytes());
            }
            let sums = self.sums.export(cell..cell + 1)?;
            let wide = typed::<BinaryArray>(&sums, 1)?;
            read_view_bytes::<Self>(&sums, 0)?.into_iter().for_each(&mut put);
            put(if wide.is_valid(0) { wide.value(0) } else { &[] });
        }
        Ok(bytes)
    }
}

/// Takes the next part of what `group_bytes` wrote.
fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    *bytes = rest;
    Some(part)
}

impl Store for Cells {
    fn grow(&mut self, groups: usize) {
        self.left_out.resize(groups.max(self.left_out.len()), 0);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let numbers = self.numbers.iter().map(|at| doubles(column(arguments, *at)?));
        let numbers: Vec<Float64Array> = numbers.collect::<Result<_>>()?;
        let texts: Vec<StringViewArray> =
            self.factors.iter().map(|at| typed::<StringViewArray>(arguments, *at).cloned()).collect::<Result<_>>()?;
        let all = numbers.iter().map(|own| own.nulls()).chain(texts.iter().map(|own| own.nulls()));
        let nulls = all.fold(None, |all: Option<NullBuffer>, own| NullBuffer::union(all.as_ref(), own));
        let asked = live_rows(rows, None);
        let mut key = vec![0; 1 + texts.len()];
        for_each_live(rows.groups.rows(), asked.as_ref(), |row| {
            let group = rows.groups.of(row);
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                self.left_out[group] += 1;
                return;
            }
            key[0] = group as u32;
            for ((place, levels), texts) in key[1..].iter_mut().zip(&mut self.levels).zip(&texts) {
                *place = levels.number(texts.value(row));
            }
            let cell = self.cell(&key);
            self.sums.add(cell, |at| numbers[at].value(row));
        });
        Ok(())
    }

    fn absorb(&mut self, other: &Self, groups: impl Iterator<Item = (usize, usize)>) {
        let mut pairs = Vec::new();
        for (from, into) in groups {
            self.left_out[into] += other.left_out[from];
            for (levels, cell) in other.of_group(from) {
                let names = other.levels.iter().zip(levels).map(|(theirs, level)| &theirs.names[*level as usize]);
                let own = self.levels.iter_mut().zip(names).map(|(own, name)| own.number(name));
                let key: Vec<u32> = std::iter::once(into as u32).chain(own).collect();
                pairs.push((cell, self.cell(&key)));
            }
        }
        self.sums.absorb(&other.sums, pairs.into_iter());
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let bytes = groups.map(|group| self.group_bytes(group)).collect::<Result<Vec<_>>>()?;
        Ok(vec![view_bytes_column(bytes.into_iter())?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let mut read = Cells::of(self.model.clone(), self.numbers.clone(), self.factors.clone());
        let (mut fixed, mut wide) = (Vec::new(), Vec::new());
        for (group, mut bytes) in read_view_bytes::<Self>(columns, 0)?.into_iter().enumerate() {
            let left_out =
                bytes.split_off(..8).and_then(|bytes| bytes.first_chunk()).ok_or_else(not_an_export::<Self>)?;
            read.left_out.push(u64::from_le_bytes(*left_out));
            while !bytes.is_empty() {
                let mut key = vec![group as u32];
                for levels in &mut read.levels {
                    let name = part(&mut bytes).and_then(|name| std::str::from_utf8(name).ok());
                    key.push(levels.number(name.ok_or_else(not_an_export::<Self>)?));
                }
                read.cells.insert(key.into(), fixed.len() as u32);
                fixed.push(part(&mut bytes).ok_or_else(not_an_export::<Self>)?.to_vec());
                let own = part(&mut bytes).ok_or_else(not_an_export::<Self>)?;
                wide.push(Some(own.to_vec()).filter(|own| !own.is_empty()));
            }
        }
        read.sums = self.sums.read(&[view_bytes_column(fixed.into_iter())?, binary_column(wide.into_iter())])?;
        Ok(read)
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        self.model.told(groups.map(|group| self.model_of(group)))
    }

    fn bytes_held(&self) -> usize {
        let key = (1 + self.factors.len()) * size_of::<u32>();
        let of_cell = key + 2 * size_of::<(Box<[u32]>, u32)>();
        let levels: usize = self.levels.iter().map(|levels| levels.bytes).sum();
        self.sums.bytes_held() + self.cells.len() * of_cell + levels + self.left_out.capacity() * size_of::<u64>()
    }
}

impl CrossSums {
    /// No rows yet.
    fn zero(columns: usize, left_out: u64) -> Self {
        let mut sums = CrossSums::of_products(vec![BigInt::ZERO; columns * (columns + 1) / 2], columns);
        sums.left_out = left_out;
        sums
    }

    /// Adds the sums of a cell: for each pair, a column of ours and the one of `cell` that it is there.
    fn add(&mut self, cell: &CrossSums, columns: &[(usize, usize)]) {
        self.count += cell.count;
        self.special |= cell.special;
        let exponent = self.exponent.min(cell.exponent);
        self.rescale(exponent);
        let shift = (cell.exponent - exponent).unsigned_abs();
        for (at, &(own, theirs)) in columns.iter().enumerate() {
            for &(other, other_theirs) in &columns[at..] {
                *self.product_mut(own, other) += cell.product(theirs, other_theirs) << shift;
            }
        }
    }
}
