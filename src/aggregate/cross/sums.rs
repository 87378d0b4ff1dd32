//! The states: for every group, the sums of products of each two columns, the first of which is 1 in every row (or, of
//! weighted rows, the root of the weight, with which all others are multiplied).

use super::product::{Factor, PRODUCT_EXPONENT, Sum, WIDE_EXPONENT, WideSum, add_fixed, add_product};
use crate::aggregate::Rows;
use crate::aggregate::store::{
    Store, binary_column, column, exported, for_each_live, live_rows, not_an_export, read_view_bytes, view_bytes_column,
};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{binary, cast};
use arrow::datatypes::{DataType, Float64Type};
use num_bigint::BigInt;
use std::ops::Range;
use std::sync::Arc;

/// What is asked of the sums.
pub(super) trait Answer: Clone + Send + Sync + 'static {
    /// One row a group.
    fn of(&self, groups: impl Iterator<Item = CrossSums>) -> Result<ArrayRef>;
}

/// Of states whose sums are asked for one by one: nothing.
#[derive(Clone)]
pub(super) struct Unasked;

impl Answer for Unasked {
    fn of(&self, groups: impl Iterator<Item = CrossSums>) -> Result<ArrayRef> {
        Ok(doubles_column(groups.map(|_| None)))
    }
}

/// The sums of one group. Column 0 is 1 in every row, the others are the arguments.
#[derive(Clone, Debug)]
pub(super) struct CrossSums {
    /// Rows that count.
    pub(super) count: u64,
    /// Rows that lack a value.
    pub(super) left_out: u64,
    /// A value was infinite or NaN, so that there are no sums.
    pub(super) special: bool,
    products: Vec<BigInt>,
    columns: usize,
    /// The sums are in units of 2^exponent.
    pub(super) exponent: i64,
}

impl CrossSums {
    /// No rows, with these sums, in the units of the states.
    pub(super) fn of_products(products: Vec<BigInt>, columns: usize) -> Self {
        CrossSums { count: 0, left_out: 0, special: false, products, columns, exponent: PRODUCT_EXPONENT }
    }

    /// Counts in units of 2^exponent, which are not larger than those so far.
    pub(super) fn rescale(&mut self, exponent: i64) {
        let shift = (self.exponent - exponent).unsigned_abs();
        if shift > 0 {
            self.products.iter_mut().for_each(|product| *product <<= shift);
            self.exponent = exponent;
        }
    }

    /// The sum of the products of two columns, in units.
    pub(super) fn product_mut(&mut self, a: usize, b: usize) -> &mut BigInt {
        &mut self.products[place(self.columns, a.min(b), a.max(b))]
    }

    /// The sum of the products of two columns, in units.
    pub(super) fn product(&self, a: usize, b: usize) -> &BigInt {
        &self.products[place(self.columns, a.min(b), a.max(b))]
    }

    /// The sum of a column, in units.
    pub(super) fn sum(&self, column: usize) -> &BigInt {
        self.product(0, column)
    }

    /// The sum of products around the means times the number of rows, in units of 2^(2 · exponent).
    pub(super) fn around_means(&self, a: usize, b: usize) -> BigInt {
        ((self.product(a, b) * self.count) << self.exponent.unsigned_abs()) - self.sum(a) * self.sum(b)
    }
}

/// Where the product of columns `a ≤ b` stands among those of all pairs of `columns` columns.
fn place(columns: usize, a: usize, b: usize) -> usize {
    a * columns - a * (a + 1) / 2 + b
}

/// A group but for its sums in fixed point.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    count: u64,
    left_out: u64,
    /// One more than the place of the group's wide sums; 0 for none.
    wide: u32,
    special: bool,
}

/// What is made of the arguments: a column of each set of them, their product, and weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Design {
    pub(super) products: Vec<Vec<usize>>,
    /// The argument that holds the weights of rows, 0 or more. Rows of weight 0 do not count.
    pub(super) weight: Option<usize>,
    /// Rows with a value that is not finite are left out, as those are where one is missing.
    pub(super) only_finite: bool,
}

