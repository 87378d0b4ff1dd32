//! One grammar: what stands in a question means what it means in a statement. Each case is asked of a table both ways, random ones
//! of random tables among them. `OUTCROP_TEST_SEED=N` begins with another seed; a failure names the seed of its case.

mod common;

use common::Random;
use outcrop::arrow::util::display::{ArrayFormatter, FormatOptions};
use outcrop::error::ErrorKind;
use outcrop::frame::{DataFrame, LazyFrame, Run, Runner, compute, scan_csv};
use outcrop::sql::{Session, Tables, expr, parse_expr, parse_question};

const CASES: u64 = 400;

/// The rows of an answer, in their order.
fn rows(frame: &DataFrame) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let mut found = Vec::new();
    for batch in frame.batches() {
        let batch = batch.unwrap();
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        let row = |at| columns.iter().map(|column| column.value(at).to_string()).collect::<Vec<_>>().join(" ");
        found.extend((0..batch.num_rows()).map(row));
    }
    found
}

/// Tables `t`, `u` and `e`, which has no rows.
fn tables(random: &mut Random) -> Session {
    let or_null = |random: &mut Random, text: String| if random.one_in(8) { "null".to_owned() } else { text };
    let keys = ["'a'", "'b'", "'b c'", "''"];
    let rows_of_t: Vec<String> = (0..2 + random.below(40))
        .map(|id| {
            let k = keys[random.below(4)].to_owned();
            let (k, g) = (or_null(random, k), random.below(4).to_string());
            let (v, x) = ((random.below(30) as i64 - 9).to_string(), random.below(90) as f64 / 8.0 - 2.0);
            let (v, x) = (or_null(random, v), or_null(random, x.to_string()));
            format!("({id}, {k}, {}, {v}, {x})", or_null(random, g))
        })
        .collect();
    let rows_of_u: Vec<String> = (0..1 + random.below(9))
        .map(|_| {
            let k = keys[random.below(4)].to_owned();
            let n = (random.below(20) as i64 - 5).to_string();
            format!("({}, {}, {})", or_null(random, k), or_null(random, n), random.below(50))
        })
        .collect();
    let view = |name: &str, columns: &[&str], rows: &[String]| {
        let columns: Vec<_> = columns.iter().enumerate().map(|(at, name)| format!("col{at} as {name}")).collect();
        format!("create temp view {name} as select {} from (values {});", columns.join(", "), rows.join(", "))
    };
    let mut session = Session::new();
    session.run(&view("t", &["id", "k", "g", "v", "x"], &rows_of_t)).unwrap();
    session.run(&view("u", &["uk", "un", "uw"], &rows_of_u)).unwrap();
    session.run("create temp view e as select * from u where uw < 0").unwrap();
    session
}

fn pick<'a>(random: &mut Random, choices: &[&'a str]) -> &'a str {
    choices[random.below(choices.len())]
}

/// A number of a row.
fn number(random: &mut Random, depth: usize) -> String {
    if depth > 2 {
        return pick(random, &["id", "g", "v", "x"]).to_owned();
    }
    let mut inner = || number(random, depth + 1);
    let (a, b) = (inner(), inner());
    match random.below(9) {
        0 => format!("{a} + {b}"),
        1 => format!("coalesce({a}, {b})"),
        2 => format!("case when {} then {a} else {b} end", condition(random, depth + 1)),
        3 => "length(k)".to_owned(),
        4 => pick(
            random,
            &[
                "(select max(un) from u)",
                "(select sum(uw) from u where uk = k)",
                "(select count(*) from u where uk = k and uw > 9)",
                "(select un from u order by uw desc, un limit 1)",
                "(with w as (select uw * 2 as y from u) select min(y) from w)",
                "(select count(*) from e)",
                "(select uw from e)",
            ],
        )
        .to_owned(),
        _ => pick(random, &["id", "g", "v", "x"]).to_owned(),
    }
}

