//! Window functions against the plainest reading of their definition, over random tables and random windows; and the same bits
//! however they are computed. Seeds are printed; `OUTCROP_TEST_SEED` repeats one.

mod common;

use common::{Random, random_csv, shown};
use outcrop::aggregate::holistic::Looks;
use outcrop::aggregate::{self, Makes, Over};
use outcrop::exec::Scheduler;
use outcrop::frame::{CsvScan, DataFrame, LazyFrame, Runner, Value, scan_csv};
use outcrop::memory::Budget;
use outcrop::sql::Session;
use outcrop::types::ColumnType;
use std::cmp::Ordering;
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

/// A value of the table, or of a window.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Whole(i64),
    Real(f64),
    Text(String),
}

impl Cell {
    /// Nulls are above all values.
    fn order(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Null, Cell::Null) => Ordering::Equal,
            (Cell::Null, _) => Ordering::Greater,
            (_, Cell::Null) => Ordering::Less,
            (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
            (one, other) => one.number().partial_cmp(&other.number()).unwrap(),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Cell::Whole(number) => *number as f64,
            Cell::Real(number) => *number,
            Cell::Null | Cell::Text(_) => f64::NAN,
        }
    }

    fn is_null(&self) -> bool {
        *self == Cell::Null
    }
}

const COLUMNS: [&str; 5] = ["id", "k", "i", "x", "t"];

/// A table of rows with an identity, a few keys, small integers, quarters, and texts.
fn table(random: &mut Random, rows: usize) -> Vec<Vec<Cell>> {
    let mut made = Vec::new();
    for id in 0..rows {
        let or_null = |random: &mut Random, cell: Cell| if random.one_in(6) { Cell::Null } else { cell };
        let k = Cell::Text(["a", "b", "c"][random.below(3)].to_owned());
        let i = Cell::Whole(random.below(12) as i64 - 5);
        let x = Cell::Real((random.below(60) as f64 - 30.0) / 4.0);
        let t = Cell::Text(["x", "yy", "a text that is longer than fits inline"][random.below(3)].to_owned());
        let cells = [k, i, x, t].map(|cell| or_null(random, cell));
        made.push([Cell::Whole(id as i64)].into_iter().chain(cells).collect());
    }
    made
}

fn write_table(path: &Path, table: &[Vec<Cell>]) {
    let mut text = COLUMNS.join(",");
    for row in table {
        let cells = row.iter().map(|cell| match cell {
            Cell::Null => String::new(),
            Cell::Whole(number) => number.to_string(),
            Cell::Real(number) => format!("{number:?}"),
            Cell::Text(text) => text.clone(),
        });
        write!(text, "\n{}", cells.collect::<Vec<_>>().join(",")).unwrap();
    }
    std::fs::write(path, text + "\n").unwrap();
}

/// A key of an order: a column, downwards, nulls first.
type Key = (usize, bool, bool);

#[derive(Clone, Debug)]
struct Window {
    partition: Vec<usize>,
    order: Vec<Key>,
    frame: Option<(bool, Bound, Bound)>,
}

/// In the order in which bounds can follow each other.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Bound {
    First,
    Preceding(i64),
    Current,
    Following(i64),
    Last,
}

impl Bound {
    fn random(random: &mut Random) -> Self {
        let far = [0, 1, 2, 5, 40][random.below(5)];
        [Bound::First, Bound::Preceding(far), Bound::Current, Bound::Following(far), Bound::Last][random.below(5)]
    }

    fn place(self) -> usize {
        match self {
            Bound::First => 0,
            Bound::Preceding(_) => 1,
            Bound::Current => 2,
            Bound::Following(_) => 3,
            Bound::Last => 4,
        }
    }

    fn text(self) -> String {
        match self {
            Bound::First => "unbounded preceding".to_owned(),
            Bound::Preceding(far) => format!("{far} preceding"),
            Bound::Current => "current row".to_owned(),
            Bound::Following(far) => format!("{far} following"),
            Bound::Last => "unbounded following".to_owned(),
        }
    }
}

