//! What does not go to processes, and what the program says of it.

use super::{AIRLINE, QUESTIONS, ask, files, pattern, processes, run};
use crate::common::shown;
use arrow::datatypes::DataType;
use outcrop::aggregate::{self, Aggregate, Exactness, GroupStates};
use outcrop::expr::{col, count_rows};
use outcrop::frame::DataFrame;
use outcrop::{Result, scan_csv};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// An aggregate of the program's own that is called like another one.
#[derive(Debug)]
struct Own;

impl Aggregate for Own {
    fn name(&self) -> &str {
        "count"
    }

    fn output_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        aggregate::find("sum", 1)?.states(arguments)
    }
}

pub(super) fn on_threads() {
    let folder = files(&["k,n\na,1\nb,2\n", "k,n\na,3\nc,4\n"]);
    let frame = scan_csv(pattern(&folder)).unwrap();
    let schema = frame.schema().unwrap();
    let mapped = frame.map_partitions(schema, Ok);
    let joined = frame.join(&frame.distinct(), ("k", "k"), outcrop::frame::JoinKind::Inner);
    let persisted = frame.persist().unwrap();
    let own = col("n").aggregate(Arc::new(Own));
    for (asked, why) in [
        (mapped.agg(count_rows()), "it calls a function on batches"),
        (joined.agg(count_rows()), "it joins tables"),
        (persisted.agg(count_rows()), "its rows are in this process"),
        (frame.agg(own), "`count` is an aggregate of the program's own"),
    ] {
        let found = run(&[asked.clone(), asked], &processes(2));
        assert!(
            found.statistics.on_threads.iter().any(|told| told.ends_with(why)),
            "{:?}",
            found.statistics.on_threads
        );
        assert_eq!(shown(&found.value[0]), shown(&found.value[1]));
        assert!(found.value[0].rows() == 1);
    }
    let found = run(&ask(&frame, &["logistic(n > 2, n)"]), &processes(2));
    let on_threads = &found.statistics.on_threads;
    let mut of_files = on_threads.iter().filter(|told| !told.starts_with("memory"));
    assert!(of_files.all(|told| told.ends_with("it is a step of a fit")), "{on_threads:?}");
    assert_eq!((on_threads.is_empty(), found.statistics.passes_in_processes), (false, 0));
    // One question that cannot be sent keeps those of its pass on threads, for they share one reading.
    let found = run(&[mapped.agg(count_rows()), frame.agg(count_rows())], &processes(2));
    assert_eq!((found.statistics.passes, found.statistics.passes_in_processes), (1, 0));
    let written = folder.path().join("out.parquet");
    let written = processes(2)
        .write(&frame, &written, outcrop::write::WriteOptions::new(outcrop::write::FileFormat::Parquet))
        .unwrap();
    assert!(written.statistics.on_threads[0].contains("leave in input order"), "{:?}", written.statistics.on_threads);
}

pub(super) fn without_init() {
    let air = scan_csv(AIRLINE[0]).unwrap();
    let error = processes(2).run::<_, DataFrame>(air.agg(count_rows())).unwrap_err();
    println!("{error}");
}

pub(super) fn told_what_to_do() {
    let exe = std::env::current_exe().unwrap();
    let output = Command::new(exe).arg("without-init").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("call outcrop::init() first in main, or use threads"), "{text}");
}

fn outcrop(arguments: &[&str], variable: Option<&str>) -> (String, String) {
    let mut command = assert_cmd::Command::cargo_bin("outcrop").unwrap();
    variable.iter().for_each(|scheduler| {
        command.env("OUTCROP_SCHEDULER", scheduler);
    });
    let output = command.args(arguments).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

pub(super) fn the_program() {
    assert!(Path::new(AIRLINE[0]).exists());
    let mut arguments = vec!["ask"];
    arguments.extend(AIRLINE);
    QUESTIONS.iter().for_each(|question| arguments.extend(["-q", question]));
    arguments.extend(["--format", "csv", "--stats=json", "--quiet"]);
    let (expected, _) = outcrop(&[&arguments[..], &["--scheduler", "threads"]].concat(), None);
    assert!(expected.lines().count() > 10_000);
    let flags = ["--scheduler", "processes", "--workers", "3", "--memory", "400MB"];
    for (more, variable) in [(&flags[..], None), (&["--workers", "2"], Some("processes"))] {
        let (found, stats) = outcrop(&[&arguments[..], more].concat(), variable);
        assert!(found == expected, "{more:?}");
        let stats: serde_json::Value = serde_json::from_str(stats.lines().last().unwrap()).unwrap();
        assert_eq!(stats["passes_in_processes"], 1, "{stats}");
        assert_eq!(stats["processes"].to_string(), more.iter().find(|word| word.len() == 1).unwrap().to_string());
    }
    let explained = |question| {
        let (text, errors) = outcrop(&["explain", AIRLINE[0], AIRLINE[1], "-q", question], Some("processes"));
        assert_eq!(errors, "");
        text.lines().last().unwrap().to_owned()
    };
    assert!(explained("count(*)").ends_with(" processes, in units of whole files: 2"), "{}", explained("count(*)"));
    let joined = explained("count(*) join 'testdata/airline/carriers.csv' on UniqueCarrier = Code");
    assert!(joined.ends_with("is read on threads: it joins tables"), "{joined}");
    let fit = explained("logistic(ArrDelay > 15, Distance)");
    assert!(fit.ends_with("is read on threads: it is a step of a fit"), "{fit}");
    let ragged = files(&["a,b\n1,2\n", "a,b\n1\n"]);
    let asked = ["ask", &pattern(&ragged), "-q", "count(*)"];
    let (_, expected) = outcrop(&asked, None);
    assert!(expected.contains("1.csv"), "{expected}");
    assert_eq!(outcrop(&asked, Some("processes")).1, expected);
}
