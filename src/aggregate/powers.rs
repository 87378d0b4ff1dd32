//! Sums of products of up to four doubles of a row, without any rounding: the states behind skewness, kurtosis and
//! weighted moments.
//!
//! As in `exact_moments`, for more factors: a product of d doubles in the common range is added to a 512-bit fixed-point
//! number with units of 2⁻⁸⁰ᵈ; all others, and sums that outgrow it, go to wide numbers that the group gets when first
//! needed. So order cannot matter, and what is asked of the sums is computed in integers and rounded once.

use super::cross::doubles;
use super::exact_sum::{UNIT_EXPONENT, decompose, in_units};
use super::store::{
    Store, binary_column, column, exported, for_each_live, live_rows, not_an_export, read_view_bytes, view_bytes_column,
};
use super::wide::Wide;
use super::{GroupStates, Rows};
use crate::error::Result;
use arrow::array::{Array, ArrayRef, BinaryArray, Float64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use num_bigint::BigInt;
use std::ops::Range;
use std::sync::Arc;

/// Bits 2⁻⁴²⁹⁶ to 2⁴⁰⁹⁶, and room for 2⁶⁴ summands.
const WIDE_LIMBS: usize = 266;
/// Exponent of the units of a wide number, for each factor.
const WIDE_EXPONENT: i32 = -1074;

/// A product among the sums: of an earlier one, or of nothing, and one of the arguments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) of: Option<usize>,
    pub(super) argument: usize,
}

/// What becomes of a row.
pub(super) enum Admitted {
    /// Its products are added.
    Counts,
    /// It is as if it were not there.
    LeftOut,
    /// It has no products, and raises flags.
    Special(u8),
}

/// What is asked of the sums.
pub(super) trait Powers: Clone + Send + Sync + 'static {
    /// Of how many arguments there are sums, at most 2.
    const ARGUMENTS: usize;
    /// The sums.
    fn terms(&self) -> &'static [Term];
    /// What becomes of a row with these arguments.
    fn admit(&self, row: [f64; 2]) -> Admitted;
    /// The answer for a group.
    fn of(&self, sums: &PowerSums) -> Option<f64>;
}

/// The sums of a group.
pub(super) struct PowerSums {
    /// Rows that count or are special.
    pub(super) count: u64,
    /// Flags of special rows.
    pub(super) special: u8,
    /// One a term, in units of 2^(`exponent` · factors).
    pub(super) sums: Vec<BigInt>,
    pub(super) exponent: i64,
}

/// A product of doubles: ±`limbs` · 2^`bit` units.
#[derive(Clone, Copy)]
struct Product {
    limbs: [u64; 4],
    bit: u32,
    negative: bool,
}

impl Product {
    const ONE: Product = Product { limbs: [1, 0, 0, 0], bit: 0, negative: false };

    #[inline(always)]
    fn times(self, negative: bool, significand: u64, bit: u32) -> Self {
        let (mut limbs, mut carry) = ([0; 4], 0);
        for (limb, own) in limbs.iter_mut().zip(self.limbs) {
            let product = u128::from(own) * u128::from(significand) + carry;
            *limb = product as u64;
            carry = product >> 64;
        }
        Product { limbs, bit: self.bit + bit, negative: self.negative != negative }
    }

    fn halves(&self) -> [u128; 2] {
        let [a, b, c, d] = self.limbs.map(u128::from);
        [b << 64 | a, d << 64 | c]
    }
}

/// 512 bits in two's complement, the lowest first.
#[derive(Clone, Copy, Debug, Default)]
struct Sum([u64; 8]);

impl Sum {
    const BYTES: usize = 64;

    /// A product of doubles in the common range: 212 bits, shifted up by less than 293.
    #[inline(always)]
    fn of(product: &Product) -> Self {
        let (words, bits) = ((product.bit / 64) as usize, product.bit % 64);
        let (mut sum, mut above) = ([0; 8], 0);
        for (at, limb) in product.limbs.iter().enumerate() {
            sum[words + at] = limb << bits | above;
            above = limb >> 1 >> (63 - bits);
        }
        if let Some(last) = sum.get_mut(words + 4) {
            *last = above;
        }
        if product.negative { Sum(sum).negated() } else { Sum(sum) }
    }

