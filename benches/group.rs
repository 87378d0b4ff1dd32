//! Cost per row of group keys and of aggregate states: `cargo bench --bench group`.
//!
//! An item is a row; `ns/row` is 1 / throughput. `bytes` prints the bytes that a group holds.

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, StringViewArray};
use arrow::datatypes::DataType;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use outcrop::aggregate::{Constant, GroupIds, GroupStates, Rows, constants_of, find_with};
use outcrop::batch::RowOrigin;
use outcrop::groupby::{GroupKeys, keys_for};
use std::sync::Arc;

/// Rows of a batch, as the scan makes them.
const ROWS: usize = 8192;

fn main() {
    print_bytes();
    divan::main();
}

/// Pseudo-random numbers below `below`.
fn random(rows: usize, below: u64) -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    (0..rows).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) % below
    })
}

/// Two-letter carriers or three-letter airports, in random order.
fn codes(rows: usize, distinct: u64) -> ArrayRef {
    let letter = |number: u64| char::from(b'A' + (number % 26) as u8);
    let code =
        |n: u64| [letter(n), letter(n / 26), letter(n / 7)].iter().take(if distinct > 50 { 3 } else { 2 }).collect();
    Arc::new(random(rows, distinct).map(|number| Some::<String>(code(number))).collect::<StringViewArray>())
}

fn integers(rows: usize, distinct: u64, step: u64) -> ArrayRef {
    Arc::new(random(rows, distinct).map(|number| Some((number * step) as i64)).collect::<Int64Array>())
}

/// Key columns by name.
fn keys(name: &str) -> Vec<ArrayRef> {
    let many = 4_000_000;
    match name {
        "20 carriers" => vec![codes(ROWS, 20)],
        "300 airports" => vec![codes(ROWS, 300)],
        "12 months" => vec![integers(ROWS, 12, 1)],
        "22 years, 20 carriers" => vec![integers(ROWS, 22, 1), codes(ROWS, 20)],
        "airport pairs" => vec![codes(many, 300), codes(many + 1, 300).slice(1, many)],
        "1e6 dense integers" => vec![integers(many, 1_000_000, 1)],
        "1e6 scattered integers" => vec![integers(many, 1_000_000, 1_000_003)],
        _ => vec![Arc::new(random(many, 1_000_000).map(|n| Some(format!("N{n}"))).collect::<StringViewArray>())],
    }
}

const KEYS: [&str; 8] = [
    "20 carriers",
    "300 airports",
    "12 months",
    "22 years, 20 carriers",
    "airport pairs",
    "1e6 dense integers",
    "1e6 scattered integers",
    "1e6 texts",
];

/// Batches of the columns.
fn batches(columns: &[ArrayRef]) -> Vec<Vec<ArrayRef>> {
    let rows = columns[0].len();
    let starts = (0..rows).step_by(ROWS);
    starts.map(|start| columns.iter().map(|column| column.slice(start, ROWS.min(rows - start))).collect()).collect()
}

fn intern_all(index: &mut dyn GroupKeys, batches: &[Vec<ArrayRef>], ids: &mut Vec<u32>) {
    for keys in batches {
        index.intern(keys, ids).unwrap();
    }
}

fn index_of(columns: &[ArrayRef]) -> Box<dyn GroupKeys> {
    let types: Vec<DataType> = columns.iter().map(|column| column.data_type().clone()).collect();
    keys_for(&types).unwrap()
}

/// Numbering keys that have all been seen before.
#[divan::bench(args = KEYS)]
fn keys_known(bencher: Bencher, name: &str) {
    let columns = keys(name);
    let (batches, mut ids, mut index) = (batches(&columns), Vec::new(), index_of(&columns));
    intern_all(&mut *index, &batches, &mut ids);
    bencher
        .counter(ItemsCount::new(columns[0].len()))
        .bench_local(|| intern_all(&mut *index, black_box(&batches), &mut ids));
}

/// Numbering keys from nothing.
#[divan::bench(args = KEYS, sample_count = 10)]
fn keys_from_nothing(bencher: Bencher, name: &str) {
    let columns = keys(name);
    let batches = batches(&columns);
    bencher
        .counter(ItemsCount::new(columns[0].len()))
        .bench_local(|| intern_all(&mut *index_of(&columns), black_box(&batches), &mut Vec::new()));
}

