//! Random tables and random queries about them, of what both engines mean the same by.

/// Random numbers: SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    /// Up to `most` of the choices, each once, at least one.
    fn some<'a>(&mut self, choices: &[&'a str], most: usize) -> Vec<&'a str> {
        let mut left = choices.to_vec();
        let count = 1 + self.below(most.min(left.len()));
        (0..count).map(|_| left.remove(self.below(left.len()))).collect()
    }
}

/// The columns of every table, with their types in both engines.
pub(crate) const COLUMNS: [(&str, &str, &str); 6] = [
    ("id", "int64", "bigint"),
    ("a", "int64", "bigint"),
    ("b", "int64", "bigint"),
    ("x", "float64", "double"),
    ("s", "utf8", "varchar"),
    ("d", "date", "date"),
];

/// The rows of a table, as they stand behind `values`.
pub(crate) fn rows(random: &mut Random) -> String {
    let count = 1 + random.below(40);
    let rows = (0..count).map(|id| {
        let mut or_null = |text: String| if random.chance(12) { "null".to_owned() } else { text };
        let (a, b) = (or_null(String::new()), or_null(String::new()));
        let (x, s, d) = (or_null(String::new()), or_null(String::new()), or_null(String::new()));
        let fill = |empty: String, text: String| if empty.is_empty() { text } else { empty };
        let words = ["ab", "a", "b1", "xyz", "Ab", "a1b2", "zz", "", "10", "é"];
        let a = fill(a, random.below(6).to_string());
        let b = fill(b, (random.below(100) as i64 - 20).to_string());
        let x = fill(x, format!("{}", (random.below(400) as f64 - 100.0) / 8.0));
        let s = fill(s, format!("'{}'", words[random.below(words.len())]));
        let d = fill(
            d,
            format!("date '{}-{:02}-{:02}'", 1999 + random.below(3), 1 + random.below(12), 1 + random.below(28)),
        );
        format!("({id}, {a}, {b}, {x}, {s}, {d})")
    });
    rows.collect::<Vec<_>>().join(", ")
}

/// A number of a row of the table `t`.
fn number(random: &mut Random, t: &str) -> String {
    let column = format!("{t}.{}", random.pick(&["id", "a", "b"]));
    match random.below(15) {
        12 => format!("cast({t}.x as decimal(9, 3))"),
        13 => format!("cast({t}.b / 7.3 as decimal({}, 2))", random.pick(&["9", "18"])),
        10 => format!("strpos({t}.s, '{}')", random.pick(&["b", "1", "zz"])),
        11 => format!("day(last_day({t}.d))"),
        0 => format!("{column} + {}", random.below(5)),
        1 => format!("{column} * {t}.a"),
        2 => format!("abs({t}.b)"),
        3 => format!("coalesce({t}.a, {t}.b, -1)"),
        4 => format!("length({t}.s)"),
        5 => format!("case when {} then {column} else {t}.id end", condition(random, t)),
        6 => format!("year({t}.d) * 100 + month({t}.d)"),
        7 => format!(
            "date_diff('{}', {t}.d, date '2000-02-29')",
            random.pick(&["year", "quarter", "month", "week", "day"])
        ),
        8 => format!("greatest({t}.a, {t}.b)"),
        9 => format!("nullif({t}.a, {})", random.below(4)),
        _ => column,
    }
}