/// A condition of a row.
fn condition(random: &mut Random, depth: usize) -> String {
    let a = number(random, depth + 1);
    match random.below(11) {
        0 => format!("{a} in (select un from u)"),
        1 => format!("{a} not in (select uw from u where uw is not null)"),
        2 => format!("{a} > any (select un from u)"),
        3 => format!("{a} <= all (select un from {})", pick(random, &["u", "e"])),
        4 => pick(
            random,
            &["exists (select 1 from u where uk = k)", "not exists (select * from u where uk = k and un > 3)"],
        )
        .to_owned(),
        5 => format!("({a} > 3) is not true"),
        6 => format!("{a} = any ([1, 2, 5])"),
        7 => format!("{a} is distinct from {}", number(random, depth + 1)),
        8 => "k in ('a', 'b')".to_owned(),
        _ => format!("{a} {} {}", pick(random, &["<", ">=", "<>", "="]), number(random, depth + 1)),
    }
}

fn order(random: &mut Random, keys: &[String]) -> String {
    let count = 1 + random.below(2);
    let key = |random: &mut Random| {
        let (key, way) = (keys[random.below(keys.len())].clone(), pick(random, &["", " desc", " asc"]));
        format!("{key}{way}{}", pick(random, &["", "", " nulls first", " nulls last"]))
    };
    (0..count).map(|_| key(random)).collect::<Vec<_>>().join(", ")
}

/// A window function over rows or groups, of `values` and `keys`.
fn window(random: &mut Random, values: &[String], keys: &[String]) -> String {
    let value = values[random.below(values.len())].clone();
    let partition = match random.below(3) {
        0 => String::new(),
        _ => format!("partition by {} ", keys[random.below(keys.len())]),
    };
    let all: Vec<String> = values.iter().chain(keys).cloned().collect();
    let ordered = |random: &mut Random| format!("order by {}", order(random, &all));
    let frame = |random: &mut Random| {
        pick(
            random,
            &[
                "",
                " rows between 2 preceding and current row",
                " rows between unbounded preceding and 1 following",
                " groups between 1 preceding and 1 following",
                " range between unbounded preceding and current row",
                " rows 3 preceding exclude no others",
            ],
        )
    };
    match random.below(9) {
        0 => format!("{} over ({partition}{})", pick(random, &["row_number()", "rank()", "ntile(3)"]), ordered(random)),
        1 => format!("{} over ({partition}{})", pick(random, &["dense_rank()", "cume_dist()"]), ordered(random)),
        2 => format!("lag({value}) over ({partition}{})", ordered(random)),
        3 => format!("lead({value}, 2, 0) over ({partition}{})", ordered(random)),
        4 => {
            let call = match random.below(4) {
                0 => format!("first_value({value} ignore nulls)"),
                1 => format!("last_value({value} respect nulls)"),
                2 => format!("lag({value}) ignore nulls"),
                _ => format!("nth_value({value}, 2)"),
            };
            format!("{call} over ({partition}{})", ordered(random))
        }
        5 => format!("{value} - avg({value}) over ({partition})"),
        6 => format!("sum({value}) over ({partition}{}{})", ordered(random), frame(random)),
        7 => format!("count(*) filter (where {value} > 1) over ({partition}{}{})", ordered(random), frame(random)),
        _ => format!("{}({value}) over ({partition})", pick(random, &["max", "median", "count"])),
    }
}

/// The clauses of a question, and what of them differs in a statement.
#[derive(Default)]
struct Asked {
    items: Vec<String>,
    keys: Vec<String>,
    clauses: Vec<(&'static str, &'static str, String)>,
}

impl Asked {
    fn question(&self) -> String {
        let mut text = self.items.join(", ");
        self.clauses.iter().for_each(|(word, _, rest)| text.push_str(&format!(" {word} {rest}")));
        text
    }

    /// In the order that SQL has; keys stand first in the select list.
    fn statement(&self) -> String {
        let mut text = format!("select {} from t", self.items.join(", "));
        for wanted in ["where", "group by", "having", "qualify", "order by", "limit"] {
            let clause = self.clauses.iter().find(|(_, word, _)| *word == wanted);
            text.extend(clause.map(|(_, word, rest)| format!(" {word} {rest}")));
        }
        text
    }
}

