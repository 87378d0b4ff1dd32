//! Tables against a naive map, over every key type, cut and merged in every way.

use super::{GroupOrder, GroupTable, RowTable};
use crate::aggregate::{Aggregate, find};
use crate::batch::RowOrigin;
use crate::error::ErrorKind;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    NullArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Small pseudo-random numbers.
fn random(row: usize, salt: u64) -> u64 {
    let mixed = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xd1b5_4a32_d192_ed03);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
}

/// Key columns of every type, with nulls, few or many distinct values.
fn columns(rows: usize) -> Vec<ArrayRef> {
    let texts = ["", "AA", "WN", "twelve bytes", "thirteen bytes", "thirteen bytez", "Ä", "\0", "\0\0"];
    let pick = |salt: u64, of: u64| (0..rows).map(move |row| Some(random(row, salt) % of).filter(|value| *value > 0));
    let doubles = [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, -1.5, f64::NEG_INFINITY, 1e9];
    vec![
        Arc::new(NullArray::new(rows)),
        Arc::new(pick(1, 3).map(|value| value.map(|value| value == 1)).collect::<BooleanArray>()),
        Arc::new(pick(2, 40).map(|value| value.map(|value| value as i64 - 20)).collect::<Int64Array>()),
        Arc::new(pick(3, 9).map(|value| value.map(|value| doubles[value as usize - 1])).collect::<Float64Array>()),
        Arc::new(pick(4, 5).map(|value| value.map(|value| value as i32 * 400_000)).collect::<Date32Array>()),
        Arc::new(pick(5, 900).map(|value| value.map(|v| v as i64 * 1_000_003)).collect::<TimestampMicrosecondArray>()),
        Arc::new(pick(6, 10).map(|value| value.map(|value| texts[value as usize - 1])).collect::<StringViewArray>()),
        Arc::new(
            pick(7, 400)
                .map(|value| value.map(|value| format!("{:1$}", value, value as usize % 30)))
                .collect::<StringViewArray>(),
        ),
        Arc::new(
            (0..rows).map(|row| Some(i64::MIN.wrapping_add((random(row, 8) << 41) as i64))).collect::<Int64Array>(),
        ),
    ]
}

/// A value of a key column such that keys compare as the values do: nulls last, NaN above all numbers.
fn key(column: &ArrayRef, row: usize) -> (bool, i128, Vec<u8>) {
    if column.logical_nulls().is_some_and(|nulls| nulls.is_null(row)) {
        return (true, 0, vec![]);
    }
    if let Some(texts) = column.as_string_view_opt() {
        return (false, 0, texts.value(row).as_bytes().to_vec());
    }
    let number = match column.data_type() {
        DataType::Float64 => match column.as_primitive::<Float64Type>().value(row) {
            value if value.is_nan() => i128::MAX,
            value => (value.clamp(-1e10, 1e10) * 10.0) as i128,
        },
        DataType::Date32 => column.as_primitive::<Date32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        _ => column.as_primitive::<TimestampMicrosecondType>().value(row).into(),
    };
    (false, number, vec![])
}

type Keyed = Vec<(Vec<(bool, i128, Vec<u8>)>, i64, Option<i64>)>;

fn aggregates() -> Vec<(Arc<dyn Aggregate>, Vec<DataType>)> {
    vec![(find("count", 0).unwrap(), vec![]), (find("max", 1).unwrap(), vec![DataType::Int64])]
}

fn values(rows: usize) -> ArrayRef {
    Arc::new(
        (0..rows).map(|row| Some(row as i64).filter(|_| !random(row, 9).is_multiple_of(4))).collect::<Int64Array>(),
    )
}

fn expected(keys: &[ArrayRef], rows: usize) -> Keyed {
    let values = values(rows);
    let values = values.as_primitive::<Int64Type>();
    let mut groups = BTreeMap::new();
    for row in 0..rows {
        let group = groups.entry(keys.iter().map(|column| key(column, row)).collect()).or_insert((0, None));
        group.0 += 1;
        group.1 = group.1.max(values.is_valid(row).then(|| values.value(row)));
    }
    groups.into_iter().map(|(keys, (count, max))| (keys, count, max)).collect()
}

