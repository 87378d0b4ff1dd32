//! The states of a model with factors: columns of texts, each value of which, a level, has a term of its own.
//!
//! A group is divided into *cells*, one for each combination of levels in it, and a cell has the sums of products of the
//! numbers in its rows. In a cell the indicator of a level is 1 or 0 throughout, so all products with indicators are among
//! those sums, and are put together in the end.

use super::model::{Part, Terms};
use super::ols::Ols;
use super::sums::{CrossProducts, CrossSums, Design, Unasked};
use crate::aggregate::Rows;
use crate::aggregate::store::{
    Store, binary_column, for_each_live, live_rows, not_an_export, read_view_bytes, typed, view_bytes_column,
};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{Array, ArrayRef, BinaryArray, StringViewArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use num_bigint::BigInt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// More terms would take minutes to be fitted.
const MOST_TERMS: usize = 300;

/// A term of a model: a product of numbers and factors.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// The column of the sums that is the product of its numbers; 0, the ones, if there are none.
    number: usize,
    /// Its factors, and whether each is coded by all of its levels and not by all but the first.
    factors: Vec<(usize, bool)>,
    /// The regressors that it is the product of, and of the factors among them, their numbers.
    parts: Vec<(usize, Option<usize>)>,
}

/// The columns of a term in a group: for each factor its coded levels, of which the first in the order of the factors varies
/// fastest.
struct Coded<'a> {
    first_column: usize,
    levels: Vec<BTreeMap<&'a str, usize>>,
}

impl Coded<'_> {
    fn width(&self) -> usize {
        self.levels.iter().fold(1, |width, levels| width.saturating_mul(levels.len()))
    }

    /// The column that is not 0 where the factors have these levels, if one is.
    fn column<'b>(&self, levels: impl Iterator<Item = &'b str>) -> Option<usize> {
        let (mut place, mut step) = (0, 1);
        for (coded, level) in self.levels.iter().zip(levels) {
            place += coded.get(level)? * step;
            step *= coded.len();
        }
        Some(self.first_column + place)
    }
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

/// The factors, each by the number of a term and of a regressor, that are coded by all of their levels, as R has it: terms of
/// fewer regressors stand before others; a factor is coded by contrasts where the rest of its term is nothing or part of a
/// term before it; and without an intercept the first factor of the first term with one stands for it.
fn coded_whole(terms: &[Vec<usize>], intercept: bool, is_factor: impl Fn(usize) -> bool) -> BTreeSet<(usize, usize)> {
    let sets: Vec<BTreeSet<usize>> = terms.iter().map(|term| term.iter().copied().collect()).collect();
    let mut by_degree: Vec<usize> = (0..sets.len()).collect();
    by_degree.sort_by_key(|at| sets[*at].len());
    let factors = |at: usize| sets[at].iter().copied().filter(|regressor| is_factor(*regressor));
    let stands_for_intercept = by_degree.iter().find_map(|&at| Some((at, factors(at).next()?)));
    let mut whole: BTreeSet<(usize, usize)> = stands_for_intercept.filter(|_| !intercept).into_iter().collect();
    for (place, &at) in by_degree.iter().enumerate() {
        for regressor in factors(at) {
            let rest: BTreeSet<usize> = sets[at].iter().copied().filter(|other| *other != regressor).collect();
            if !rest.is_empty() && !by_degree[..place].iter().any(|before| rest.is_subset(&sets[*before])) {
                whole.insert((at, regressor));
            }
        }
    }
    whole
}

/// Cells, and to which group and levels each belongs.
pub(super) struct Cells {
    sums: CrossProducts<Unasked>,
    /// By group and levels.
    cells: BTreeMap<Box<[u32]>, u32>,
    levels: Vec<Levels>,
    /// By group, rows that lack a value.
    left_out: Vec<u64>,
    /// The columns of the sums, of which the response is the first.
    design: Design,
    /// Of the arguments, those that are factors.
    factors: Vec<usize>,
    terms: Vec<Term>,
    model: Ols,
}