impl Design {
    /// Each argument is a column.
    pub(super) fn plain(arguments: usize) -> Self {
        Design { products: (0..arguments).map(|at| vec![at]).collect(), weight: None, only_finite: false }
    }

    /// The columns, and the roots of the weights.
    pub(super) fn columns(&self, arguments: &[ArrayRef]) -> Result<(Vec<Float64Array>, Option<Float64Array>)> {
        let weights = self.weight.map(|at| weights(arguments, at)).transpose()?;
        Ok((self.products(arguments)?, weights.map(|weights| weights.unary(f64::sqrt))))
    }

    /// The columns.
    pub(super) fn products(&self, arguments: &[ArrayRef]) -> Result<Vec<Float64Array>> {
        let product = |factors: &Vec<usize>| -> Result<Float64Array> {
            let mut factors = factors.iter().map(|at| doubles(column(arguments, *at)?));
            let first = factors.next().ok_or_else(|| Error::internal("a product of nothing"))??;
            factors.try_fold(first, |product, factor| Ok(binary(&product, &factor?, |a, b| a * b)?))
        };
        self.products.iter().map(product).collect()
    }
}

/// The weights that the argument at `at` holds.
pub(super) fn weights(arguments: &[ArrayRef], at: usize) -> Result<Float64Array> {
    let weights = doubles(column(arguments, at)?)?;
    match weights.iter().flatten().find(|weight| *weight < 0.0) {
        None => Ok(weights),
        Some(negative) => {
            let error = Error::new(ErrorKind::Value, format!("a weight is {negative}, and none may be negative"));
            Err(error.hint("`where` leaves such rows out"))
        }
    }
}

/// Sums of products, for each group those of all pairs of columns.
pub(super) struct CrossProducts<A> {
    design: Design,
    /// Those of the design, and before them the column of ones.
    columns: usize,
    groups: Vec<Group>,
    /// Of each group, one after the other.
    sums: Vec<Sum>,
    wides: Vec<Box<[WideSum]>>,
    /// Of the row at hand.
    factors: Vec<Factor>,
    answer: A,
}

impl<A: Answer> CrossProducts<A> {
    pub(super) fn new(design: Design, answer: A) -> Self {
        let columns = design.products.len() + 1;
        let factors = vec![Factor::new(1.0).unwrap_or_default(); columns];
        CrossProducts { design, columns, groups: Vec::new(), sums: Vec::new(), wides: Vec::new(), factors, answer }
    }

    /// Adds row `row` of the design's columns.
    #[inline(always)]
    pub(super) fn add_row(&mut self, group: usize, columns: &[&[f64]], roots: Option<&[f64]>, row: usize) {
        match roots.map(|roots| roots[row]) {
            None => self.add(group, |at| if at == 0 { 1.0 } else { columns[at - 1][row] }),
            Some(0.0) => {}
            Some(root) => self.add(group, |at| if at == 0 { root } else { root * columns[at - 1][row] }),
        }
    }

    fn pairs(&self) -> usize {
        self.columns * (self.columns + 1) / 2
    }

    /// Adds a row, of whose values each is finite or not.
    #[inline(always)]
    fn add(&mut self, group: usize, row: impl Fn(usize) -> f64) {
        self.groups[group].count += 1;
        for (at, factor) in self.factors.iter_mut().enumerate().skip(usize::from(self.design.weight.is_none())) {
            match Factor::new(row(at)) {
                Some(own) => *factor = own,
                None => return self.add_other(group, row),
            }
        }
        let pairs = self.pairs();
        let start = group * pairs;
        let mut at = start;
        for (first, &a) in self.factors.iter().enumerate() {
            for &b in &self.factors[first..] {
                let product = Sum::product(a, b);
                match self.sums[at].plus(product) {
                    Some(sum) => self.sums[at] = sum,
                    None => {
                        let full = std::mem::replace(&mut self.sums[at], product);
                        let wide = wide(&mut self.wides, &mut self.groups[group], pairs);
                        add_fixed(&mut wide[at - start], full);
                    }
                }
                at += 1;
            }
        }
    }