impl Window {
    fn random(random: &mut Random) -> Self {
        let partition = [vec![], vec![1], vec![1], vec![4, 1], vec![2]][random.below(5)].clone();
        let key = |random: &mut Random| (1 + random.below(4), random.one_in(2), random.one_in(3));
        let mut order: Vec<Key> = (0..random.below(3)).map(|_| key(random)).collect();
        if order.len() == 1 && random.one_in(2) {
            order = vec![([2, 3][random.below(2)], order[0].1, order[0].2)];
        }
        let frame = (!random.one_in(4)).then(|| {
            loop {
                let (start, end) = (Bound::random(random), Bound::random(random));
                let by_rows = random.one_in(2);
                let has_distance =
                    [start, end].iter().any(|bound| matches!(bound, Bound::Preceding(_) | Bound::Following(_)));
                let has_number = matches!(order[..], [(2 | 3, ..)]);
                if start.place() <= end.place()
                    && start != Bound::Last
                    && end != Bound::First
                    && (by_rows || !has_distance || has_number)
                {
                    break (by_rows, start, end);
                }
            }
        });
        Window { partition, order, frame }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if !self.partition.is_empty() {
            let names: Vec<&str> = self.partition.iter().map(|at| COLUMNS[*at]).collect();
            write!(text, "partition by {} ", names.join(", ")).unwrap();
        }
        if !self.order.is_empty() {
            let keys = self.order.iter().map(|(column, descending, nulls_first)| {
                let descending = if *descending { " desc" } else { "" };
                format!("{}{descending}{}", COLUMNS[*column], if *nulls_first { " nulls first" } else { "" })
            });
            write!(text, "order by {} ", keys.collect::<Vec<_>>().join(", ")).unwrap();
        }
        if let Some((by_rows, start, end)) = self.frame {
            let unit = if by_rows { "rows" } else { "range" };
            write!(text, "{unit} between {} and {}", start.text(), end.text()).unwrap();
        }
        text
    }

    fn compare(&self, one: &[Cell], other: &[Cell]) -> Ordering {
        let by_key = |&(column, descending, nulls_first): &Key| {
            let (one, other) = (&one[column], &other[column]);
            match (one.is_null(), other.is_null()) {
                (true, true) => Ordering::Equal,
                (false, false) if descending => other.order(one),
                (false, false) => one.order(other),
                (is_null, _) => {
                    if is_null == nulls_first {
                        Ordering::Less
                    } else {
                        Ordering::Greater
                    }
                }
            }
        };
        self.order.iter().map(by_key).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
    }

    /// The rows of the partition of a row, in order, and where the row stands among them.
    fn partition_of<'a>(&self, table: &'a [Vec<Cell>], row: usize) -> (Vec<&'a [Cell]>, usize) {
        let same = |other: &&Vec<Cell>| self.partition.iter().all(|at| other[*at] == table[row][*at]);
        let mut rows: Vec<&[Cell]> = table.iter().filter(same).map(Vec::as_slice).collect();
        rows.sort_by(|one, other| self.compare(one, other).then(one[0].order(&other[0])));
        let at = rows.iter().position(|other| other[0] == table[row][0]).unwrap();
        (rows, at)
    }

    /// Which rows of the partition are in the frame of one: each is asked for itself.
    fn frame_of(&self, rows: &[&[Cell]], at: usize) -> Vec<usize> {
        let by_default =
            (self.order.is_empty(), Bound::First, if self.order.is_empty() { Bound::Last } else { Bound::Current });
        let (by_rows, start, end) = self.frame.unwrap_or(by_default);
        let distance = |other: usize| -> Option<f64> {
            let &(column, descending, _) = self.order.first()?;
            let (own, other) = (&rows[at][column], &rows[other][column]);
            let distance = if descending { own.number() - other.number() } else { other.number() - own.number() };
            (!own.is_null() && !other.is_null()).then_some(distance)
        };
        let order = |other: usize| self.compare(rows[other], rows[at]);
        // Whether a row stands at the bound or on that side of it which `side` says.
        let within = |other: usize, bound: Bound, side: Ordering| match (bound, by_rows) {
            (Bound::First | Bound::Last, _) => true,
            (Bound::Current, true) => other.cmp(&at) != side.reverse(),
            (Bound::Preceding(far), true) => (other as i64).cmp(&(at as i64 - far)) != side.reverse(),
            (Bound::Following(far), true) => (other as i64).cmp(&(at as i64 + far)) != side.reverse(),
            (Bound::Current, false) => order(other) != side.reverse(),
            (Bound::Preceding(far) | Bound::Following(far), false) => {
                let far = if matches!(bound, Bound::Preceding(_)) { -far } else { far } as f64;
                match distance(other) {
                    Some(distance) => distance.partial_cmp(&far).unwrap() != side.reverse(),
                    // Nulls are peers of each other and at no distance of values: those are before or behind all of them.
                    None => order(other) == Ordering::Equal || order(other) == side,
                }
            }
        };
        let is_in = |other: &usize| within(*other, start, Ordering::Greater) && within(*other, end, Ordering::Less);
        (0..rows.len()).filter(is_in).collect()
    }
}