impl Cells {
    /// States for arguments of these types: a response, which is a number, and regressors.
    pub(super) fn new(model: Ols, types: &[DataType]) -> Self {
        let factors: Vec<usize> = (0..types.len()).filter(|at| types[*at] == DataType::Utf8View).collect();
        let factor_of = |regressor: usize| factors.iter().position(|factor| *factor == 1 + regressor);
        let of_terms = model.factors_of_terms();
        let mut products = vec![vec![0]];
        let is_whole = coded_whole(&of_terms, model.has_intercept(), |at| factor_of(at).is_some());
        let mut terms = Vec::with_capacity(of_terms.len());
        for (at, term) in of_terms.iter().enumerate() {
            let numbers: Vec<usize> = term.iter().filter(|at| factor_of(**at).is_none()).map(|at| at + 1).collect();
            let number = match products.iter().position(|known| *known == numbers) {
                _ if numbers.is_empty() => 0,
                Some(known) => 1 + known,
                None => {
                    products.push(numbers);
                    products.len()
                }
            };
            let own = term.iter().filter_map(|own| Some((factor_of(*own)?, is_whole.contains(&(at, *own))))).collect();
            let parts = term.iter().map(|at| (*at, factor_of(*at))).collect();
            terms.push(Term { number, factors: own, parts });
        }
        let weight = model.is_weighted().then(|| types.len() - 1);
        Cells::of(model, Design { products, weight, only_finite: true }, factors, terms)
    }

    fn of(model: Ols, design: Design, factors: Vec<usize>, terms: Vec<Term>) -> Self {
        Cells {
            sums: CrossProducts::new(design.clone(), Unasked),
            cells: BTreeMap::new(),
            levels: factors.iter().map(|_| Levels::default()).collect(),
            left_out: Vec::new(),
            design,
            factors,
            terms,
            model,
        }
    }

    /// What is made of the arguments.
    pub(super) fn design(&self) -> &Design {
        &self.design
    }

    /// The columns of the factors.
    pub(super) fn texts(&self, arguments: &[ArrayRef]) -> Result<Vec<StringViewArray>> {
        self.factors.iter().map(|at| typed::<StringViewArray>(arguments, *at).cloned()).collect()
    }

    /// Counts a row that lacks a value.
    pub(super) fn leave_out(&mut self, group: usize) {
        self.left_out[group] += 1;
    }