    #[inline(always)]
    fn negated(self) -> Self {
        let mut carry = true;
        Sum(self.0.map(|limb| {
            let (sum, overflows) = (!limb).overflowing_add(carry.into());
            carry = overflows;
            sum
        }))
    }

    fn is_negative(&self) -> bool {
        self.0[7] >> 63 == 1
    }

    /// The sum with `other`, if 512 bits are enough.
    #[inline(always)]
    fn plus(self, other: Self) -> Option<Self> {
        let (mut sum, mut carry) = ([0; 8], false);
        for ((sum, a), b) in sum.iter_mut().zip(self.0).zip(other.0) {
            let (first, one) = a.overflowing_add(b);
            let (second, two) = first.overflowing_add(carry.into());
            (*sum, carry) = (second, one | two);
        }
        let sum = Sum(sum);
        let overflows = self.is_negative() == other.is_negative() && sum.is_negative() != self.is_negative();
        (!overflows).then_some(sum)
    }

    fn to_bytes(self) -> impl Iterator<Item = u8> {
        self.0.into_iter().flat_map(u64::to_le_bytes)
    }

    fn from_bytes(bytes: &[u8; Sum::BYTES]) -> Self {
        let (limbs, _) = bytes.as_chunks::<8>();
        let mut sum = Sum::default();
        sum.0.iter_mut().zip(limbs).for_each(|(limb, bytes)| *limb = u64::from_le_bytes(*bytes));
        sum
    }

    fn to_big(self) -> BigInt {
        BigInt::from_signed_bytes_le(&self.to_bytes().collect::<Vec<u8>>())
    }
}

type WideSum = Wide<WIDE_LIMBS>;

/// How far fixed-point units of a product of so many doubles stand above wide units.
fn unit_bit(factors: u32) -> u32 {
    factors * (UNIT_EXPONENT - WIDE_EXPONENT) as u32
}

fn add_fixed(wide: &mut WideSum, sum: Sum, factors: u32) {
    let negative = sum.is_negative();
    let magnitude = if negative { sum.negated() } else { sum };
    for (at, limbs) in (0..).zip(magnitude.0.chunks(2)) {
        let part = u128::from(limbs[1]) << 64 | u128::from(limbs[0]);
        wide.add(negative, part, unit_bit(factors) + 128 * at);
    }
}

/// A group but for its sums.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    count: u64,
    /// One more than the place of the group's wide sums; 0 for none.
    wide: u32,
    special: u8,
}

/// Sums of products, one set a group.
pub(super) struct PowerStates<Q> {
    groups: Vec<Group>,
    /// Of each group, one after the other.
    sums: Vec<Sum>,
    wides: Vec<Box<[WideSum]>>,
    question: Q,
}

impl<Q: Powers> PowerStates<Q> {
    /// Bytes of the state of a group, at most.
    pub(super) const MOST_BYTES: usize = 4 * (size_of::<WideSum>() + size_of::<Sum>()) + size_of::<Group>();

    /// States of no group yet.
    pub(super) fn boxed(question: Q) -> Box<dyn GroupStates> {
        Box::new(PowerStates::new(question))
    }

    fn new(question: Q) -> Self {
        PowerStates { groups: Vec::new(), sums: Vec::new(), wides: Vec::new(), question }
    }

    fn factors(&self) -> Vec<u32> {
        let mut factors: Vec<u32> = Vec::new();
        for term in self.question.terms() {
            factors.push(1 + term.of.map_or(0, |of| factors[of]));
        }
        factors
    }

    #[inline(always)]
    fn add(&mut self, group: usize, row: [f64; 2]) {
        match self.question.admit(row) {
            Admitted::LeftOut => return,
            Admitted::Special(flags) => {
                self.groups[group].count += 1;
                self.groups[group].special |= flags;
                return;
            }
            Admitted::Counts => self.groups[group].count += 1,
        }
        let mut units = [(false, 0, 0); 2];
        for (unit, value) in units.iter_mut().zip(&row[..Q::ARGUMENTS]) {
            let Some((significand, shift)) = in_units(*value) else { return self.add_wide(group, row) };
            *unit = (value.is_sign_negative(), significand, shift);
        }
        let terms = self.question.terms();
        let start = group * terms.len();
        let mut products = [Product::ONE; 4];
        for (at, term) in terms.iter().enumerate() {
            let (negative, significand, bit) = units[term.argument];
            let product = term.of.map_or(Product::ONE, |of| products[of]).times(negative, significand, bit);
            products[at] = product;
            let own = Sum::of(&product);
            match self.sums[start + at].plus(own) {
                Some(sum) => self.sums[start + at] = sum,
                None => self.overflow(group, at, own),
            }
        }
    }

