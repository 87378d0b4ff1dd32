//! Numbers in as few bytes as the distance of the largest from the smallest takes.

use super::bytes::{Input, cut_short, put_number};
use crate::error::Result;

/// Powers of ten by which doubles are tried as decimals.
const POWERS: [f64; 9] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
/// Stands for doubles that are written as they are.
const AS_THEY_ARE: u8 = 0xff;
/// Doubles that are looked at to choose a power.
const SAMPLE: usize = 32;
/// Of as many doubles, one may be no decimal.
const EXCEPTIONS: usize = 16;
/// Added to a double below 2⁵¹ and taken away again, it leaves the nearest integer.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// Writes numbers: the smallest, the width, and the distances from the smallest.
pub(super) fn put(values: impl ExactSizeIterator<Item = i64> + Clone, out: &mut Vec<u8>) {
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for value in values.clone() {
        (least, most) = (least.min(value), most.max(value));
    }
    let range = if least <= most { most.wrapping_sub(least) as u64 } else { 0 };
    let width = (64 - range.leading_zeros()).div_ceil(8) as u8;
    put_number(least as u64, out);
    out.push(width);
    let distances = values.map(|value| value.wrapping_sub(least) as u64);
    match width {
        0 => {}
        1 => pack::<1>(distances, out),
        2 => pack::<2>(distances, out),
        3 => pack::<3>(distances, out),
        4 => pack::<4>(distances, out),
        5 => pack::<5>(distances, out),
        6 => pack::<6>(distances, out),
        7 => pack::<7>(distances, out),
        _ => pack::<8>(distances, out),
    }
}

fn pack<const WIDTH: usize>(values: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + values.len() * WIDTH, 0);
    for (place, value) in out[start..].as_chunks_mut::<WIDTH>().0.iter_mut().zip(values) {
        place.copy_from_slice(&value.to_le_bytes()[..WIDTH]);
    }
}

/// So many numbers that were written.
///
/// # Errors
/// `Io` when they are not there.
pub(super) fn numbers<'a>(rows: usize, input: &mut Input<'a>) -> Result<impl ExactSizeIterator<Item = i64> + 'a> {
    let (least, width) = (input.number()? as i64, usize::from(input.take(1)?[0]));
    if width > 8 {
        return Err(cut_short());
    }
    let distances = unpack(input.take(rows.checked_mul(width).ok_or_else(cut_short)?)?, width, rows);
    Ok(distances.into_iter().map(move |distance| least.wrapping_add(distance as i64)))
}

fn unpack(bytes: &[u8], width: usize, rows: usize) -> Vec<u64> {
    match width {
        0 => vec![0; rows],
        1 => of_width::<1>(bytes),
        2 => of_width::<2>(bytes),
        3 => of_width::<3>(bytes),
        4 => of_width::<4>(bytes),
        5 => of_width::<5>(bytes),
        6 => of_width::<6>(bytes),
        7 => of_width::<7>(bytes),
        _ => of_width::<8>(bytes),
    }
}

fn of_width<const WIDTH: usize>(bytes: &[u8]) -> Vec<u64> {
    let distance = |packed: &[u8; WIDTH]| {
        let mut whole = [0; 8];
        whole[..WIDTH].copy_from_slice(packed);
        u64::from_le_bytes(whole)
    };
    bytes.as_chunks::<WIDTH>().0.iter().map(distance).collect()
}

/// The integer that is `power` times a double, if that double comes back when it is divided.
#[inline(always)]
fn decimal(value: f64, power: f64) -> (i64, bool) {
    let whole = (value * power + ROUNDING) - ROUNDING;
    (whole as i64, (whole / power).to_bits() == value.to_bits() && whole.abs() < 2_251_799_813_685_248.0)
}

/// The smallest power of ten that makes integers of all but few of these.
fn power_of(values: &[f64]) -> Option<u8> {
    let step = values.len().div_ceil(SAMPLE).max(1);
    let fits = |power: &f64| {
        let sample = values.iter().step_by(step);
        let most = sample.len() / EXCEPTIONS;
        sample.filter(|value| !decimal(**value, *power).1).count() <= most
    };
    POWERS.iter().position(fits).map(|power| power as u8)
}

/// Writes doubles: as decimals with a power of ten, behind those that are none; or as they are.
pub(super) fn put_doubles(values: &[f64], out: &mut Vec<u8>) {
    if let Some(power) = power_of(values) {
        let by = POWERS[usize::from(power)];
        let (mut integers, mut exceptions) = (Vec::with_capacity(values.len()), Vec::new());
        for (row, value) in values.iter().enumerate() {
            let (integer, is_decimal) = decimal(*value, by);
            if !is_decimal {
                exceptions.push(row);
            }
            // One that stands for nothing is not to widen the others.
            integers.push(if is_decimal { integer } else { integers.last().copied().unwrap_or(0) });
        }
        if exceptions.len() <= values.len() / EXCEPTIONS {
            out.push(power);
            put_number(exceptions.len() as u64, out);
            for row in exceptions {
                put_number(row as u64, out);
                put_number(values[row].to_bits(), out);
            }
            return put(integers.iter().copied(), out);
        }
    }
    out.push(AS_THEY_ARE);
    pack::<8>(values.iter().map(|value| value.to_bits()), out);
}

/// So many doubles that were written.
///
/// # Errors
/// `Io` when they are not there.
pub(super) fn doubles(rows: usize, input: &mut Input<'_>) -> Result<Vec<f64>> {
    let power = input.take(1)?[0];
    if power == AS_THEY_ARE {
        let bytes = input.take(rows.checked_mul(8).ok_or_else(cut_short)?)?;
        return Ok(bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect());
    }
    let power = *POWERS.get(usize::from(power)).ok_or_else(cut_short)?;
    let count = input.length()?;
    let mut exceptions = Input::of(input.take(count.checked_mul(16).ok_or_else(cut_short)?)?);
    let mut values: Vec<f64> = numbers(rows, input)?.map(|integer| integer as f64 / power).collect();
    for _ in 0..count {
        let (row, bits) = (exceptions.length()?, exceptions.number()?);
        *values.get_mut(row).ok_or_else(cut_short)? = f64::from_bits(bits);
    }
    Ok(values)
}