/// A function, as SQL and as what it is.
#[derive(Clone, Debug)]
enum Function {
    Number(&'static str),
    Ntile(usize),
    Shift(usize, i64, bool, Option<i64>),
    Nth(usize, usize, bool),
    Last(usize, bool),
    Aggregate(&'static str, usize),
}

impl Function {
    fn random(random: &mut Random) -> Self {
        let column = 1 + random.below(4);
        let ignore = random.one_in(3);
        match random.below(10) {
            0 => Function::Number(["row_number", "rank", "dense_rank"][random.below(3)]),
            1 => Function::Number(["percent_rank", "cume_dist"][random.below(2)]),
            2 => Function::Ntile(1 + random.below(9)),
            3 => Function::Shift(column, random.below(7) as i64 - 3, ignore, None),
            4 => Function::Shift(2, random.below(7) as i64 - 3, ignore, Some(99)),
            5 => Function::Nth(column, 1 + random.below(3), ignore),
            6 => Function::Last(column, ignore),
            _ => {
                let names =
                    ["count", "sum", "avg", "min", "max", "std", "count(*)", "median", "n_unique", "string_agg"];
                let name = names[random.below(names.len())];
                let is_of_numbers = matches!(name, "sum" | "avg" | "std" | "median");
                let column = if name == "string_agg" { [1, 4][random.below(2)] } else { column };
                Function::Aggregate(name, if is_of_numbers { 2 + random.below(2) } else { column })
            }
        }
    }

    fn text(&self) -> String {
        let nulls = |ignore: &bool| if *ignore { " ignore nulls" } else { "" };
        match self {
            Function::Number(name) => format!("{name}()"),
            Function::Ntile(buckets) => format!("ntile({buckets})"),
            Function::Shift(column, by, ignore, default) => {
                let default = default.map(|default| format!(", {default}")).unwrap_or_default();
                let name = if *by < 0 { "lag" } else { "lead" };
                format!("{name}({}, {}{default}{})", COLUMNS[*column], by.abs(), nulls(ignore))
            }
            Function::Nth(column, 1, ignore) => format!("first_value({}{})", COLUMNS[*column], nulls(ignore)),
            Function::Nth(column, number, ignore) => {
                format!("nth_value({}, {number}{})", COLUMNS[*column], nulls(ignore))
            }
            Function::Last(column, ignore) => format!("last_value({}{})", COLUMNS[*column], nulls(ignore)),
            Function::Aggregate("count(*)", _) => "count(*)".to_owned(),
            Function::Aggregate("string_agg", column) => format!("string_agg({}, '+')", COLUMNS[*column]),
            Function::Aggregate(name, column) => format!("{name}({})", COLUMNS[*column]),
        }
    }

    fn value(&self, window: &Window, rows: &[&[Cell]], at: usize) -> Cell {
        let is_peer = |other: &&&[Cell]| window.compare(other, rows[at]) == Ordering::Equal;
        let before = rows.iter().filter(|other| window.compare(other, rows[at]) == Ordering::Less).count();
        let cells = |column: usize, among: &mut dyn Iterator<Item = usize>, ignore: bool| -> Vec<Cell> {
            among.map(|row| rows[row][column].clone()).filter(|cell| !(ignore && cell.is_null())).collect()
        };
        match self {
            Function::Number("row_number") => Cell::Whole(at as i64 + 1),
            Function::Number("rank") => Cell::Whole(before as i64 + 1),
            Function::Number("dense_rank") => {
                let changes = (1..=at).filter(|row| window.compare(rows[*row - 1], rows[*row]) != Ordering::Equal);
                Cell::Whole(changes.count() as i64 + 1)
            }
            Function::Number("percent_rank") if rows.len() == 1 => Cell::Real(0.0),
            Function::Number("percent_rank") => Cell::Real(before as f64 / (rows.len() - 1) as f64),
            Function::Number(_) => {
                Cell::Real((before + rows.iter().filter(is_peer).count()) as f64 / rows.len() as f64)
            }
            Function::Ntile(buckets) => {
                // Rows are dealt to buckets; of those that have any, the first have one more.
                let mut sizes = vec![rows.len() / buckets; *buckets];
                sizes.iter_mut().take(rows.len() % buckets).for_each(|size| *size += 1);
                let of_rows =
                    sizes.iter().enumerate().flat_map(|(bucket, size)| std::iter::repeat_n(bucket + 1, *size));
                Cell::Whole(of_rows.collect::<Vec<_>>()[at] as i64)
            }
            Function::Shift(column, by, ignore, default) => {
                let default = default.map_or(Cell::Null, Cell::Whole);
                let far = by.unsigned_abs() as usize;
                let found = match by.cmp(&0) {
                    Ordering::Equal => {
                        return if *ignore && rows[at][*column].is_null() {
                            default
                        } else {
                            rows[at][*column].clone()
                        };
                    }
                    Ordering::Less => cells(*column, &mut (0..at).rev(), *ignore),
                    Ordering::Greater => cells(*column, &mut (at + 1..rows.len()), *ignore),
                };
                found.get(far - 1).cloned().unwrap_or(default)
            }
            Function::Nth(column, number, ignore) => {
                let found = cells(*column, &mut window.frame_of(rows, at).into_iter(), *ignore);
                found.get(number - 1).cloned().unwrap_or(Cell::Null)
            }
            Function::Last(column, ignore) => {
                cells(*column, &mut window.frame_of(rows, at).into_iter(), *ignore).pop().unwrap_or(Cell::Null)
            }
            Function::Aggregate(name, column) => {
                let frame = window.frame_of(rows, at);
                let all = frame.len();
                aggregated(name, all, cells(*column, &mut frame.into_iter(), true))
            }
        }
    }
}

fn aggregated(name: &str, rows: usize, mut cells: Vec<Cell>) -> Cell {
    let numbers: Vec<f64> = cells.iter().map(Cell::number).collect();
    // Quarters below a few thousand: no rounding.
    let (count, sum) = (numbers.len() as f64, numbers.iter().sum::<f64>());
    let whole = matches!(cells.first(), Some(Cell::Whole(_)));
    match name {
        "count(*)" => return Cell::Whole(rows as i64),
        "count" => return Cell::Whole(cells.len() as i64),
        "n_unique" => {
            cells.sort_by(Cell::order);
            cells.dedup();
            return Cell::Whole(cells.len() as i64);
        }
        _ if cells.is_empty() => return Cell::Null,
        "string_agg" => {
            let texts = cells.iter().map(|cell| if let Cell::Text(text) = cell { &**text } else { "" });
            return Cell::Text(texts.collect::<Vec<_>>().join("+"));
        }
        _ => cells.sort_by(Cell::order),
    }
    match name {
        "sum" if whole => Cell::Whole(sum as i64),
        "sum" => Cell::Real(sum),
        "avg" => Cell::Real(sum / count),
        "min" => cells[0].clone(),
        "max" => cells[cells.len() - 1].clone(),
        "median" => Cell::Real((cells[(cells.len() - 1) / 2].number() + cells[cells.len() / 2].number()) / 2.0),
        _ if cells.len() == 1 => Cell::Null,
        _ => {
            let squares: f64 = numbers.iter().map(|number| number * number).sum();
            Cell::Real(((squares - sum * sum / count) / (count - 1.0)).sqrt())
        }
    }
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Int64(number) => Cell::Whole(number),
        Value::Float64(number) => Cell::Real(number),
        Value::Utf8(text) => Cell::Text(text.to_string()),
        other => panic!("{other:?}"),
    }
}

fn close(one: &Cell, other: &Cell) -> bool {
    match (one, other) {
        (Cell::Real(one), Cell::Real(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
        _ => one == other,
    }
}

fn rows(frame: &DataFrame) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for batch in frame.batches().map(Result::unwrap) {
        for row in 0..batch.num_rows() {
            rows.push(batch.columns().iter().map(|column| cell(Value::of(column, row).unwrap())).collect());
        }
    }
    rows
}

fn session(frame: &LazyFrame) -> Session {
    let mut session = Session::new();
    session.register("t", frame.clone());
    session
}

/// A run in as little memory as it can be done in; what went to disk.
fn scarce(sql: &LazyFrame, runner: Runner, least: u64) -> (DataFrame, u64) {
    let budget = Budget::new(least as usize + (200 << 10));
    let run = runner.budget(budget.clone()).run::<_, DataFrame>(sql.clone()).unwrap();
    assert!(budget.peak_bytes() <= budget.limit_bytes());
    let text = shown(&run.value);
    let (found, spilled) = (run.value, run.statistics.bytes_spilled);
    assert_eq!(text, shown(&found), "rows that were read twice");
    (found, spilled)
}

#[test]
fn windows_are_what_their_definition_says() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let mut spilled = 0;
    for round in 0..60_u64 {
        let mut random = Random::new(seed.wrapping_add(round));
        let size = [0, 1, 7, 60, 150][random.below(5)];
        let table = table(&mut random, size);
        let path = folder.path().join(format!("{round}.csv"));
        write_table(&path, &table);
        let types = ["int64", "utf8", "int64", "float64", "utf8"];
        let options = COLUMNS.iter().zip(types).fold(CsvScan::new([&path]), |scan, (name, of_type)| {
            scan.with_type(*name, ColumnType::parse(of_type).unwrap())
        });
        let frame = options.open().unwrap();
        let mut calls = Vec::new();
        while calls.len() < 1 + round as usize % 5 {
            calls.push((Function::random(&mut random), Window::random(&mut random)));
        }
        let items = calls
            .iter()
            .enumerate()
            .map(|(at, (function, window))| format!("{} over ({}) as c{at}", function.text(), window.text()));
        let sql = format!("select id, {} from t order by id", items.collect::<Vec<_>>().join(", "));
        let how = format!("seed {seed} round {round}\n{sql}");
        let lazy = session(&frame).sql(&sql).unwrap_or_else(|error| panic!("{how}\n{error}"));
        let runner = Runner::new().threads(1 + random.below(4)).piece_bytes(1 + random.below(3000)).batch_bytes(500);
        let run = runner.run::<_, DataFrame>(lazy.clone()).unwrap();
        let found = rows(&run.value);
        assert_eq!(found.len(), table.len(), "{how}");
        for (row, found) in found.iter().enumerate() {
            assert_eq!(found[0], table[row][0], "{how}");
            for ((function, window), found) in calls.iter().zip(&found[1..]) {
                let (rows, at) = window.partition_of(&table, row);
                let expected = function.value(window, &rows, at);
                assert!(close(&expected, found), "row {row}: {expected:?} expected, {found:?} found\n{how}");
            }
        }
        let (again, bytes) = scarce(&lazy, runner, run.statistics.least_memory_bytes);
        assert_eq!(shown(&run.value), shown(&again), "{how}");
        spilled += bytes;
    }
    println!("{spilled} bytes spilled");
}

/// Windows of each kind, in every combination of what they need of other rows.
const WINDOWS: [&str; 15] = [
    "*, row_number() over (partition by k order by x desc, i) from t",
    "k, i, rank() over w, dense_rank() over w, percent_rank() over w, cume_dist() over w, ntile(7) over w from t window w as (order by i)",
    "t, lag(t, 3, 'none') over w, lead(t) over w, lag(x, 2 ignore nulls) over w, lead(d, 40) over w from t window w as (partition by b order by i, d)",
    "k, first_value(t) over w, last_value(x) over w, nth_value(i, 5) over w from t window w as (partition by k order by i rows between 9 preceding and 700 following)",
    "sum(x) over w as a, mean(x) over w as b, var(x) over w as c, min(x) over w as d, max(t) over w as e, count(*) over w from t window w as (order by d, x)",
    "sum(x) over w as a, std(x) over w as c, min(t) over w as d, max(x) over w as e, skewness(i) over w from t window w as (order by x rows between 600 preceding and 50 preceding)",
    "sum(i) over w as a, max(x) over w as b, count(t) over w from t window w as (partition by k order by i range between 25 preceding and 3 following)",
    "sum(x) over w as a, first(t) over w as b, last(i) over w as c from t window w as (order by i rows between current row and unbounded following)",
    "k, sum(x) over (partition by k) as a, median(x) over (partition by k) as b, n_unique(t) over (partition by b) as c, corr(x, i) over (partition by b) from t",
    "rank() over (order by t), rank() over (partition by k order by d), lag(i) over (order by x desc), sum(i) over () from t",
    "k, sum(i) as s, rank() over (order by sum(i) desc) as r, sum(count(*)) over (order by k) from t group by k",
    "k, i, t, row_number() over (partition by t, b order by i) as n from t where i > -50 qualify n <= 3",
    "k, x, rank() over w as r, dense_rank() over w as d, lag(x) over w from t window w as (partition by k order by x) qualify r <= 4",
    "x, t, row_number() over (order by x desc nulls first, t) as n from t qualify n in (1, 7, 40)",
    "k, n, m from (select k, row_number() over (partition by b order by x) as m, row_number() over (partition by k order by t) as n from t) where n < 6.5 and m > 2",
];

#[test]
fn windows_do_not_depend_on_threads_partitions_batches_or_memory() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let mut spilled = 0;
    for round in 0..2 {
        let mut random = Random::new(seed.wrapping_add(round));
        let paths: Vec<_> = (0..2).map(|file| folder.path().join(format!("{round}-{file}.csv"))).collect();
        for path in &paths {
            std::fs::write(path, random_csv(&mut random, 1500)).unwrap();
        }
        let frame = scan_csv(paths).unwrap();
        for window in WINDOWS {
            let lazy = session(&frame).sql(&format!("select {window}")).unwrap();
            let baseline = Runner::new().scheduler(Scheduler::Synchronous).piece_bytes(1 << 28).batch_bytes(1 << 28);
            let expected = shown(&baseline.compute::<_, DataFrame>(lazy.clone()).unwrap());
            let (threads, piece, batch) = (1 + random.below(5), 1 + random.below(9000), 1 + random.below(5000));
            let how = format!("seed {seed} round {round} threads {threads} piece {piece} batch {batch}\n{window}");
            let runner = Runner::new().threads(threads).piece_bytes(piece).batch_bytes(batch);
            let run = runner.run::<_, DataFrame>(lazy.clone()).unwrap();
            assert_eq!(expected, shown(&run.value), "{how}");
            let (again, bytes) = scarce(&lazy, runner, run.statistics.least_memory_bytes);
            assert_eq!(expected, shown(&again), "{how}, in little memory");
            spilled += bytes;
        }
    }
    assert!(spilled > 0, "scarce memory made nothing go to disk");
}