fn keyed(columns: &[ArrayRef]) -> Keyed {
    let (keys, results) = columns.split_at(columns.len() - 2);
    let (counts, maxima) = (results[0].as_primitive::<Int64Type>(), results[1].as_primitive::<Int64Type>());
    let row = |row: usize| {
        let keys = keys.iter().map(|column| key(column, row)).collect();
        (keys, counts.value(row), maxima.is_valid(row).then(|| maxima.value(row)))
    };
    (0..counts.len()).map(row).collect()
}

/// A table over the rows `from..to`, in batches of `batch`.
fn table(keys: &[ArrayRef], from: usize, to: usize, batch: usize) -> GroupTable {
    let types: Vec<DataType> = keys.iter().map(|column| column.data_type().clone()).collect();
    let mut table = GroupTable::new(&types, aggregates()).unwrap();
    let values = values(to);
    for start in (from..to).step_by(batch) {
        let length = batch.min(to - start);
        let keys: Vec<ArrayRef> = keys.iter().map(|column| column.slice(start, length)).collect();
        let arguments = [vec![], vec![values.slice(start, length)]];
        let origin = RowOrigin::consecutive(start as u64);
        table.update(&keys, &arguments, length, &origin).unwrap();
    }
    table
}

#[test]
fn groups_are_those_of_a_naive_map_for_all_keys_and_pairs_and_triples() {
    const ROWS: usize = 1200;
    let columns = columns(ROWS);
    let mut choices: Vec<Vec<usize>> = (0..columns.len()).map(|one| vec![one]).collect();
    for one in 0..columns.len() {
        choices.extend((0..columns.len()).map(|two| vec![one, two]));
    }
    choices.extend([vec![1, 2, 4], vec![2, 5, 7], vec![7, 3, 6, 1], vec![6, 8, 0], (0..columns.len()).collect()]);
    for choice in choices {
        let keys: Vec<ArrayRef> = choice.iter().map(|place| Arc::clone(&columns[*place])).collect();
        let right = expected(&keys, ROWS);
        let whole = table(&keys, 0, ROWS, ROWS).finish().unwrap();
        assert_eq!(keyed(&whole), right, "keys {choice:?}");
        let types = |columns: &[ArrayRef]| columns.iter().map(|c| c.data_type().clone()).collect::<Vec<_>>();
        assert_eq!(types(&whole[..keys.len()]), types(&keys));
        let mut first = table(&keys, 0, 100, 7);
        first.absorb(&table(&keys, 0, 0, 1)).unwrap();
        first.absorb(&table(&keys, 100, ROWS, 300)).unwrap();
        assert_eq!(keyed(&first.finish().unwrap()), right, "keys {choice:?}, merged");
    }
}

#[test]
fn many_groups_move_from_arrays_to_tables_without_changing_numbers() {
    const ROWS: usize = 120_000;
    let number = |salt: u64, of: u64| -> ArrayRef {
        Arc::new((0..ROWS).map(|row| Some((random(row, salt) % of) as i64)).collect::<Int64Array>())
    };
    for keys in [vec![number(1, 500), number(2, 700)], vec![number(1, 50), number(2, 60), number(3, 70)]] {
        let right = expected(&keys, ROWS);
        assert!(right.len() > 60_000);
        assert_eq!(keyed(&table(&keys, 0, ROWS, 1000).finish().unwrap()), right);
    }
}

#[test]
fn nan_is_one_group_at_the_end_and_zero_has_one_sign() {
    let key: ArrayRef = Arc::new(Float64Array::from(vec![-f64::NAN, -0.0, f64::INFINITY, 0.0, f64::NAN]));
    let grouped = table(&[key], 0, 5, 5).finish().unwrap();
    let bits: Vec<u64> = grouped[0].as_primitive::<Float64Type>().values().iter().map(|key| key.to_bits()).collect();
    assert_eq!(bits, [0.0, f64::INFINITY, f64::from_bits(0x7ff8 << 48)].map(f64::to_bits));
}

#[test]
fn without_keys_there_is_one_group_even_over_no_rows() {
    let grouped = table(&[], 0, 0, 1).finish().unwrap();
    assert_eq!(keyed(&grouped), [(vec![], 0, None)]);
    let mut two = table(&[], 0, 10, 3);
    two.absorb(&table(&[], 10, 15, 3)).unwrap();
    assert_eq!(keyed(&two.finish().unwrap()), expected(&[], 15));
    let keyed_table = table(&[values(0)], 0, 0, 1).finish().unwrap();
    assert_eq!((keyed_table.len(), keyed_table[0].len()), (3, 0));
}