fn text(random: &mut Random, t: &str) -> String {
    match random.below(20) {
        15 => format!("{}({t}.s, '{}')", random.pick(&["trim", "ltrim", "rtrim"]), random.pick(&["a", "ab", "zx1"])),
        16 => format!("trim({} 'a' from {t}.s)", random.pick(&["both", "leading", "trailing"])),
        17 => format!("concat_ws('{}', {t}.s, {t}.a, 'z', {t}.s)", random.pick(&["-", "", ", "])),
        18 => format!("substring({t}.s from {} for {})", 1 + random.below(3), random.below(4)),
        9 => format!("lpad({t}.s, {}, 'xy')", random.below(6)),
        10 => format!("split_part({t}.s, '{}', {})", random.pick(&["b", "1"]), 1 + random.below(3)),
        11 => format!("strftime({t}.d, '{}')", random.pick(&["%Y-%m", "%d/%m/%y %H", "%j %A %B", "%a %b %u %w"])),
        12 => format!("concat({t}.s, '-', {t}.a)"),
        13 => format!("reverse({t}.s) || left({t}.s, 1) || right({t}.s, 2)"),
        14 => format!("dayname({t}.d) || rpad({t}.s, 4, '.')"),
        0 => format!("upper({t}.s)"),
        1 => format!("{t}.s || '-' || {t}.s"),
        2 => format!("substring({t}.s, 1, 2)"),
        3 => format!("regexp_replace({t}.s, '{}', '<\\0>'{})", random.pick(PATTERNS), random.pick(&["", ", 'g'"])),
        4 => format!("regexp_extract({t}.s, '([a-z])([0-9])', {})", random.below(3)),
        5 => format!("replace({t}.s, 'a', 'aa')"),
        6 => format!("coalesce({t}.s, 'none')"),
        _ => format!("{t}.s"),
    }
}

const PATTERNS: &[&str] = &["[0-9]+", "^a", "b$", "a|z", "[A-Z]", "(a)(b)?", ".", "^$"];

fn date(random: &mut Random, t: &str) -> String {
    match random.below(5) {
        0 => format!("{t}.d + interval {} month", random.below(30)),
        1 => format!("{t}.d - interval '{} day'", random.below(400)),
        2 => format!("date_trunc('{}', {t}.d)", random.pick(&["year", "quarter", "month", "week"])),
        3 => format!("{t}.d + interval 1 year"),
        _ => format!("{t}.d"),
    }
}

fn value(random: &mut Random, t: &str) -> String {
    match random.below(4) {
        0 => text(random, t),
        1 => date(random, t),
        2 => format!("{t}.x"),
        _ => number(random, t),
    }
}

pub(crate) fn condition(random: &mut Random, t: &str) -> String {
    let compared = |random: &mut Random| random.pick(&["=", "<>", "<", "<=", ">", ">="]);
    match random.below(13) {
        11 => format!(
            "{t}.s {}similar to '{}'",
            random.pick(&["", "not "]),
            random.pick(&["a.*", ".*[0-9]", "(a|b)+1?", "[A-Z].*", ".{2}", ""])
        ),
        0 => format!("{t}.a {} {}", compared(random), random.below(6)),
        1 => format!("{t}.b {} {t}.id", compared(random)),
        2 => format!("{t}.s {} 'b'", compared(random)),
        3 => format!("{t}.s like '{}'", random.pick(&["a%", "%b", "_b%", "%1%"])),
        4 => format!("{t}.{} is {}null", random.pick(&["a", "x", "s", "d"]), random.pick(&["", "not "])),
        5 => format!("{t}.a {}in ({}, {}, 9)", random.pick(&["", "not "]), random.below(6), random.below(6)),
        6 => format!("regexp_matches({t}.s, '{}')", random.pick(PATTERNS)),
        7 => format!("{t}.d {} date '2000-06-15'", compared(random)),
        8 => format!("{t}.b between {} and {}", random.below(20), 20 + random.below(60)),
        9 => format!("({} and {})", condition(random, t), condition(random, t)),
        10 => format!("({} or {})", condition(random, t), condition(random, t)),
        _ => format!("not ({})", condition(random, t)),
    }
}