#[test]
fn every_aggregate_over_a_frame_is_the_aggregate_of_its_rows() {
    const ROWS: usize = 2200;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let mut random = Random::new(7);
    let mut text = String::from("id,i,x,b\n");
    for id in 0..ROWS {
        let i = if random.one_in(9) { String::new() } else { (1 + random.below(50)).to_string() };
        writeln!(text, "{id},{i},{:e},{}", (random.below(1 << 30) as f64 + 1.0) / 3.0, random.one_in(2)).unwrap();
    }
    std::fs::write(&path, text).unwrap();
    let session = session(&scan_csv([&path]).unwrap());
    let mut tried = 0;
    for aggregate in aggregate::all() {
        if aggregate.makes() != Makes::Value {
            continue;
        }
        let name = aggregate.name();
        let args = ["(x)", "(b)", "(x, i)", "(x, 0.3)", "(x, i, 0.3)", "(x, 5)", "(cast(i as varchar), '+')"];
        let calls = args.map(|args| format!("{name}{args}"));
        let ask = |call: &String, rest: &str| session.sql(&format!("select {call} {rest}"));
        let Some(call) = calls.iter().find(|call| ask(call, "as a from t").is_ok()) else {
            panic!("how is `{name}` called?");
        };
        // Frames of more rows than a block, and of fewer.
        let frames = match name {
            // Their states are as long as the frame.
            "weighted_median" | "weighted_quantile" => [(150, 30), (20, 5), (5, 0)],
            // They look at all values of it.
            _ if aggregate.over() != Over::Rows && aggregate.looks_at(9) == Looks::AtAll => {
                [(150, 30), (20, 5), (5, 0)]
            }
            _ => [(1400, 30), (ROWS, 0), (20, 5)],
        };
        for (before, behind) in frames {
            let over = format!("over (order by id rows between {before} preceding and {behind} following) as a from t");
            let framed = ask(call, &over).unwrap_or_else(|error| panic!("{call}: {error}")).collect().unwrap();
            let framed: Vec<String> = shown(&framed).lines().skip(1).map(str::to_owned).collect();
            assert_eq!(framed.len(), ROWS);
            for row in [0, 1, 20, 21, 1023, 1024, 1400, 1401, 2047, ROWS - 1] {
                let frame: Range<usize> = row.saturating_sub(before)..row + behind + 1;
                let rest = format!("as a from t where id >= {} and id < {}", frame.start, frame.end);
                let plain = shown(&ask(call, &rest).unwrap().collect().unwrap());
                assert_eq!(plain.lines().nth(1), Some(&*framed[row]), "{call} {over}, row {row}");
            }
        }
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn a_partition_larger_than_memory_is_gone_through_on_disk() {
    const ROWS: i64 = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let mut text = String::from("n,t\n");
    // In an order that is not that of `n`: 7 and the number of rows have no common divisor.
    (0..ROWS).for_each(|row| writeln!(text, "{},a text that takes some room number {row}", row * 7 % ROWS).unwrap());
    std::fs::write(&path, text).unwrap();
    let sql = "select n, t, row_number() over w as r, sum(n) over w as s, count(*) over () as all, lead(n, 1000) over w as l, \
               max(n) over (order by n rows between 5000 preceding and 10 preceding) as m, ntile(4) over w as q \
               from t window w as (order by n)";
    let frame = session(&scan_csv([&path]).unwrap()).sql(sql).unwrap();
    let budget = Budget::new(2 << 20);
    let run = Runner::new().threads(2).piece_bytes(20_000).budget(budget.clone()).run::<_, DataFrame>(frame).unwrap();
    // More than it may hold, packed.
    assert!(run.statistics.bytes_spilled > 2 << 20, "{}", run.statistics.bytes_spilled);
    assert!(budget.peak_bytes() <= budget.limit_bytes());
    let rows = rows(&run.value);
    assert_eq!(rows.len() as i64, ROWS);
    for (at, row) in rows.iter().enumerate() {
        let n = at as i64;
        let whole = |number: i64| if (0..ROWS).contains(&number) { Cell::Whole(number) } else { Cell::Null };
        let expected = [whole(n), row[1].clone(), Cell::Whole(n + 1), Cell::Whole(n * (n + 1) / 2), Cell::Whole(ROWS)];
        assert_eq!(row[..5], expected, "row {n}");
        assert_eq!(row[5..], [whole(n + 1000), whole(n - 10), Cell::Whole(n / (ROWS / 4) + 1)], "row {n}");
    }
    drop(run);
    assert_eq!(budget.held_bytes(), 0);
}

#[test]
fn ranges_of_partitions_side_by_side_are_what_one_thread_finds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let mut random = Random::new(3);
    let mut text = String::from("k,n,t\n");
    for row in 0..40_000 {
        // Some partitions are a row, one is half of all.
        let k = if random.one_in(2) { 7 } else { random.below(9000) };
        writeln!(text, "{k},{},a text of some length number {row}", random.below(500)).unwrap();
    }
    std::fs::write(&path, text).unwrap();
    let sql = "select k, n, t, rank() over w, lag(t) over w, sum(n) over w as s, count(*) over (partition by k), \
               max(n) over (w rows between 30 preceding and 2 following) as m, median(n) over (partition by k) as d \
               from t window w as (partition by k order by n)";
    let frame = session(&scan_csv([&path]).unwrap()).sql(sql).unwrap();
    let one = Runner::new().threads(1).run::<_, DataFrame>(frame.clone()).unwrap();
    for threads in [2, 4, 7] {
        let several = Runner::new().threads(threads).piece_bytes(9000).run::<_, DataFrame>(frame.clone()).unwrap();
        assert_eq!(several.statistics.bytes_spilled, 0);
        assert!(shown(&one.value) == shown(&several.value), "{threads} threads");
    }
}

/// Functions over one partition: those that need rows nearby, the rows before, peers, or all.
const OF_ONE_PARTITION: [&str; 7] = [
    "row_number() over w as a, ntile(7) over w, lag(t, 3) over w, lead(x) over w from t window w as (order by n, x)",
    "rank() over w as a, percent_rank() over w, cume_dist() over w, lag(t) over w from t window w as (order by n)",
    "sum(x) over w as a, count(t) over w, min(t) over w, var(x) over w, last_value(t) over w, approx_n_unique(k) over w \
     from t window w as (order by n)",
    "sum(x) over w as a, max(t) over w, first(t) over w, nth_value(t, 3) over w \
     from t window w as (order by x rows between unbounded preceding and 5 following)",
    "sum(x) over w as a, mean(n) over w, min(t) over w, first_value(x) over w \
     from t window w as (order by n desc rows between 100 preceding and 3 preceding)",
    "n, sum(x) over (order by n rows between 30 preceding and current row) as a, dense_rank() over (order by n), \
     row_number() over () as r from t qualify r % 3 = 0 and a > 0",
    // Its states are so large that no range begins with one.
    "approx_quantile(x, 0.5) over (order by n) as a from t",
];

#[test]
fn ranges_of_one_partition_side_by_side_are_what_one_thread_finds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    rows_of_partitions(&path, 40_000);
    let session = session(&scan_csv([&path]).unwrap());
    for sql in OF_ONE_PARTITION {
        let frame = session.sql(&format!("select {sql}")).unwrap();
        let one = Runner::new().threads(1).run::<_, DataFrame>(frame.clone()).unwrap();
        let expected = shown(&one.value);
        for threads in [2, 5] {
            let several = Runner::new().threads(threads).piece_bytes(9000).run::<_, DataFrame>(frame.clone()).unwrap();
            assert!(expected == shown(&several.value), "{threads} threads\n{sql}");
        }
    }
}