#[test]
fn tables_of_other_shapes_and_foreign_columns_are_refused() {
    let mut one = table(&[values(5)], 0, 5, 5);
    assert_eq!(one.absorb(&table(&[], 0, 5, 5)).unwrap_err().kind(), ErrorKind::Internal);
    let origin = RowOrigin::consecutive(0);
    let text: ArrayRef = Arc::new(StringViewArray::from(vec!["a"]));
    assert!(one.update(&[text], &[vec![], vec![values(1)]], 1, &origin).is_err());
    assert!(one.update(&[values(1)], &[], 1, &origin).is_err());
    assert!(GroupTable::new(&[DataType::Utf8], vec![]).is_err());
}

/// Rows of a text column as codes into a dictionary that depends on `salt`: shuffled, with entries twice and unused.
fn coded(column: &ArrayRef, salt: u64) -> ArrayRef {
    let texts = column.as_string_view();
    let mut entries: Vec<&str> = texts.iter().flatten().chain(["unused", "another unused entry"]).collect();
    entries.sort_by_key(|text| random(text.len(), salt));
    let codes = (0..texts.len()).map(|row| {
        let fitting = (0..entries.len()).filter(|at| texts.is_valid(row) && entries[*at] == texts.value(row));
        let fitting: Vec<usize> = fitting.take(3).collect();
        (!fitting.is_empty()).then(|| fitting[random(row, salt) as usize % fitting.len()] as i32)
    });
    let codes: Int32Array = codes.collect();
    let entries: ArrayRef = Arc::new(StringViewArray::from(entries));
    Arc::new(DictionaryArray::<Int32Type>::new(codes, entries))
}

#[test]
fn codes_of_changing_dictionaries_name_the_groups_of_their_texts() {
    const ROWS: usize = 600;
    let columns = columns(ROWS);
    for choice in [vec![6], vec![7], vec![6, 7], vec![2, 6, 1], vec![7, 3]] {
        let keys: Vec<ArrayRef> = choice.iter().map(|place| Arc::clone(&columns[*place])).collect();
        let types: Vec<DataType> = keys.iter().map(|column| column.data_type().clone()).collect();
        let values = values(ROWS);
        let mut table = GroupTable::new(&types, aggregates()).unwrap();
        for (batch, start) in (0..ROWS).step_by(100).enumerate() {
            // Some batches are plain, and two in a row share a dictionary.
            let form = |key: &ArrayRef| match key.data_type() {
                DataType::Utf8View if batch % 3 > 0 => coded(&key.slice(start, 100), batch as u64),
                _ => key.slice(start, 100),
            };
            let keys: Vec<ArrayRef> = keys.iter().map(form).collect();
            for (from, length) in [(0, 30), (30, 70)] {
                let keys: Vec<ArrayRef> = keys.iter().map(|key| key.slice(from, length)).collect();
                let arguments = [vec![], vec![values.slice(start + from, length)]];
                table.update(&keys, &arguments, length, &RowOrigin::consecutive((start + from) as u64)).unwrap();
            }
        }
        assert_eq!(keyed(&table.finish().unwrap()), expected(&keys, ROWS), "keys {choice:?}");
    }
}

#[test]
fn what_was_interned_is_found_and_nothing_else_is() {
    const ROWS: usize = 3000;
    let all = columns(ROWS);
    let coded: ArrayRef = {
        let entries: Vec<String> = (0..300).map(|at| format!("{:1$}", at, at % 20)).collect();
        let codes: Int32Array =
            (0..ROWS).map(|row| Some((random(row, 3) % 300) as i32).filter(|at| at % 9 > 0)).collect();
        Arc::new(DictionaryArray::new(codes, Arc::new(StringViewArray::from_iter_values(entries))))
    };
    let mut sets: Vec<Vec<ArrayRef>> = all.iter().map(|column| vec![Arc::clone(column)]).collect();
    sets.extend([vec![coded], all[1..3].to_vec(), all[5..8].to_vec(), vec![Arc::clone(&all[2]), Arc::clone(&all[8])]]);
    for keys in sets {
        let of_type = |key: &ArrayRef| match key.data_type() {
            DataType::Dictionary(..) => DataType::Utf8View,
            plain => plain.clone(),
        };
        let types: Vec<DataType> = keys.iter().map(of_type).collect();
        let mut index = super::keys_for(&types).unwrap();
        let part = |from: usize, rows: usize| keys.iter().map(|key| key.slice(from, rows)).collect::<Vec<_>>();
        let (mut interned, mut found, mut known) = (Vec::new(), Vec::new(), std::collections::HashMap::new());
        for start in (0..ROWS / 2).step_by(100) {
            index.intern(&part(start, 100), &mut interned).unwrap();
            for (row, id) in interned.iter().enumerate() {
                known.insert(shown_key(&keys, start + row), *id);
            }
        }
        for (start, rows) in [(0, ROWS), (7, 3), (ROWS, 0)] {
            index.find(&part(start, rows), &mut found).unwrap();
            let expected = (start..start + rows).map(|row| known.get(&shown_key(&keys, row)).copied());
            let expected: Vec<u32> = expected.map(|id| id.unwrap_or(super::ABSENT)).collect();
            assert_eq!(found, expected, "{types:?}");
        }
    }
}