fn random_case(random: &mut Random) -> Asked {
    let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut asked = Asked::default();
    if random.one_in(3) {
        let condition = condition(random, 0);
        let more = match random.below(6) {
            0 => " and id in (select uw from u)",
            1 => " and (k, v) not in (select uk, un from u)",
            _ => "",
        };
        asked.clauses.push(("where", "where", format!("{condition}{more}")));
    }
    let (values, keys) = if random.one_in(2) {
        asked.keys = if random.one_in(3) { text(&["k", "g"]) } else { text(&[pick(random, &["k", "g"])]) };
        asked.items = asked.keys.clone();
        asked.clauses.push(("by", "group by", asked.keys.join(", ")));
        let values = text(&[
            "count(*)",
            "sum(v)",
            "max(x)",
            "percentile_cont(0.5) within group (order by v)",
            "string_agg(k, '-' order by id desc nulls first)",
            "sum(v) filter (where g > 1)",
            "first(v order by x desc nulls first, id)",
            "sum(case when v in (select un from u) then 1 else 0 end)",
        ]);
        let count = 1 + random.below(3);
        asked.items.extend((0..count).map(|at| format!("{} as a{at}", values[random.below(values.len())])));
        if random.one_in(3) {
            let having =
                pick(random, &["count(*) > 1", "count(*) in (select un from u)", "sum(v) >= any (select un from u)"]);
            asked.clauses.push(("having", "having", having.to_owned()));
        }
        (text(&["count(*)", "sum(v)", "max(x)"]), asked.keys.clone())
    } else {
        asked.items = text(&["id", "k", "v"]);
        asked.items.push(format!("{} as a0", number(random, 0)));
        (text(&["v", "x", "id", "g"]), text(&["k", "g"]))
    };
    let count = random.below(3);
    asked.items.extend((0..count).map(|at| format!("{} as w{at}", window(random, &values, &keys))));
    if count > 0 && random.one_in(2) {
        let known = random.below(count);
        asked.items.push(format!("w{known} is null as missing"));
        let condition = format!("w{known} {} {}", pick(random, &["<=", ">", "<>"]), random.below(4));
        asked.clauses.push(("qualify", "qualify", condition));
    } else if random.one_in(3) {
        asked.clauses.push(("qualify", "qualify", format!("{} >= 1", window(random, &values, &keys))));
    }
    if random.one_in(2) {
        let last = if asked.keys.is_empty() { "id".to_owned() } else { asked.keys.join(", ") };
        let by = order(random, &[values, keys].concat());
        asked.clauses.push(("sort", "order by", format!("{by}, {last}")));
        if random.one_in(3) {
            asked.clauses.push(("limit", "limit", (1 + random.below(5)).to_string()));
        }
    }
    // Clauses of questions come in any order.
    for at in (1..asked.clauses.len()).rev() {
        let other = random.below(at + 1);
        asked.clauses.swap(at, other);
    }
    asked
}

fn answer(frame: outcrop::Result<LazyFrame>, text: &str, seed: u64) -> Result<Vec<String>, String> {
    let frame = frame.map_err(|error| error.message().to_owned())?;
    let answer: outcrop::Result<DataFrame> = Runner::new().threads(1 + (seed % 3) as usize).compute(frame);
    let answer = answer.map_err(|error| error.message().to_owned())?;
    assert!(answer.rows() < 1000, "{text}");
    Ok(rows(&answer))
}