fn aggregate(random: &mut Random, t: &str) -> String {
    let filter = if random.chance(20) { format!(" filter (where {})", condition(random, t)) } else { String::new() };
    let call = match random.below(16) {
        12 => format!("sum(distinct {t}.b)"),
        13 => format!("avg(distinct {t}.a)"),
        14 => format!("string_agg(distinct {t}.s, '+' order by {t}.s)"),
        0 | 1 => "count(*)".to_owned(),
        2 => format!("count({})", value(random, t)),
        3 => format!("sum({t}.{})", random.pick(&["a", "b", "x"])),
        4 => format!("avg({t}.{})", random.pick(&["a", "b", "x"])),
        5 => format!("min({})", value(random, t)),
        6 => format!("max({})", value(random, t)),
        7 => format!("count(distinct {})", value(random, t)),
        8 => format!("median({t}.{})", random.pick(&["a", "b", "x"])),
        9 => format!("string_agg({t}.s, ',' order by {t}.b desc, {t}.id)"),
        10 => format!("stddev_samp({t}.b)"),
        11 => format!("quantile_cont({t}.b, 0.25)"),
        _ => format!("string_agg({t}.s, '' order by {t}.s, {t}.id desc)"),
    };
    format!("{call}{filter}")
}

/// Where the file of [`file`] stands in queries.
pub(crate) const FILE: &str = "FILE";

/// A CSV file with a header, of which values are missing where `-` stands.
pub(crate) fn file(random: &mut Random) -> String {
    let mut text = String::from("id|a|x|s\n");
    for id in 0..1 + random.below(30) {
        let mut or_missing = |text: String| if random.chance(12) { "-".to_owned() } else { text };
        let (a, x) = (or_missing(String::new()), or_missing(String::new()));
        let a = if a.is_empty() { random.below(9).to_string() } else { a };
        let x = if x.is_empty() { format!("{:.3}", random.below(400) as f64 / 8.0) } else { x };
        let s = random.pick(&["ab", "a b", "\"x|y\"", "\"say \"\"so\"\"\"", "-", "zz", "10"]);
        text.push_str(&format!("{id}|{a}|{x}|{s}\n"));
    }
    text
}

/// A query about the file, read with options.
fn from_file(random: &mut Random) -> String {
    let separator = random.pick(&["delim", "sep"]);
    let types = "{'id': 'bigint', 'a': 'bigint', 'x': 'double', 's': 'varchar'}";
    let how = match random.below(5) {
        0 => format!("header = true, columns = {types}"),
        1 => format!("header = false, skip = 1, columns = {types}"),
        2 => "header = true, all_varchar = true".to_owned(),
        3 => "header = true, types = {'a': 'double', 's': 'varchar'}".to_owned(),
        _ => "header = false, skip = 1, names = ['id', 'a', 'x', 's'], types = {'s': 'varchar'}".to_owned(),
    };
    let read = format!("read_csv('{FILE}', {separator} = '|', nullstr = '-', quote = '\"', {how})");
    let columns =
        random.pick(&["id, a, x, s", "count(*), count(a), count(s), min(s), max(s)", "s, count(*), count(x)"]);
    let by = if columns.starts_with("s,") { " group by s" } else { "" };
    let asked = random.pick(&["", " where s <> 'zz'", " where s is not null", " where length(s) > 2"]);
    format!("select {columns} from {read}{asked}{by}")
}

/// A query, and whether the order of its rows is part of the answer.
pub(crate) fn query(random: &mut Random) -> (String, bool) {
    match random.below(10) {
        9 => (from_file(random), false),
        8 => (windowed(random), false),
        0 => selection(random),
        1 | 2 => (grouped(random, "t"), false),
        3 => (sets(random), false),
        4 => (operation(random), false),
        5 => (joined(random), false),
        6 => (nested(random), false),
        _ => {
            let inner = grouped(random, "t");
            (format!("with q as ({inner}) select count(*), count(distinct q.c0), min(q.c0) from q"), false)
        }
    }
}

fn selection(random: &mut Random) -> (String, bool) {
    let columns: Vec<String> = (0..1 + random.below(4)).map(|_| value(random, "t")).collect();
    let order = random.pick(&["t.id", "t.a desc, t.id", "t.s, t.x desc, t.id", "t.d nulls first, t.id desc"]);
    let limit = if random.chance(50) {
        format!(" limit {} offset {}", random.below(9), random.below(4))
    } else {
        String::new()
    };
    let text = format!("select {} from t where {} order by {order}{limit}", columns.join(", "), condition(random, "t"));
    (text, true)
}