    /// A sum that is full becomes wide, and another begins.
    #[cold]
    fn overflow(&mut self, group: usize, term: usize, next: Sum) {
        let factors = self.factors();
        let full = std::mem::replace(&mut self.sums[group * factors.len() + term], next);
        add_fixed(&mut wide(&mut self.wides, &mut self.groups[group], factors.len())[term], full, factors[term]);
    }

    /// Adds a row with values that have no room in fixed point.
    #[inline(never)]
    fn add_wide(&mut self, group: usize, row: [f64; 2]) {
        let terms = self.question.terms();
        let units = row.map(decompose);
        let mut products = [Product::ONE; 4];
        let wide = wide(&mut self.wides, &mut self.groups[group], terms.len());
        for (at, term) in terms.iter().enumerate() {
            let (negative, significand, bit) = units[term.argument];
            let product = term.of.map_or(Product::ONE, |of| products[of]).times(negative, significand, bit);
            products[at] = product;
            for (part, half) in (0..).zip(product.halves()) {
                wide[at].add(product.negative, half, product.bit + 128 * part);
            }
        }
    }

    fn existing_wide(&self, group: &Group) -> Option<&[WideSum]> {
        (group.wide as usize).checked_sub(1).map(|place| &*self.wides[place])
    }

    fn sums_of(&self, group: usize) -> PowerSums {
        let own = &self.groups[group];
        let factors = self.factors();
        let fixed = self.sums[group * factors.len()..][..factors.len()].iter().map(|sum| sum.to_big());
        let (sums, exponent) = match self.existing_wide(own) {
            None => (fixed.collect(), UNIT_EXPONENT),
            Some(wide) => {
                let shifted = fixed.zip(&factors).map(|(fixed, factors)| fixed << unit_bit(*factors));
                (shifted.zip(wide).map(|(fixed, wide)| fixed + wide.to_big()).collect(), WIDE_EXPONENT)
            }
        };
        PowerSums { count: own.count, special: own.special, sums, exponent: exponent.into() }
    }
}

/// The wide sums of a group, which it gets when first needed.
fn wide<'a>(wides: &'a mut Vec<Box<[WideSum]>>, group: &mut Group, terms: usize) -> &'a mut [WideSum] {
    if group.wide == 0 {
        wides.push(vec![WideSum::zero(); terms].into());
        group.wide = wides.len() as u32;
    }
    &mut wides[group.wide as usize - 1]
}