    /// Adds a row with values that have no room in fixed point.
    #[inline(never)]
    fn add_other(&mut self, group: usize, row: impl Fn(usize) -> f64) {
        let row: Vec<f64> = (0..self.columns).map(row).collect();
        if row.iter().any(|value| !value.is_finite()) {
            if self.design.only_finite {
                self.groups[group].count -= 1;
                self.groups[group].left_out += 1;
            } else {
                self.groups[group].special = true;
            }
            return;
        }
        let pairs = self.pairs();
        let wide = wide(&mut self.wides, &mut self.groups[group], pairs);
        for a in 0..self.columns {
            for b in a..self.columns {
                add_product(&mut wide[place(self.columns, a, b)], row[a], row[b]);
            }
        }
    }

    fn existing_wide(&self, group: &Group) -> Option<&[WideSum]> {
        (group.wide as usize).checked_sub(1).map(|place| &*self.wides[place])
    }

    pub(super) fn sums_of(&self, group: usize) -> CrossSums {
        let pairs = self.pairs();
        let own = &self.groups[group];
        let fixed = self.sums[group * pairs..][..pairs].iter().map(|sum| sum.to_big());
        let (products, exponent) = match self.existing_wide(own) {
            None => (fixed.collect(), PRODUCT_EXPONENT),
            Some(wide) => {
                let shift = (PRODUCT_EXPONENT - WIDE_EXPONENT) as u32;
                (fixed.zip(wide).map(|(fixed, wide)| (fixed << shift) + wide.to_big()).collect(), WIDE_EXPONENT)
            }
        };
        let Group { count, left_out, special, .. } = *own;
        CrossSums { count, left_out, special, products, columns: self.columns, exponent }
    }
}

/// The wide sums of a group, which it gets when first needed.
fn wide<'a>(wides: &'a mut Vec<Box<[WideSum]>>, group: &mut Group, pairs: usize) -> &'a mut [WideSum] {
    if group.wide == 0 {
        wides.push(vec![WideSum::zero(); pairs].into());
        group.wide = wides.len() as u32;
    }
    &mut wides[group.wide as usize - 1]
}

/// Bytes of the sums of a group of so many columns, at most: all of them wide.
pub(super) fn most_bytes(columns: usize) -> usize {
    (columns + 2).pow(2) * 512
}