#[test]
fn random_questions_are_answered_as_statements_are() {
    let first = Random::seed_of_run();
    let (mut answered, mut refused) = (0, 0);
    for seed in (0..CASES).map(|at| first.wrapping_add(at)) {
        let mut random = Random::new(seed);
        let session = tables(&mut random);
        let asked = random_case(&mut random);
        let (question, statement) = (asked.question(), asked.statement());
        let (ours, theirs) = (session.ask("t", &question), session.sql(&statement));
        match (answer(ours, &question, seed), answer(theirs, &statement, seed)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(ours, theirs, "OUTCROP_TEST_SEED={seed}\n{question}\n{statement}");
                answered += 1;
            }
            (Err(_), Err(_)) => refused += 1,
            (ours, theirs) => {
                panic!("OUTCROP_TEST_SEED={seed}\n{question}\n{ours:?}\n{statement}\n{theirs:?}")
            }
        }
    }
    assert!(answered > CASES * 3 / 4, "OUTCROP_TEST_SEED={first}: {answered} answered, {refused} refused");
}

/// The question with a few of its words left out, doubled or in other places.
fn mangled(random: &mut Random, question: &str) -> String {
    let mut words: Vec<&str> = question.split_inclusive([' ', '(', ')', ',']).collect();
    for _ in 0..1 + random.below(3) {
        let (at, other) = (random.below(words.len()), random.below(words.len()));
        match random.below(3) {
            0 if words.len() > 1 => drop(words.remove(at)),
            1 => words.insert(other, words[at]),
            _ => words.swap(at, other),
        }
    }
    words.concat()
}

#[test]
fn wrong_questions_neither_panic_nor_tell_names_of_plans() {
    let first = Random::seed_of_run();
    let mut refused = 0;
    for seed in (0..2 * CASES).map(|at| first.wrapping_add(at)) {
        let mut random = Random::new(seed);
        let session = tables(&mut random);
        let asked = random_case(&mut random).question();
        let question = mangled(&mut random, &asked);
        let Err(error) = session.ask("t", &question).and_then(|frame| frame.collect()) else { continue };
        refused += 1;
        let told = error.to_string();
        assert_ne!(error.kind(), ErrorKind::Internal, "OUTCROP_TEST_SEED={seed}\n{told}");
        let names = ["value of query", "of the block", "of the groups", "(aggregate ", "(key "];
        assert!(!names.iter().any(|name| told.contains(name)), "OUTCROP_TEST_SEED={seed}\n{told}");
    }
    assert!(refused > CASES / 2, "{refused}");
}