impl<Q: Powers> Store for PowerStates<Q> {
    fn grow(&mut self, groups: usize) {
        let groups = groups.max(self.groups.len());
        self.groups.resize(groups, Group::default());
        self.sums.resize(groups * self.question.terms().len(), Sum::default());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let given: Vec<Float64Array> =
            (0..Q::ARGUMENTS).map(|at| doubles(column(arguments, at)?)).collect::<Result<_>>()?;
        let nulls = given.iter().fold(None, |all, own| NullBuffer::union(all.as_ref(), own.nulls()));
        let valid = nulls.map(NullBuffer::into_inner);
        let live: Option<BooleanBuffer> = match (live_rows(rows, None), valid) {
            (Some(asked), Some(valid)) => Some(&asked & &valid),
            (asked, valid) => asked.or(valid),
        };
        let (first, last) = (given[0].values(), given[Q::ARGUMENTS - 1].values());
        for_each_live(rows.groups.rows(), live.as_ref(), |row| self.add(rows.groups.of(row), [first[row], last[row]]));
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        let terms = self.question.terms().len();
        for (from, into) in pairs {
            let theirs = &other.groups[from];
            self.groups[into].count += theirs.count;
            self.groups[into].special |= theirs.special;
            if let Some(theirs) = other.existing_wide(theirs) {
                let wide = wide(&mut self.wides, &mut self.groups[into], terms);
                wide.iter_mut().zip(theirs).for_each(|(mine, theirs)| mine.merge(theirs));
            }
            for term in 0..terms {
                let theirs = other.sums[from * terms + term];
                match self.sums[into * terms + term].plus(theirs) {
                    Some(sum) => self.sums[into * terms + term] = sum,
                    None => self.overflow(into, term, theirs),
                }
            }
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let terms = self.question.terms().len();
        let fixed = groups.clone().map(|group| {
            let Group { count, special, .. } = self.groups[group];
            let mut bytes = count.to_le_bytes().to_vec();
            bytes.push(special);
            bytes.extend(self.sums[group * terms..][..terms].iter().flat_map(|sum| sum.to_bytes()));
            bytes
        });
        let bytes = |wide: &[WideSum]| wide.iter().flat_map(WideSum::to_bytes).collect::<Vec<u8>>();
        let wides = self.groups[groups.clone()].iter().map(|group| self.existing_wide(group).map(bytes));
        Ok(vec![view_bytes_column(fixed)?, binary_column(wides)])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let mut read = PowerStates::new(self.question.clone());
        let terms = self.question.terms().len();
        let wides = exported::<Self, BinaryArray>(columns, 1)?;
        for (bytes, wide_bytes) in read_view_bytes::<Self>(columns, 0)?.into_iter().zip(wides) {
            let head = bytes.split_first_chunk().and_then(|(count, rest)| Some((count, rest.split_first()?)));
            let (count, (special, sums)) = head.ok_or_else(not_an_export::<Self>)?;
            let (sums, rest) = sums.as_chunks::<{ Sum::BYTES }>();
            if sums.len() != terms || !rest.is_empty() {
                return Err(not_an_export::<Self>());
            }
            read.sums.extend(sums.iter().map(Sum::from_bytes));
            let mut group = Group { count: u64::from_le_bytes(*count), wide: 0, special: *special };
            if let Some(bytes) = wide_bytes {
                let own: Option<Vec<WideSum>> = bytes.chunks(8 * WIDE_LIMBS).map(WideSum::read).collect();
                let own = own.filter(|own| own.len() == terms).ok_or_else(not_an_export::<Self>)?;
                wide(&mut read.wides, &mut group, terms).clone_from_slice(&own);
            }
            read.groups.push(group);
        }
        Ok(read)
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        Ok(Arc::new(groups.map(|group| self.question.of(&self.sums_of(group))).collect::<Float64Array>()))
    }

    fn bytes_held(&self) -> usize {
        let wide = self.question.terms().len() * size_of::<WideSum>() + size_of::<Box<[WideSum]>>();
        self.groups.capacity() * size_of::<Group>() + self.sums.capacity() * size_of::<Sum>() + self.wides.len() * wide
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(values: &[f64]) -> Product {
        values.iter().fold(Product::ONE, |product, value| {
            let (significand, shift) = in_units(*value).unwrap();
            product.times(value.is_sign_negative(), significand, shift)
        })
    }

    #[test]
    fn products_of_four_and_their_sums_are_exact_in_both_forms() {
        let big = |value: f64| {
            let (negative, significand, bit) = decompose(value);
            let magnitude = BigInt::from(significand) << bit;
            if negative { -magnitude } else { magnitude }
        };
        let values = [0.0, 1.0, -1.5, 0.1, -70_368_744_177_663.0, 1e-6, 3.25e12];
        let (mut sum, mut wide, mut expected) = (Sum::default(), WideSum::zero(), BigInt::ZERO);
        for a in values {
            for b in values {
                let own = product(&[a, b, a, a]);
                let exact = big(a) * big(b) * big(a) * big(a);
                assert_eq!(Sum::of(&own).to_big() << unit_bit(4), exact, "{a} {b}");
                expected += exact;
                match sum.plus(Sum::of(&own)) {
                    Some(next) => sum = next,
                    None => add_fixed(&mut wide, std::mem::replace(&mut sum, Sum::of(&own)), 4),
                }
            }
        }
        assert_eq!((sum.to_big() << unit_bit(4)) + wide.to_big(), expected);
    }

    #[test]
    fn a_sum_beyond_512_bits_is_noticed_and_only_that() {
        let one = Sum([1, 0, 0, 0, 0, 0, 0, 0]);
        let mut most = Sum([u64::MAX; 8]);
        most.0[7] >>= 1;
        assert!(most.plus(one).is_none() && most.negated().plus(one.negated()).unwrap().plus(one.negated()).is_none());
        assert_eq!(most.plus(one.negated()).unwrap().plus(one).unwrap().0, most.0);
        assert_eq!(one.negated().plus(one).unwrap().0, [0; 8]);
    }
}