fn shown_key(keys: &[ArrayRef], row: usize) -> Vec<(bool, i128, Vec<u8>)> {
    keys.iter().map(|column| key(&crate::batch::coded::plain(column).unwrap(), row)).collect()
}

/// All groups of some tables, in order.
fn gathered(tables: &[GroupTable]) -> Keyed {
    let order = GroupOrder::of(tables);
    let groups = |(table, of): (usize, &GroupTable)| (0..of.groups()).map(move |group| (table, group));
    let mut entries: Vec<_> =
        tables.iter().enumerate().flat_map(groups).map(|(table, group)| order.entry(table, group)).collect();
    entries.sort_unstable_by(|a, b| order.compare(a, b));
    keyed(&order.gather(&entries).unwrap().finish().unwrap())
}

#[test]
fn groups_of_tables_and_of_rows_that_wait_meet_in_the_order_of_their_keys() {
    const ROWS: usize = 900;
    let columns = columns(ROWS);
    let shared = |start: &str| -> ArrayRef {
        let text = |row: usize| format!("{start}{:1$}", random(row, 11) % 300, random(row, 12) as usize % 25);
        Arc::new((0..ROWS).map(|row| (row % 50 > 0).then(|| text(row))).collect::<StringViewArray>())
    };
    let mut choices: Vec<Vec<ArrayRef>> = columns.iter().map(|column| vec![Arc::clone(column)]).collect();
    choices.extend([vec![shared("a beginning that all have in common ")], vec![shared("short ")]]);
    for choice in [[1, 2].as_slice(), &[7, 5], &[8, 5, 8], &[6, 8, 0, 3, 5, 8]] {
        choices.push(choice.iter().map(|place| Arc::clone(&columns[*place])).collect());
    }
    for keys in choices {
        let types: Vec<DataType> = keys.iter().map(|column| column.data_type().clone()).collect();
        let mut waiting = RowTable::new(&types, aggregates()).unwrap();
        for start in (300..700).step_by(50) {
            let values = values(ROWS).slice(start, 50);
            let slices: Vec<ArrayRef> = keys.iter().map(|key| key.slice(start, 50)).collect();
            waiting.append(&slices, &[vec![], vec![values]], 50).unwrap();
        }
        let mut sealed = table(&keys, 0, 300, 70);
        sealed.seal();
        let tables = [sealed, waiting.into_table().unwrap(), table(&keys, 700, ROWS, 300)];
        let right = expected(&keys, ROWS);
        assert_eq!(gathered(&tables), right, "{types:?}");
        let mut parts: Vec<GroupTable> = (0..8).map(|_| GroupTable::new(&types, aggregates()).unwrap()).collect();
        for table in &tables {
            let by_hash = parts.iter_mut().zip(table.by_hash(8));
            by_hash.for_each(|(part, groups)| part.absorb_some(table, &groups).unwrap());
        }
        assert_eq!(parts.iter().map(GroupTable::groups).sum::<usize>(), right.len(), "{types:?}, a key has one part");
        assert_eq!(gathered(&parts), right, "{types:?}, in parts");
        let mut one = GroupTable::new(&types, aggregates()).unwrap();
        tables.iter().for_each(|table| one.absorb(table).unwrap());
        assert_eq!(keyed(&one.finish().unwrap()), right, "{types:?}, put together");
    }
}