/// Rows of few and of many partitions, some of them long, in no order.
fn rows_of_partitions(path: &Path, rows: usize) {
    let mut random = Random::new(11);
    let mut text = String::from("k,few,n,x,t\n");
    for row in 0..rows {
        let k = if random.one_in(3) { 7 } else { random.below(9000) };
        let few = ["a", "", "a text that is longer than a head", "b"][random.below(4)];
        let (n, x) = (random.below(60), random.below(1 << 20) as f64 / 8.0);
        writeln!(text, "{k},{few},{n},{x},a text of some length number {row}").unwrap();
    }
    std::fs::write(path, text).unwrap();
}

/// Conditions on numbers of rows, and the same in words that tell a planner nothing.
const FIRST_ROWS: [(&str, &str, &str); 9] = [
    ("row_number() over (partition by few order by n)", "r <= 3", "r + 0 <= 3"),
    ("row_number() over (partition by k order by x desc)", "r = 1", "r + 0 = 1"),
    ("row_number() over (partition by few, k order by n, x)", "r < 3", "r + 0 < 3"),
    ("row_number() over (partition by few order by n desc nulls first)", "r <= 2000", "r + 0 <= 2000"),
    ("row_number() over (order by n)", "r between 3 and 5", "r + 0 between 3 and 5"),
    ("rank() over (partition by few order by n)", "r <= 900", "r + 0 <= 900"),
    ("rank() over (partition by k order by n)", "r in (1, 2)", "r + 0 in (1, 2)"),
    ("rank() over (order by n desc)", "2 > r", "2 > r + 0"),
    ("row_number() over (partition by few order by n)", "r < 1", "r + 0 < 1"),
];