/// Doubles of an argument of numbers or Booleans.
pub(in crate::aggregate) fn doubles(argument: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(argument, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

impl<A: Answer> Store for CrossProducts<A> {
    fn grow(&mut self, groups: usize) {
        let groups = groups.max(self.groups.len());
        self.groups.resize(groups, Group::default());
        self.sums.resize(groups * self.pairs(), Sum::default());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let (given, roots) = self.design.columns(arguments)?;
        let nulls = given.iter().chain(&roots).fold(None, |all, own| NullBuffer::union(all.as_ref(), own.nulls()));
        let asked = live_rows(rows, None);
        let live: Option<BooleanBuffer> = match (&asked, &nulls) {
            (Some(asked), Some(nulls)) => Some(asked & nulls.inner()),
            (asked, nulls) => asked.clone().or_else(|| nulls.as_ref().map(|nulls| nulls.inner().clone())),
        };
        let values: Vec<&[f64]> = given.iter().map(|own| own.values().as_ref()).collect();
        let roots = roots.as_ref().map(|roots| roots.values().as_ref());
        for_each_live(rows.groups.rows(), live.as_ref(), |row| {
            self.add_row(rows.groups.of(row), &values, roots, row);
        });
        if let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) {
            for_each_live(rows.groups.rows(), asked.as_ref(), |row| {
                self.groups[rows.groups.of(row)].left_out += u64::from(nulls.is_null(row));
            });
        }
        Ok(())
    }

    fn absorb(&mut self, other: &Self, groups: impl Iterator<Item = (usize, usize)>) {
        let pairs = self.pairs();
        for (from, into) in groups {
            let theirs = &other.groups[from];
            let own = &mut self.groups[into];
            own.count += theirs.count;
            own.left_out += theirs.left_out;
            own.special |= theirs.special;
            if let Some(theirs) = other.existing_wide(theirs) {
                let wide = wide(&mut self.wides, own, pairs);
                wide.iter_mut().zip(theirs).for_each(|(mine, theirs)| mine.merge(theirs));
            }
            for at in 0..pairs {
                let (mine, theirs) = (&mut self.sums[into * pairs + at], other.sums[from * pairs + at]);
                match mine.plus(theirs) {
                    Some(sum) => *mine = sum,
                    None => {
                        let full = std::mem::replace(mine, theirs);
                        add_fixed(&mut wide(&mut self.wides, own, pairs)[at], full);
                    }
                }
            }
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let pairs = self.pairs();
        let fixed = groups.clone().map(|group| {
            let Group { count, left_out, special, .. } = self.groups[group];
            let mut bytes = [count.to_le_bytes(), left_out.to_le_bytes()].concat();
            bytes.push(special.into());
            bytes.extend(self.sums[group * pairs..][..pairs].iter().flat_map(|sum| sum.to_bytes()));
            bytes
        });
        let bytes = |wide: &[WideSum]| wide.iter().flat_map(WideSum::to_bytes).collect::<Vec<u8>>();
        let wides = self.groups[groups.clone()].iter().map(|group| self.existing_wide(group).map(bytes));
        Ok(vec![view_bytes_column(fixed)?, binary_column(wides)])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let mut read = CrossProducts::new(self.design.clone(), self.answer.clone());
        let pairs = read.pairs();
        let wides = exported::<Self, BinaryArray>(columns, 1)?;
        for (bytes, wide_bytes) in read_view_bytes::<Self>(columns, 0)?.into_iter().zip(wides) {
            let group = read_group(bytes, pairs, &mut read.sums).ok_or_else(not_an_export::<Self>)?;
            read.groups.push(group);
            let Some(wide_bytes) = wide_bytes else { continue };
            let sums = wide_bytes.chunks(wide_bytes.len().div_ceil(pairs).max(1)).map(WideSum::read);
            let sums: Box<[WideSum]> = sums.collect::<Option<_>>().ok_or_else(not_an_export::<Self>)?;
            if sums.len() != pairs {
                return Err(not_an_export::<Self>());
            }
            if let Some(group) = read.groups.last_mut() {
                wide(&mut read.wides, group, pairs).clone_from_slice(&sums);
            }
        }
        Ok(read)
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        self.answer.of(groups.map(|group| self.sums_of(group)))
    }

    fn bytes_held(&self) -> usize {
        let wide = self.pairs() * size_of::<WideSum>() + size_of::<Box<[WideSum]>>();
        self.groups.capacity() * size_of::<Group>() + self.sums.capacity() * size_of::<Sum>() + self.wides.len() * wide
    }
}

/// A group as it was exported; its sums are appended.
fn read_group(bytes: &[u8], pairs: usize, sums: &mut Vec<Sum>) -> Option<Group> {
    let (head, rest) = bytes.split_at_checked(17)?;
    let (own, rest) = rest.as_chunks::<{ Sum::BYTES }>();
    if own.len() != pairs || !rest.is_empty() {
        return None;
    }
    for sum in own {
        sums.push(Sum::from_bytes(sum)?);
    }
    let number = |at: usize| Some(u64::from_le_bytes(*head.get(at..)?.first_chunk()?));
    Some(Group { count: number(0)?, left_out: number(8)?, wide: 0, special: head[16] != 0 })
}

/// A column of doubles, one a group.
pub(super) fn doubles_column(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}