const KEYS: &[&str] = &["t.a", "t.s", "year(t.d)", "t.b > 20", "t.a + 1", "length(t.s)"];

fn grouped(random: &mut Random, t: &str) -> String {
    let keys = random.some(KEYS, 2);
    let mut columns: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    columns.extend((0..1 + random.below(3)).map(|_| aggregate(random, t)));
    let columns: Vec<String> = columns.iter().enumerate().map(|(at, column)| format!("{column} as c{at}")).collect();
    let having = if random.chance(30) { format!(" having count(*) > {}", random.below(3)) } else { String::new() };
    format!("select {} from t where {} group by {}{having}", columns.join(", "), condition(random, t), keys.join(", "))
}

/// Grouping sets.
fn sets(random: &mut Random) -> String {
    let keys = random.some(KEYS, 3);
    let list = keys.join(", ");
    let by = match random.below(4) {
        0 => format!("rollup ({list})"),
        1 => format!("cube ({list})"),
        2 => format!("grouping sets (({list}), ({}), ())", keys[0]),
        _ => format!("{}, rollup ({list})", keys[keys.len() - 1]),
    };
    let mut columns: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    columns.push(format!("grouping({list})"));
    columns.extend((0..1 + random.below(2)).map(|_| aggregate(random, "t")));
    let having = if random.chance(20) { " having count(*) > 1" } else { "" };
    format!("select {} from t where {} group by {by}{having}", columns.join(", "), condition(random, "t"))
}

fn operation(random: &mut Random) -> String {
    let columns = random.pick(&["a, s", "s", "a", "a, b > 10", "d", "a, x"]);
    let side = |random: &mut Random| {
        let table = random.pick(&["t", "t", "u"]);
        format!("select {columns} from {table} where {}", condition(random, table))
    };
    let operator = |random: &mut Random| {
        random.pick(&["union", "union all", "union all by name", "intersect", "intersect all", "except", "except all"])
    };
    let (first, second) = (side(random), side(random));
    let two = format!("{first} {} {second}", operator(random));
    if random.chance(40) { format!("({two}) {} {}", operator(random), side(random)) } else { two }
}

/// Aggregates over frames of rows, of groups of peers and of lengths of time.
fn windowed(random: &mut Random) -> String {
    let call = random.pick(&[
        "count(*)",
        "count(t.x)",
        "sum(t.b)",
        "min(t.s)",
        "max(t.a)",
        "max(t.id)",
        "count(distinct t.a)",
        "count(distinct t.s)",
        "median(t.b)",
        "quantile_disc(t.b, 0.25)",
    ]);
    let partition = random.pick(&["", "partition by t.a ", "partition by t.s "]);
    let (unit, order, [near, far]) = match random.below(4) {
        0 => ("rows", "t.a, t.id desc", ["1", "3"]),
        1 => ("range", random.pick(&["t.b", "t.b desc"]), ["2", "30"]),
        2 => ("range", random.pick(&["t.d", "t.d desc nulls first"]), ["interval 20 day", "interval '3 months'"]),
        _ => ("groups", random.pick(&["t.a", "t.s desc", "t.d nulls first"]), ["1", "3"]),
    };
    let bounds = [
        "unbounded preceding".to_owned(),
        format!("{far} preceding"),
        format!("{near} preceding"),
        "current row".to_owned(),
        format!("{near} following"),
        format!("{far} following"),
        "unbounded following".to_owned(),
    ];
    let start = random.below(bounds.len() - 1);
    let end = start.max(1) + random.below(bounds.len() - start.max(1));
    let frame = format!("{unit} between {} and {}", bounds[start], bounds[end]);
    format!("select t.id, {call} over ({partition}order by {order} {frame}) from t where {}", condition(random, "t"))
}