#[test]
fn first_rows_of_partitions_are_those_of_a_sort_of_all() {
    const ROWS: usize = 40_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    rows_of_partitions(&path, ROWS);
    let session = session(&scan_csv([&path]).unwrap());
    for (number, first, plain) in FIRST_ROWS {
        let ask = |condition: &str| {
            let (_, over) = number.split_once(" over ").unwrap();
            session.sql(&format!("select *, {number} as r, lag(t) over {over} from t qualify {condition}")).unwrap()
        };
        let (first, plain) = (ask(first), ask(plain));
        let (explained, unexplained) = (first.explain().unwrap(), plain.explain().unwrap());
        assert!(explained.contains(", first ") && !unexplained.contains(", first "), "{explained}");
        let all = Runner::new().threads(1).run::<_, DataFrame>(plain).unwrap();
        let expected = shown(&all.value);
        for (threads, piece) in [(1, 1 << 20), (3, 9000)] {
            let runner = Runner::new().threads(threads).piece_bytes(piece);
            let run = runner.run::<_, DataFrame>(first.clone()).unwrap();
            assert!(expected == shown(&run.value), "{number}, {threads} threads");
            let (again, _) = scarce(&first, runner, run.statistics.least_memory_bytes);
            assert!(expected == shown(&again), "{number}, in little memory");
        }
    }
}