/// Arguments by name: delays as in airline files, with 2 % nulls where said.
fn argument(name: &str) -> ArrayRef {
    let delays = || random(ROWS, 200).map(|delay| delay as i64 - 20);
    let null = |row: usize| (row * 7919).is_multiple_of(50);
    match name {
        "Int64" => Arc::new(delays().map(Some).collect::<Int64Array>()),
        "Int64, 2% null" => {
            Arc::new(delays().enumerate().map(|(row, v)| (!null(row)).then_some(v)).collect::<Int64Array>())
        }
        "Float64, whole" => Arc::new(delays().map(|delay| Some(delay as f64)).collect::<Float64Array>()),
        "Float64" => Arc::new(delays().map(|delay| Some(delay as f64 / 7.0 + 0.1)).collect::<Float64Array>()),
        "Float64, tiny" => Arc::new(delays().map(|delay| Some((delay as f64 + 0.3) * 1e-40)).collect::<Float64Array>()),
        _ => codes(ROWS, 300),
    }
}

/// Aggregates and their arguments.
const STATES: [(&str, &str); 24] = [
    ("count", "Int64, 2% null"),
    ("sum", "Int64"),
    ("sum", "Int64, 2% null"),
    ("sum", "Float64, whole"),
    ("sum", "Float64"),
    ("sum", "Float64, tiny"),
    ("mean", "Int64, 2% null"),
    ("mean", "Float64"),
    ("var", "Int64, 2% null"),
    ("var", "Float64, whole"),
    ("var", "Float64"),
    ("var", "Float64, tiny"),
    ("sem", "Float64"),
    ("kurtosis", "Float64"),
    ("geometric_mean", "Float64"),
    ("min", "Int64"),
    ("max", "Int64, 2% null"),
    ("max", "Float64"),
    ("min", "Utf8"),
    ("first", "Int64"),
    ("last", "Utf8"),
    ("approx_n_unique", "Float64"),
    ("approx_n_unique", "Utf8"),
    ("approx_quantile", "Float64"),
];

fn states(name: &str, argument: &ArrayRef, groups: usize) -> Box<dyn GroupStates> {
    let constants = vec![Constant::Number(0.95); constants_of(name, 2)];
    let mut states = find_with(name, 1, &constants).unwrap().states(&[argument.data_type().clone()]).unwrap();
    states.grow(groups);
    states
}

fn update(bencher: Bencher, state: usize, groups: usize) {
    let (name, argument) = (STATES[state].0, argument(STATES[state].1));
    let ids: Vec<u32> = random(ROWS, groups as u64).map(|id| id as u32).collect();
    let (mut states, origin, arguments) = (states(name, &argument, groups), RowOrigin::consecutive(0), [argument]);
    let groups = if groups == 1 { GroupIds::One(ROWS) } else { GroupIds::Each(&ids) };
    let rows = Rows { groups, mask: None, origin: &origin };
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| states.update(black_box(&arguments), &rows).unwrap());
}

/// An argument of a benchmark, shown by name.
#[derive(Clone, Copy)]
struct State(usize);

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (aggregate, argument) = STATES[self.0];
        write!(f, "{aggregate} {argument}")
    }
}

fn all_states() -> impl Iterator<Item = State> {
    (0..STATES.len()).map(State)
}

/// One group.
#[divan::bench(args = all_states())]
fn update_ungrouped(bencher: Bencher, state: State) {
    update(bencher, state.0, 1);
}

/// Twenty groups in random order.
#[divan::bench(args = all_states())]
fn update_20_groups(bencher: Bencher, state: State) {
    update(bencher, state.0, 20);
}

fn print_bytes() {
    println!("bytes a group");
    for name in
        ["12 months", "300 airports", "airport pairs", "1e6 dense integers", "1e6 scattered integers", "1e6 texts"]
    {
        let columns = keys(name);
        let mut index = index_of(&columns);
        intern_all(&mut *index, &batches(&columns), &mut Vec::new());
        println!("  keys {name}: {:.1}", index.bytes_held() as f64 / index.len() as f64);
    }
    for (name, argument_name) in STATES {
        const GROUPS: usize = 100_000;
        let argument = argument(argument_name);
        let ids: Vec<u32> = (0..ROWS as u32).collect();
        let (mut states, origin) = (states(name, &argument, GROUPS), RowOrigin::consecutive(0));
        let empty = states.bytes_held() as f64 / GROUPS as f64;
        states.update(&[argument], &Rows { groups: GroupIds::Each(&ids), mask: None, origin: &origin }).unwrap();
        let more = states.bytes_held() as f64 - empty * GROUPS as f64;
        println!("  {name} {argument_name}: {empty:.1} and {:.1} once it has a value", more / ROWS as f64);
    }
}
