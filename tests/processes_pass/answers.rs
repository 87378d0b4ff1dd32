//! Answers over every kind of file, and of every aggregate.

use super::{AIRLINE, QUESTIONS, ask, assert_in_processes, processes, run, runner, told, told_of_wanted};
use outcrop::aggregate::{self, Aggregate, Makes};
use outcrop::exec::Scheduler;
use outcrop::expr::{AggregateCall, Expr, col};
use outcrop::frame::CsvScan;
use outcrop::sql::Session;
use outcrop::{scan, scan_csv};
use std::io::Write as _;
use std::sync::Arc;

pub(super) fn many_questions() {
    let frames = ask(&scan_csv(AIRLINE).unwrap(), &QUESTIONS);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert!(expected.lines().count() > 10_000);
    for workers in [1, 2, 3] {
        let found = run(&frames, &processes(workers));
        assert!(told(&found) == expected, "{workers} workers");
        assert_in_processes(&found.statistics, workers);
        assert_eq!(found.statistics.passes, 1);
    }
}

pub(super) fn windows() {
    let mut session = Session::new();
    session.register("air", scan_csv(AIRLINE).unwrap());
    let of_delay = "Year, Origin, ArrDelay, rank() over (partition by Origin order by ArrDelay desc), \
                    sum(Distance) over (partition by Origin order by ArrDelay rows 3 preceding)";
    let frames = [
        format!("select {of_delay}, lag(Dest, 2, '-') over (order by Distance) from air where Distance > 1500"),
        "select Origin, count(*) as n, rank() over (order by count(*) desc) as r from air group by Origin".to_owned(),
    ];
    let frames: Vec<_> = frames.iter().map(|sql| session.sql(sql).unwrap()).collect();
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert!(expected.lines().count() > 500);
    for workers in [1, 3] {
        let found = run(&frames, &processes(workers));
        assert!(told(&found) == expected, "{workers} workers");
        assert_in_processes(&found.statistics, workers);
    }
}

/// An aggregate over columns of the airline files that it takes.
fn over_columns(aggregate: &Arc<dyn Aggregate>) -> Expr {
    let columns = ["ArrDelay", "Origin", "Cancelled"].map(|name| (name, vec![col(name)]));
    let two = vec![col("ArrDelay"), col("Distance")];
    let truth = vec![col("ArrDelay").gt(15)];
    let given = columns.into_iter().map(|(_, args)| args).chain([two, truth, vec![]]);
    let schema = scan_csv(AIRLINE[0]).unwrap().schema().unwrap();
    let takes = |args: &Vec<Expr>| {
        let types: Vec<_> = args.iter().map(|arg| arg.bind(&schema).unwrap().data_type()).collect();
        aggregate.output_type(&types).is_ok()
    };
    let args = given.into_iter().find(takes).unwrap_or_else(|| panic!("nothing for `{}`", aggregate.name()));
    Expr::Aggregate(AggregateCall { aggregate: Arc::clone(aggregate), args })
}

pub(super) fn every_aggregate() {
    let air = scan_csv(AIRLINE).unwrap();
    let all = aggregate::all();
    assert!(all.len() > 50);
    let (values, rows): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.makes() == Makes::Value);
    let named = |(at, one)| over_columns(one).alias(format!("a{at}"));
    let values: Vec<Expr> = (0..).zip(values).map(named).collect();
    let rows: Vec<Expr> = rows.into_iter().map(over_columns).collect();
    assert!(rows.len() > 3);
    let mut frames = vec![air.group_by(["UniqueCarrier", "Month"]).agg(values.clone()), air.agg(values)];
    frames.extend(rows.into_iter().map(|expr| air.group_by("Month").agg(expr)));
    let expected = told(&run(&frames, &runner(Scheduler::Synchronous, 1)));
    let found = run(&frames, &processes(2));
    assert!(told(&found) == expected);
    assert_in_processes(&found.statistics, 2);
}

pub(super) fn other_formats() {
    let folder = tempfile::tempdir().unwrap();
    for (at, file) in AIRLINE.iter().enumerate() {
        let frame = scan_csv(*file).unwrap();
        frame.write_parquet(folder.path().join(format!("{at}.parquet"))).unwrap();
        frame.write_ipc(folder.path().join(format!("{at}.arrow"))).unwrap();
        frame.limit(900).write_ndjson(folder.path().join(format!("{at}.ndjson"))).unwrap();
    }
    for ending in ["parquet", "arrow", "ndjson"] {
        let frames = ask(&scan(folder.path().join(format!("*.{ending}"))).unwrap(), &QUESTIONS);
        let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
        for workers in [1, 2] {
            let found = run(&frames, &processes(workers));
            assert!(told(&found) == expected, "{ending}, {workers} workers");
            assert_in_processes(&found.statistics, workers);
        }
    }
}

pub(super) fn encodings() {
    let text: String = (0..3000).map(|row| format!("{row};naïve {};03.02.2001;1.234,5\n", row % 7)).collect();
    let text = format!("n;t;d;x\n{text}");
    let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let gzip = || {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let twice = zstd::encode_all(&gzip()[..], 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in
        [("a.csv", &utf16[..]), ("b.csv.gz", &gzip()), ("c.csv.gz.zst", &twice), ("d.csv", text.as_bytes())]
    {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let questions = ["count(*), sum(n), sum(x), max(d) by t", "t, x where n % 1000 = 1"];
    let options = "delimiter=';', decimal=',', thousands=., date-format=%d.%m.%Y";
    let frame = CsvScan::new(folder.path()).set_all(options).unwrap().open().unwrap();
    let frames = ask(&frame, &questions);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert!(expected.contains("naïve 6") && expected.contains("Date"), "{expected}");
    let found = run(&frames, &processes(3));
    assert_eq!(told(&found), expected);
    assert_in_processes(&found.statistics, 3);
}

pub(super) fn folders() {
    let folder = tempfile::tempdir().unwrap();
    for (k, rows) in [("a", 3), ("b", 0), ("c", 40), ("d", 1)] {
        let of_key = folder.path().join(format!("key={k}"));
        std::fs::create_dir(&of_key).unwrap();
        let rows: String = (0..rows).map(|row| format!("{row};x{row}\n")).collect();
        std::fs::write(of_key.join("part.csv"), format!("n;t\n{rows}")).unwrap();
    }
    let frame = scan(folder.path()).unwrap();
    let questions =
        ["count(*), sum(n) by key, file_name", "key, n, t where key in ('a', 'd')", "count(*) where key = 'c'"];
    let frames = ask(&frame, &questions);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    let found = run(&frames, &processes(2));
    assert_eq!(told(&found), expected);
    assert_in_processes(&found.statistics, 2);
    // A unit that begins with a file without a wanted row, and a broken record behind the rows that are enough.
    std::fs::write(folder.path().join("key=d/part.csv"), "n;t\n1;x\n2\n").unwrap();
    let frames = ask(&scan(folder.path()).unwrap(), &["n where key in ('a', 'c', 'd') limit 5"]);
    let expected = told_of_wanted(&run(&frames, &runner(Scheduler::Threads, 2)));
    for workers in [1, 2, 4] {
        assert_eq!(told_of_wanted(&run(&frames, &processes(workers))), expected);
    }
}