    /// Adds row `row` of the design's columns, with the levels that `texts` has there; `key` is for the number of its cell.
    #[inline]
    pub(super) fn add_row(
        &mut self,
        group: usize,
        texts: &[StringViewArray],
        columns: &[&[f64]],
        roots: Option<&[f64]>,
        row: usize,
        key: &mut Vec<u32>,
    ) {
        key.clear();
        key.push(group as u32);
        key.extend(self.levels.iter_mut().zip(texts).map(|(levels, texts)| levels.number(texts.value(row))));
        let cell = self.cell(key);
        self.sums.add_row(cell, columns, roots, row);
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

    /// The columns of each term, by the levels that a group has.
    fn coded<'a>(&'a self, levels: &[BTreeSet<&'a str>]) -> Result<Vec<Coded<'a>>> {
        let mut all: Vec<Coded<'a>> = Vec::with_capacity(self.terms.len());
        let mut next = 2;
        for term in &self.terms {
            // A single level has a term all the same, which says what the intercept says: it has no estimate, and is seen.
            let of_factor = |(factor, all_levels): &(usize, bool)| {
                let left_out = usize::from(!all_levels && levels[*factor].len() > 1);
                levels[*factor].iter().copied().skip(left_out).zip(0..).collect()
            };
            let coded = Coded { first_column: next, levels: term.factors.iter().map(of_factor).collect() };
            next += coded.width().min(MOST_TERMS + 1);
            if next - 2 > MOST_TERMS {
                let largest = term.factors.iter().max_by_key(|(factor, _)| levels[*factor].len());
                let name = largest.map_or("", |(factor, _)| &self.model.regressors()[self.factors[*factor] - 1]);
                let count = largest.map_or(0, |(factor, _)| levels[*factor].len());
                let message = format!(
                    "a regression has more than {MOST_TERMS} terms, one for each level of a factor, and `{name}` has {count} levels"
                );
                return Err(
                    Error::new(ErrorKind::Limit, message).hint("group by the factor in place of regressing on it")
                );
            }
            all.push(coded);
        }
        Ok(all)
    }

    /// What each column of a term is the product of.
    fn parts(&self, term: &Term, coded: &Coded<'_>) -> Vec<Vec<Part>> {
        let ordered = |levels: &BTreeMap<&str, usize>| levels.keys().map(|level| Arc::from(*level)).collect();
        let levels: Vec<Vec<Arc<str>>> = coded.levels.iter().map(ordered).collect();
        let parts = |column: usize| {
            let (mut place, mut factors) = (column, levels.iter());
            let part = |(regressor, factor): &(usize, Option<usize>)| {
                let levels = factor.and_then(|_| factors.next());
                let level = levels.map(|levels| {
                    let level = Arc::clone(&levels[place % levels.len()]);
                    place /= levels.len();
                    level
                });
                (*regressor, level)
            };
            term.parts.iter().map(part).collect()
        };
        (0..coded.width()).map(parts).collect()
    }

    /// The sums of a group with the columns of all terms, and what these are.
    pub(super) fn model_of(&self, group: usize) -> Result<(CrossSums, Terms)> {
        let mut levels: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); self.factors.len()];
        for (of_cell, _) in self.of_group(group) {
            for ((own, level), levels) in self.levels.iter().zip(of_cell).zip(&mut levels) {
                levels.insert(&own.names[*level as usize]);
            }
        }
        let coded = self.coded(&levels)?;
        let terms: Vec<Vec<Part>> =
            self.terms.iter().zip(&coded).flat_map(|(term, coded)| self.parts(term, coded)).collect();
        let known = |(factor, levels): (&usize, &BTreeSet<&str>)| {
            (factor - 1, levels.iter().map(|level| Arc::from(*level)).collect())
        };
        let terms = Terms { terms, levels: self.factors.iter().zip(&levels).map(known).collect() };
        let mut sums = CrossSums::zero(terms.terms.len() + 2, self.left_out[group]);
        for (of_cell, cell) in self.of_group(group) {
            let own = self.sums.sums_of(cell);
            // The columns that are not 0 in this cell, and those of its sums that they are.
            let mut active = vec![(0, 0), (1, 1)];
            for (term, coded) in self.terms.iter().zip(&coded) {
                let level = |(factor, _): &(usize, bool)| &*self.levels[*factor].names[of_cell[*factor] as usize];
                active.extend(coded.column(term.factors.iter().map(level)).map(|column| (column, term.number)));
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
        let (numbers, roots) = self.design.columns(arguments)?;
        let texts = self.texts(arguments)?;
        let all = numbers.iter().chain(&roots).map(|own| own.nulls()).chain(texts.iter().map(|own| own.nulls()));
        let nulls = all.fold(None, |all: Option<NullBuffer>, own| NullBuffer::union(all.as_ref(), own));
        let values: Vec<&[f64]> = numbers.iter().map(|own| own.values().as_ref()).collect();
        let roots = roots.as_ref().map(|roots| roots.values().as_ref());
        let asked = live_rows(rows, None);
        let mut key = Vec::with_capacity(1 + texts.len());
        for_each_live(rows.groups.rows(), asked.as_ref(), |row| {
            let group = rows.groups.of(row);
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                self.leave_out(group);
                return;
            }
            // A row that does not count makes no level known.
            if roots.is_some_and(|roots| roots[row] == 0.0) {
                return;
            }
            self.add_row(group, &texts, &values, roots, row, &mut key);
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
        let mut read = Cells::of(self.model.clone(), self.design.clone(), self.factors.clone(), self.terms.clone());
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
        self.left_out += cell.left_out;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// By R's `model.matrix`; regressors 0 and 1 are numbers, 2 to 4 factors.
    #[test]
    fn factors_are_coded_as_in_r() {
        let whole = |terms: &[&[usize]], intercept| {
            let terms: Vec<Vec<usize>> = terms.iter().map(|term| term.to_vec()).collect();
            coded_whole(&terms, intercept, |at| at >= 2).into_iter().collect::<Vec<_>>()
        };
        for (terms, intercept, known) in [
            // y ~ f + g
            (&[&[2][..], &[3]][..], true, &[][..]),
            (&[&[2], &[3]], false, &[(0, 2)]),
            // y ~ x:f + g: `g` is of fewer regressors.
            (&[&[0, 2], &[3]], true, &[(0, 2)]),
            (&[&[0, 2], &[3]], false, &[(0, 2), (1, 3)]),
            // y ~ f:x + g:x: once is enough for a slope of all rows.
            (&[&[2, 0], &[3, 0]], true, &[(0, 2)]),
            (&[&[2, 0], &[3, 0]], false, &[(0, 2)]),
            // y ~ f * g
            (&[&[2], &[3], &[2, 3]], true, &[]),
            (&[&[2], &[3], &[2, 3]], false, &[(0, 2)]),
            // y ~ f:g
            (&[&[2, 3]], true, &[(0, 2), (0, 3)]),
            // y ~ g:f + g: the term that stands before it has only `g`.
            (&[&[3, 2], &[3]], true, &[(0, 3)]),
            // y ~ f:g:x + f:x
            (&[&[2, 3, 0], &[2, 0]], true, &[(0, 2), (1, 2)]),
            // y ~ f:g + f:g:h: the rest of each is part of the first, or not.
            (&[&[2, 3], &[2, 3, 4]], true, &[(0, 2), (0, 3), (1, 2), (1, 3)]),
            // y ~ x + x:f
            (&[&[0], &[0, 2]], true, &[]),
        ] {
            assert_eq!(whole(terms, intercept), known, "{terms:?} {intercept}");
        }
    }
}