/// Questions, and statements with the same answers.
const SAME: [(&str, &str); 39] = [
    (
        "id, row_number() over (order by v desc nulls first, id) as r",
        "select id, row_number() over (order by v desc nulls first, id) as r from t",
    ),
    (
        "* qualify row_number() over (partition by k order by v, id) = 1",
        "select * from t qualify row_number() over (partition by k order by v, id) = 1",
    ),
    (
        "distinct k, max(v) over (partition by k) as most",
        "select distinct k, max(v) over (partition by k) as most from t order by k",
    ),
    ("id, v sort v nulls first, id limit 4", "select id, v from t order by v nulls first, id limit 4"),
    (
        "k, sum(v) as s, s - lag(s) over (order by k) as d by k",
        "select k, sum(v) as s, s - lag(s) over (order by k) as d from t group by k",
    ),
    (
        "sum(v) by k qualify rank() over (order by sum(v) desc) <= 2",
        "select k, sum(v) from t group by k qualify rank() over (order by sum(v) desc) <= 2",
    ),
    (
        "sum(v) as s by g % 2 as half, k sort rank() over (partition by half order by s), half, k",
        "select g % 2 as half, k, sum(v) as s from t group by 1, 2 order by rank() over (partition by g % 2 order by sum(v)), half, k",
    ),
    ("count(*) as n where v > (select avg(v) from t)", "select count(*) as n from t where v > (select avg(v) from t)"),
    (
        "count(*) as n where v > (select avg(v) from self)",
        "select count(*) as n from t where v > (select avg(v) from t)",
    ),
    ("id where (k, v) in (select uk, un from u)", "select id from t where (k, v) in (select uk, un from u)"),
    (
        "id where v not in (select un from u where un is not null) and id > 1",
        "select id from t where v not in (select un from u where un is not null) and id > 1",
    ),
    ("id where v in (select un from u where uk = k)", "select id from t where v in (select un from u where uk = k)"),
    (
        "id where exists (select 1 from u where uk = k and un > v) and v > 0",
        "select id from t where exists (select 1 from u where uk = k and un > v) and v > 0",
    ),
    (
        "id where not exists (select 1 from u where uw > left.v + 3)",
        "select id from t where not exists (select 1 from u where uw > t.v + 3)",
    ),
    ("id where v in (select un from u where uw < id)", "select id from t where v in (select un from u where uw < id)"),
    (
        "id where not (exists (select 1 from u where uk = self.k and uw > left.v limit 1))",
        "select id from t where not (exists (select 1 from u where uk = t.k and uw > t.v limit 1))",
    ),
    ("id where exists (select 1 from u where un > 5)", "select id from t where exists (select 1 from u where un > 5)"),
    (
        "id where v in (select un from u where uk = left.k)",
        "select id from t where v in (select un from u where uk = t.k)",
    ),
    (
        "id, (select count(*) from u where uk = k) as n, n > 1 as many",
        "select id, (select count(*) from u where uk = k) as n, n > 1 as many from t",
    ),
    ("k where v in (from u select un)", "select k from t where v in (from u select un)"),
    ("id where id in (values (1), (3))", "select id from t where id in (values (1), (3))"),
    ("id where v = any (values (10), (5))", "select id from t where v = any (values (10), (5))"),
    ("id where v > any (from u select un)", "select id from t where v > any (from u select un)"),
    ("id where exists (values (1)) and id > 2", "select id from t where exists (values (1)) and id > 2"),
    (
        "id, v::decimal(10,2) as a, convert(decimal(10, 1), x) as b, try_convert(numeric(3), x) as c",
        "select id, v::decimal(10,2) as a, convert(decimal(10, 1), x) as b, try_convert(numeric(3), x) as c from t",
    ),
    (
        "current_date = today() as a, max(current_date - interval '1 day') as b where current_timestamp > date '2020-01-01' by k",
        "select k, current_date = today() as a, max(current_date - interval '1 day') as b from t where current_timestamp > date '2020-01-01' group by k",
    ),
    ("v in [10, 20] as m, id", "select v in [10, 20] as m, id from t"),
    (
        "count(*) as n by v in [1, 2] as m, g in [1, 2] as o",
        "select v in [1, 2] as m, g in [1, 2] as o, count(*) as n from t group by 1, 2",
    ),
    ("id sort v in [1, 2, 3], id", "select id from t order by v in [1, 2, 3], id"),
    ("id, v isnull as a where v notnull or k isnull", "select id, v isnull as a from t where v notnull or k isnull"),
    (
        "count(*) as n join u on k = uk and v in [1, 2, 3]",
        "select count(*) as n from t join u on k = uk and v in [1, 2, 3]",
    ),
    (
        "sum(v) as s by k having s > (select min(un) from u)",
        "select k, sum(v) as s from t group by k having sum(v) > (select min(un) from u)",
    ),
    ("k = 'a' as first, count(*) as n by k = 'a'", "select k = 'a' as first, count(*) as n from t group by k = 'a'"),
    (
        "id + 1 as next, next * 2 as twice, sum(next) over () as all_of_them",
        "select id + 1 as next, next * 2 as twice, sum(next) over () as all_of_them from t",
    ),
    (
        "k, uw, rank() over (partition by u.uk order by u.uw) as r join u on k = uk sort k, uw, r",
        "select k, uw, rank() over (partition by u.uk order by u.uw) as r from t join u on k = uk order by k, uw, r",
    ),
    (
        "percentile_cont(0.9) within group (order by v) as p, (sum(v) > 0) is true as up",
        "select percentile_cont(0.9) within group (order by v) as p, (sum(v) > 0) is true as up from t",
    ),
    (
        "first(v ignore nulls order by id) as f, list(k order by id desc) ignore nulls as l",
        "select first(v ignore nulls order by id) as f, list(k order by id desc) ignore nulls as l from t",
    ),
    (
        "id where (v > 3) is unknown or v = some (select un from u)",
        "select id from t where (v > 3) is unknown or v = some (select un from u)",
    ),
    (
        "sum(x) over (order by id range between 1.5 preceding and 1 following) as s, rows, range, groups",
        "select sum(x) over (order by id range between 1.5 preceding and 1 following) as s, id as rows, v as range, g as groups from t",
    ),
];