#[test]
fn of_long_partitions_only_the_first_rows_are_held() {
    const ROWS: usize = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    rows_of_partitions(&path, ROWS);
    let session = session(&scan_csv([&path]).unwrap());
    let held = |sql: &str| {
        let budget = Budget::new(6 << 20);
        let runner = Runner::new().threads(2).piece_bytes(20_000).budget(budget.clone());
        let run = runner.run::<_, DataFrame>(session.sql(sql).unwrap()).unwrap();
        assert!(budget.peak_bytes() <= budget.limit_bytes());
        (run.value.rows(), run.statistics.bytes_spilled)
    };
    let number = "row_number() over (partition by few order by n) as r from t qualify r";
    let ((first, few), (all, most)) =
        (held(&format!("select *, {number} <= 5")), held(&format!("select *, {number} + 0 <= 5")));
    assert_eq!((first, all), (20, 20));
    assert!(20 * few < most, "{few} and {most} bytes went to disk");
}

#[test]
fn windows_of_one_order_share_a_sort_and_read_only_what_they_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, "a,b,c,d\n1,2,3,4\n").unwrap();
    let session = session(&scan_csv([&path]).unwrap());
    let sql = "select rank() over (partition by a order by b) as r, sum(b) over (partition by a), lag(b) over (partition by a order by b) from t";
    let text = session.sql(sql).unwrap().explain().unwrap();
    assert!(text.contains("columns: 2 of 4: a, b") && text.contains("sort by 2 keys, 3 window functions"), "{text}");
    assert_eq!(text.matches("window function").count(), 1, "{text}");
    let several = session.sql("select count(*) over (order by a), rank() over (order by b) from t").unwrap();
    assert_eq!(several.explain().unwrap().matches("1 window function").count(), 2);
}