fn joined(random: &mut Random) -> String {
    let kind = random.pick(&["join", "left join", "right join", "full join", "semi join", "anti join"]);
    let on = random.pick(&["t.a = u.a", "t.a = u.a and t.s = u.s", "t.id = u.id", "t.s = u.s", "t.a + 1 = u.a"]);
    let beside = match random.below(6) {
        0 => format!("{on} and {}", of_pairs(random)),
        1 => format!("{on} and {} and {}", of_pairs(random), condition(random, "u")),
        2 => of_pairs(random),
        _ => on.to_owned(),
    };
    let shows_both = !matches!(kind, "semi join" | "anti join");
    let columns = if shows_both { "t.id, u.id, t.a, u.s" } else { "t.id, t.a, t.s" };
    let asked = if shows_both && random.chance(50) { "u" } else { "t" };
    format!("select {columns} from t {kind} u on {beside} where {}", condition(random, asked))
}

/// A condition on a row of each table.
fn of_pairs(random: &mut Random) -> String {
    let compared = random.pick(&["<>", "<", "<=", ">", ">="]);
    match random.below(4) {
        0 => format!("t.b {compared} u.b"),
        1 => format!("(t.s {compared} u.s or t.a is null)"),
        2 => format!("t.a + u.a {compared} {}", random.below(12)),
        _ => format!("t.id between u.id and u.id + {}", random.below(9)),
    }
}

/// Queries in expressions.
fn nested(random: &mut Random) -> String {
    let asked = condition(random, "t");
    match random.below(15) {
        10 => format!(
            "select t.id, t.{0} {1} {2} (select u.{0} from u where {3}) from t",
            random.pick(&["a", "b", "s", "d"]),
            random.pick(&["=", "<>", "<", "<=", ">", ">="]),
            random.pick(&["any", "all"]),
            condition(random, "u")
        ),
        11 => format!(
            "select t.id from t where (t.a, t.s) in (select u.a, u.s from u where {}) and {asked}",
            condition(random, "u")
        ),
        12 => format!(
            "select distinct on ({0}) {0}, t.id from t where {asked} order by {0}, t.id desc",
            random.pick(KEYS)
        ),
        4 => format!("select t.id, t.a in (select u.a from u where {}) from t", condition(random, "u")),
        5 => format!("select t.id from t where {asked} or t.s not in (select u.s from u where u.s <> 'a')"),
        6 => format!(
            "select t.id from t where {}exists (select 1 from u where u.a = t.a and {})",
            random.pick(&["", "not "]),
            condition(random, "u")
        ),
        13 => format!(
            "select t.id from t where {}exists (select 1 from u where {} and {}) and {asked}",
            random.pick(&["", "not "]),
            of_pairs(random),
            condition(random, "u")
        ),
        14 => format!(
            "select t.id from t where t.s in (select u.s from u where u.a = t.a and {}) and {asked}",
            of_pairs(random)
        ),
        7 => format!(
            "select t.id, (select {} from u where u.a = t.a) from t where {asked}",
            random.pick(&["count(*)", "max(u.b)", "coalesce(sum(u.b), -1) + count(u.x)"])
        ),
        8 => "select t.a, sum(t.b) from t group by t.a having sum(t.b) > (select sum(u.b) from u where u.a = t.a)"
            .to_owned(),
        0 => format!(
            "select t.id from t where t.b > (select avg(u.b) from u where {}) and {asked}",
            condition(random, "u")
        ),
        1 => {
            format!("select t.id from t where t.a in (select u.a from u where {}) and {asked}", condition(random, "u"))
        }
        2 => format!(
            "select t.id from t where t.a not in (select u.a from u where {}) and {asked}",
            condition(random, "u")
        ),
        3 => format!("select t.id from t where exists (select 1 from u where {}) and {asked}", condition(random, "u")),
        _ => format!(
            "select t.a, count(*), (select max(u.b) from u) from t where {asked} group by t.a having sum(t.b) > (select min(u.b) from u)"
        ),
    }
}