#[test]
fn forms_of_sql_mean_the_same_in_questions() {
    for seed in 0..20 {
        let mut session = tables(&mut Random::new(seed));
        let wide = session.sql("select *, id as rows, v as range, g as groups from t").unwrap();
        session.register("wide", wide);
        for (question, statement) in SAME {
            let table = if question.contains(", rows,") { "wide" } else { "t" };
            let ours = answer(session.ask(table, question), question, seed)
                .unwrap_or_else(|error| panic!("{question}: {error}"));
            let theirs =
                answer(session.sql(statement), statement, seed).unwrap_or_else(|error| panic!("{statement}: {error}"));
            assert_eq!(ours, theirs, "seed {seed}\n{question}\n{statement}");
        }
    }
}

#[test]
fn queries_of_questions_read_files_and_named_tables() {
    let air = scan_csv("testdata/airline/2001.csv.bz2").unwrap();
    let tables = Tables::new().with("carriers", scan_csv("testdata/airline/carriers.csv").unwrap());
    let asked = |question: &str| rows(&air.ask_with(question, &tables).unwrap().collect().unwrap());
    let wanted = asked("count(*) as n semi join carriers on UniqueCarrier = Code and Description like 'A%'");
    for file in ["'testdata/airline/carriers.csv'", "\"testdata/airline/carriers.csv\"", "carriers", "Carriers as c"] {
        let question =
            format!("count(*) as n where UniqueCarrier in (select code from {file} where Description like \"A%\")");
        assert_eq!(asked(&question), wanted, "{question}");
        let question = format!(
            "count(*) as n where exists (select 1 from {file} where Code = UniqueCarrier and Description like 'A%')"
        );
        assert_eq!(asked(&question), wanted, "{question}");
    }
    let read = "read_csv(\"testdata/airline/carriers.csv\", delim = ',')";
    assert_eq!(
        asked(&format!("count(*) as n where UniqueCarrier in (select Code from {read} where Description like 'A%')")),
        wanted
    );
    let named = Tables::new().with("self", scan_csv("testdata/airline/carriers.csv").unwrap());
    let question = "(select count(*) from self) as n limit 1";
    assert_eq!(
        rows(&air.ask_with(question, &named).unwrap().collect().unwrap()),
        ["1491"],
        "a table of that name is meant"
    );
    assert_eq!(asked("count(*) = (select count(*) from self) as same where Month > 3"), ["false"]);
}

#[test]
fn questions_with_windows_and_queries_share_the_pass_of_others() {
    let air = scan_csv("testdata/airline/200[1-3].csv.bz2").unwrap();
    let questions = [
        "count(*) by Year",
        "mean(ArrDelay) as d, d - lag(d) over (partition by Year order by Month) as change by Year, Month",
        "Year, Origin, ArrDelay qualify row_number() over (partition by Origin order by ArrDelay desc) <= 3",
        "count(*) where UniqueCarrier in (select Code from 'testdata/airline/carriers.csv' where Description like 'A%')",
    ];
    let frames: Vec<LazyFrame> = questions.iter().map(|question| air.ask(question).unwrap()).collect();
    let together: Run<Vec<DataFrame>> = Runner::new().run(frames.clone()).unwrap();
    assert_eq!(together.statistics.inputs.iter().map(|input| input.passes).max(), Some(1));
    for (frame, answer) in frames.into_iter().zip(&together.value) {
        let alone: DataFrame = compute(frame).unwrap();
        assert_eq!(rows(&alone), rows(answer));
    }
}

