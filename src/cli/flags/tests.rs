use super::*;
use crate::error::ErrorKind;
use crate::types::ColumnType;
use clap::CommandFactory;

fn parsed(line: &[&str]) -> Result<Command, clap::Error> {
    Cli::try_parse_from(["outcrop"].iter().chain(line)).map(|cli| cli.command)
}

fn asked(line: &[&str]) -> Ask {
    match parsed(line) {
        Ok(Command::Ask(ask)) => ask,
        other => panic!("{other:?}"),
    }
}

fn refused(line: &[&str]) -> String {
    let error = parsed(line).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
fn the_table_of_flags_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn many_files_then_many_questions() {
    let ask =
        asked(&["ask", "a.csv", "b.csv", "-q", "count(*)", "-q", "-DepDelay as early", "--ask", "x", "-f", "more"]);
    assert_eq!(ask.input.files, ["a.csv", "b.csv"]);
    assert_eq!(ask.questions.ask, ["count(*)", "-DepDelay as early", "x"]);
    assert_eq!(ask.questions.files, [PathBuf::from("more")]);
    assert_eq!(asked(&["ask", "-q", "count(*)", "a.csv", "b.csv"]).input.files, ["a.csv", "b.csv"]);
}

#[test]
fn a_call_without_files_or_without_questions_is_a_usage_error() {
    assert!(refused(&["ask", "-q", "count(*)"]).contains("<FILES>"));
    assert!(refused(&["ask", "a.csv"]).contains("--ask"));
    assert!(refused(&["count"]).contains("<FILES>"));
    asked(&["ask", "a.csv", "-f", "questions"]);
}

#[test]
fn types_are_columns_with_types_and_slips_are_suggested() {
    let ask = asked(&["ask", "a", "-q", "x", "--types", "TailNum=utf8,Distance = float", "--types", "a=b=int"]);
    let types: Vec<_> =
        ask.input.reading.types.iter().map(|given| (given.column.as_str(), given.column_type)).collect();
    assert_eq!(types, [("TailNum", ColumnType::Utf8), ("Distance", ColumnType::Float64), ("a=b", ColumnType::Int64)]);
    assert!(refused(&["ask", "a", "-q", "x", "--types", "n=flota64"]).contains("did you mean `float64`?"));
    assert!(refused(&["ask", "a", "-q", "x", "--types", "n"]).contains("COLUMN=TYPE"));
}

#[test]
fn null_tokens_repeat_or_take_commas_and_may_be_empty() {
    let null = |line: &[&str]| asked(&[&["ask", "a", "-q", "x"], line].concat()).input.reading.null;
    assert_eq!(null(&[]), None);
    assert_eq!(null(&["--null", "-,n/a", "--null", "-99"]).unwrap(), ["-", "n/a", "-99"]);
    assert_eq!(null(&["--null", ""]).unwrap(), [""]);
}

#[test]
fn delimiters_and_quotes_are_single_bytes_with_names_for_the_awkward() {
    let input = |line: &[&str]| asked(&[&["ask", "a", "-q", "x"], line].concat()).input;
    for (text, byte) in [("\\t", b'\t'), ("tab", b'\t'), ("\t", b'\t'), (";", b';'), ("|", b'|'), ("-", b'-')] {
        assert_eq!(input(&["--delimiter", text]).reading.delimiter, Some(byte), "{text}");
    }
    assert_eq!(input(&["--quote", "none"]).reading.quote, Some(Part(None)));
    assert_eq!(input(&["--quote", "'"]).reading.quote, Some(Part(Some(b'\''))));
    for bad in ["", ";;", "é", "\n"] {
        refused(&["ask", "a", "-q", "x", "--delimiter", bad]);
    }
}

#[test]
fn encodings_are_checked_at_once() {
    assert_eq!(
        asked(&["ask", "a", "-q", "x", "--encoding", "latin1"]).input.reading.encoding.as_deref(),
        Some("latin1")
    );
    assert!(refused(&["ask", "a", "-q", "x", "--encoding", "latin-99"]).contains("no such encoding"));
}

#[test]
fn stats_takes_its_value_only_with_an_equals_sign() {
    let stats = |line: &[&str]| asked(line).run.stats;
    assert_eq!(stats(&["ask", "a", "-q", "x"]), None);
    assert_eq!(stats(&["ask", "--stats", "a", "-q", "x"]), Some(Stats::Text));
    assert_eq!(stats(&["ask", "a", "-q", "x", "--stats=json"]), Some(Stats::Json));
}

#[test]
fn the_format_is_the_flag_then_the_file_name_then_the_place() {
    let form = |line: &[&str], terminal, answers| {
        asked(&[&["ask", "a", "-q", "x"], line].concat()).output.form(terminal, answers).map(|form| match form {
            Form::Text(format, codec) => format!("{format:?} {codec}"),
            Form::File(options) => format!("{:?} file", options.format()),
        })
    };
    let known = |line: &[&str], terminal, answers| form(line, terminal, answers).unwrap();
    assert_eq!(known(&[], true, 1), "Table none");
    assert_eq!(known(&[], false, 1), "Csv none");
    assert_eq!(known(&["--output", "q{}.JSONL"], true, 2), "Ndjson file");
    assert_eq!(known(&["--output", "q.csv"], true, 2), "Csv none", "several answers in one file");
    assert_eq!(known(&["--output", "a.json.gz"], true, 1), "Json gzip");
    assert_eq!(known(&["--output", "a.parquet"], true, 1), "Parquet file");
    assert_eq!(known(&["--output", "a.json", "--format", "md"], true, 1), "Markdown none");
    assert_eq!(known(&["--output", "answer", "--format", "arrow"], true, 1), "Ipc file");
    for (line, answers) in [
        (&["--output", "answer"][..], 1),
        (&["--output", "a.xlsx"], 1),
        (&["--output", "a.parquet"], 2),
        (&["--output", "a.parquet", "--format", "csv"], 1),
        (&["--output", "a.csv", "--format", "parquet"], 1),
        (&["--output", "a.parquet.gz"], 1),
        (&["--format", "parquet"], 1),
    ] {
        assert_eq!(form(line, true, answers).unwrap_err().kind(), ErrorKind::Syntax, "{line:?}");
    }
}

#[test]
fn the_scheduler_is_the_flag_then_the_variable_then_threads() {
    let (given, not_given) =
        (asked(&["ask", "a", "-q", "x", "--scheduler", "threads"]).run, asked(&["ask", "a", "-q", "x"]).run);
    assert_eq!(given.scheduler(Some("synchronous")).unwrap(), Scheduler::Threads);
    assert_eq!(not_given.scheduler(Some("synchronous")).unwrap(), Scheduler::Synchronous);
    assert_eq!(not_given.scheduler(None).unwrap(), Scheduler::Threads);
    assert!(not_given.scheduler(Some("dask")).unwrap_err().message().contains("`dask`"));
}

#[test]
fn zero_threads_are_refused() {
    refused(&["ask", "a", "-q", "x", "--threads", "0"]);
    assert_eq!(asked(&["ask", "a", "-q", "x", "--threads", "2"]).run.threads, NonZeroUsize::new(2));
}

#[test]
fn every_command_has_an_example_in_its_help() {
    for command in Cli::command().get_subcommands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains(&format!("outcrop {} ", command.get_name())), "{}", command.get_name());
    }
}