#[test]
fn wrong_questions_are_told_of_with_their_place() {
    let session = tables(&mut Random::new(1));
    let mut wrong = Vec::new();
    for (question, message, underlined) in [
        ("lag(vv) over (order by id) as x, id", "no column `vv`", "vv"),
        ("id where v in (select unn from u)", "no column `unn`", "unn"),
        ("id where v > (select un from u)", "a query that may have several rows", "select un from u"),
        ("id where v in (select un from nowhere)", "no table `nowhere`", "nowhere"),
        ("id where v in (select un from 'no.csv')", "No such file", "'no.csv'"),
        ("row_number() over (order by id) as n where n < 3", "a window function in `where`", "n < 3"),
        (
            "id where lag(v) over (order by id) in (select un from u)",
            "a window function in `where`",
            "lag(v) over (order by id) in (select un from u)",
        ),
        ("rank() over (order by sum(v)) as n by k having n < 3", "a window function in `having`", "n < 3"),
        ("id by rank() over (order by id)", "a window function in `by`", "rank() over (order by id)"),
        ("sum(v) as s by k qualify s > 1", "`qualify` without a window function", "s > 1"),
        ("rank() over (order by lag(v) over (order by id))", "a window function inside of another one", "rank"),
        (
            "lag(v) over (order by id) as l, sum(l) over ()",
            "a window function inside of another one",
            "lag(v) over (order by id) as l, sum(l) over ()",
        ),
        ("sum(v), rank() over (order by x) as r by k", "the column `x` is neither a key", "rank"),
        ("sum(w), rank() over (order by k) as r by k", "no column `w`", "w"),
        (
            "top_k(v, 2), rank() over (order by k) as r by k",
            "a window function, or a query, beside an aggregate that makes rows",
            "top_k(v, 2)",
        ),
        (
            "distinct k, sum(v) over (partition by k) by k",
            "`distinct` is for rows",
            "distinct k, sum(v) over (partition by k) by k",
        ),
        (
            "lag(v) over (order by id) in (select un from u) as x",
            "a window function that is compared with a query",
            "select un from u",
        ),
        ("id join u on v in (select un from u)", "a query in this place", "v in (select un from u"),
        ("sum(v respect nulls)", "`ignore nulls` or `respect nulls` behind `sum`", "sum"),
        ("list(v respect nulls)", "`ignore nulls` or `respect nulls` behind `list`", "list"),
        ("upper(k ignore nulls)", "`ignore nulls` or `respect nulls` behind `upper`", "upper"),
        (
            "sum(v) over (rows between 1 preceding and current row exclude ties)",
            "`exclude ties` in a frame",
            "exclude ties",
        ),
        ("id where k is true", "`k` is Utf8, not true or false", "k"),
        ("sum(v) over big", "unexpected `over`", "over"),
        (
            "id where v > (select max(un) from u where uw > id)",
            "a condition on columns of the query around it that is no equation",
            "uw > id",
        ),
    ] {
        let error = session.ask("t", question).and_then(|frame| frame.collect()).expect_err(question);
        let place = error.underlined().map_or("", |place| &place.text[place.range.clone()]).to_owned();
        if !error.message().starts_with(message) || place != underlined {
            wrong.push(error.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let deep = format!("id where v in {}1{}", "(select un from u where uw in ".repeat(120), ")".repeat(120));
    assert!(session.ask("t", &deep).is_err());
    let many = format!("id where {}", vec!["v in (select un from u)"; 201].join(" and "));
    assert!(session.ask("t", &many).unwrap_err().message().contains("queries and joins is too long"));
}

#[test]
fn queries_that_begin_with_their_tables_count_as_others() {
    let session = tables(&mut Random::new(3));
    let all = |one: &dyn Fn(usize) -> String| (0..700).map(one).collect::<Vec<_>>().join(", ");
    let chain = |at: usize| if at == 0 { "c0 as (from t)".to_owned() } else { format!("c{at} as (from c{})", at - 1) };
    let items = [all(&|at| format!("exists (from u) as e{at}")), all(&|at| format!("exists (values ({at})) as e{at}"))];
    let statements = items.iter().map(|items| format!("select {items} from t"));
    for text in statements.chain([format!("with {} from c699", all(&chain))]) {
        let error = session.sql(&text).unwrap_err();
        assert!(error.kind() == ErrorKind::Limit && error.message().contains("is too long"), "{error}");
    }
    for items in &items {
        let error = session.ask("t", items).unwrap_err();
        assert!(error.kind() == ErrorKind::Limit && error.message().contains("is too long"), "{error}");
    }
    // Words of expressions are none.
    session.sql(&format!("select {} from t", all(&|at| format!("k is distinct from '{at}' as e{at}")))).unwrap();
}

#[test]
fn the_present_has_no_parentheses_unless_a_column_is_called_so() {
    let session = tables(&mut Random::new(4));
    let asked = |question: &str| session.ask("t", question).unwrap().collect().unwrap();
    let answer = asked("current_date, current_date is not null as b where id = 0");
    assert_eq!(answer.schema().field(0).name(), "current_date");
    assert_eq!(rows(&asked("id + 1 as current_date where id = 0 sort current_date")), ["1"]);
    let named = session.ask("t", "id as current_date, v").unwrap();
    assert_eq!(rows(&named.ask("current_date where current_date = 1").unwrap().collect().unwrap()), ["1"]);
}

#[test]
fn columns_that_there_are_are_those_of_the_table() {
    let session = tables(&mut Random::new(5));
    for question in [
        "w, rank() over (order by v) as r",
        "id where w > (select 1)",
        "sum(w) as s where id in (select un from u) by k",
    ] {
        let told = session.ask("t", question).unwrap_err();
        assert_eq!(told.hint_text(), Some("columns are id, k, g, v, x; texts stand in quotes"), "{question}: {told}");
    }
}

#[test]
fn an_expression_by_itself_has_neither_windows_nor_queries() {
    for text in [
        "sum(v) over (order by id)",
        "v in (select un from u)",
        "exists (select 1 from u)",
        "v > all (select un from u)",
    ] {
        let told = parse_expr(text).unwrap_err();
        assert!(told.message().ends_with("in this place is not supported"), "{told}");
        assert!(told.hint_text().unwrap().contains("stand in questions and in SQL"), "{told}");
    }
    assert_eq!(expr("first(v ignore nulls) as `a b`").unwrap().to_string(), "first(v) as `a b`");
    assert_eq!(expr("v > any ([1, 2])").unwrap().to_string(), "v > 1 or v > 2");
    assert!(expr("a as b, c").is_err() && expr("a by b").is_err());
    for (question, is_plain) in
        [("a, b by c", true), ("a, rank() over (order by b)", false), ("a where b in (select c from d)", false)]
    {
        assert_eq!(parse_question(question).unwrap().is_plain(), is_plain, "{question}");
    }
}

#[test]
fn words_of_windows_are_names_elsewhere() {
    let session = tables(&mut Random::new(2));
    let names = [
        "over",
        "partition",
        "rows",
        "range",
        "groups",
        "preceding",
        "following",
        "current",
        "row",
        "unbounded",
        "ignore",
        "respect",
        "nulls",
        "qualify",
        "exists",
        "any",
        "some",
        "all",
        "unknown",
        "with",
        "first",
        "last",
        "exclude",
        "self",
    ];
    let columns: Vec<String> = names.iter().map(|name| format!("id as {name}")).collect();
    let wide = session.ask("t", &columns.join(", ")).unwrap();
    let all = names.join(", ");
    let answer = wide.ask(&all).unwrap().collect().unwrap();
    assert_eq!(answer.schema().fields().len(), names.len());
    for name in names {
        for question in [
            format!("{name} where {name} > 1 sort {name} desc"),
            format!("sum({name}) as s, lag({name}) over (partition by {name} order by {name}) as l by {name}"),
            format!(
                "max({name}) over (partition by range, {name} order by rows, {name} rows between 1 preceding and current row)"
            ),
            format!("first_value({name} ignore nulls) over (order by {name} desc nulls first) as f, {name}"),
        ] {
            wide.ask(&question).unwrap_or_else(|error| panic!("{error}")).collect().unwrap();
        }
    }
}
