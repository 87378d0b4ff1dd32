//! Sets of CSV files as they come: other dialects, columns and headers in every file, and what is said of it.
#![cfg(feature = "cli")]

mod common;

use common::{Random, compress};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// Runs the program in the folder, so that messages and goldens do not name it.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    assert_cmd::Command::cargo_bin("outcrop").unwrap().current_dir(folder).args(arguments).output().unwrap()
}

fn answer(folder: &Folder, arguments: &[&str]) -> (String, String) {
    let output = run(folder.0.path(), arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

fn error(folder: &Folder, arguments: &[&str]) -> String {
    let output = run(folder.0.path(), arguments);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const HEAD: [&str; 4] = ["head", "--rows=100", "--format", "csv"];

#[test]
fn a_report_of_a_spreadsheet_is_read_and_explained() {
    let folder = Folder::new();
    folder.file("a.csv", "Umsatz 2020\n\nMonat;Betrag;Ort\n1;134,50;\"Bonn; Rhein\"\n2;17,5;Ulm\n2;n/a;Ulm\n");
    folder.file("b.csv", "Ort;Monat;Betrag;Neu\nUlm;3;1,25;x\n");
    folder.file("c.csv", "Monat|Betrag|Ort|Neu\n4|2,5|Kiel|7\n");
    let (explained, warnings) = answer(&folder, &["schema", "*.csv", "--explain", "--columns", "union"]);
    insta::assert_snapshot!("explain_set", explained);
    assert!(warnings.contains("a.csv: 2 lines before the table are not read"), "{warnings}");
    assert!(warnings.contains("--skip-rows 0"), "{warnings}");
}

#[test]
fn plain_files_and_given_options_are_explained() {
    let folder = Folder::new();
    folder.file("1.csv", "k,i,zip,when\na,1,01234,2001-02-03\nb,NA,00001,2001-02-04 05:06\n");
    folder.file("2.csv", "i,k,when,zip\n2.5,c,,99999\n");
    let (explained, warnings) = answer(&folder, &["schema", "*.csv", "--explain", "--types", "k=utf8"]);
    insta::assert_snapshot!("explain_plain", explained);
    assert_eq!(warnings, "");
    let given =
        ["schema", "1.csv", "--explain", "--delimiter", ";", "--no-header", "--quote", "none", "--encoding", "latin1"];
    insta::assert_snapshot!("explain_given", answer(&folder, &given).0);
}

#[test]
fn names_of_rows_become_a_column() {
    let folder = Folder::new();
    let table = "\"mpg\" \"car\"\n\"1\" 21 \"a b\"\n\"2\" NA \"c\"\n";
    folder.file("a.txt", table);
    folder.file("b.txt", format!("{table}{}", table.replace("\"1\"", "\"3\"").replace("\"2\"", "\"4\"")));
    let (rows, warnings) = answer(&folder, &[&HEAD[..], &["a.txt", "b.txt"]].concat());
    assert_eq!(rows, "row_names,mpg,car\n1,21,a b\n2,,c\n1,21,a b\n2,,c\n3,21,a b\n4,,c\n");
    assert!(warnings.contains("a.txt and 1 more: the header has one name less"), "{warnings}");
    assert!(warnings.contains("1 record repeats the header"), "{warnings}");
    let (rows, _) =
        answer(&folder, &[&HEAD[..], &["a.txt", "--no-header", "--skip-rows", "1", "--delimiter", " "]].concat());
    assert_eq!(rows, "column_1,column_2,column_3\n1,21,a b\n2,,c\n");
    let message = error(&folder, &["count", "a.txt", "--no-header", "--delimiter", ","]);
    assert!(message.contains("a.txt, record 1, line 1, byte 5: text follows a closing quote"), "{message}");
}

#[test]
fn numbers_beyond_the_doubles_are_no_infinities_unless_that_is_asked_for() {
    let folder = Folder::new();
    folder.file("x.csv", "i,x\n1,2.5\n2,1e400\n3,-inf\n");
    let late = "1,2.5\n".repeat(60_000) + "2,-1e999\n" + &"1,2.5\n".repeat(60_000);
    folder.file("late.csv", format!("i,x\n{late}"));
    folder.file("x.ndjson", "{\"i\":1,\"x\":2.5}\n{\"i\":2,\"x\":1e400}\n");
    assert_eq!(answer(&folder, &[&HEAD[..], &["x.csv"]].concat()).0, "i,x\n1,2.5\n2,1e400\n3,-inf\n");
    assert_eq!(answer(&folder, &[&HEAD[..], &["x.ndjson"]].concat()).0, "i,x\n1,2.5\n2,1e400\n");
    let message = error(&folder, &["ask", "late.csv", "-q", "mean(x)"]);
    assert!(message.contains("line 60002") && message.contains("-1e999"), "{message}");
    assert!(message.contains("--types x=float64 reads it as infinite"), "{message}");
    for file in ["x.csv", "late.csv", "x.ndjson"] {
        let (found, _) =
            answer(&folder, &["ask", file, "--types", "x=float64", "--format", "csv", "-q", "max(abs(x)) as m"]);
        assert_eq!(found, "m\nInfinity\n", "{file}");
    }
}

#[test]
fn files_without_a_header_are_told_with_one_warning() {
    let folder = Folder::new();
    for name in ["1.csv", "2.csv", "3.csv"] {
        folder.file(name, "1,2.5\n3,4.5\n");
    }
    let (table, warnings) = answer(&folder, &["head", "*.csv", "--format", "csv"]);
    assert_eq!(table, "column_1,column_2\n1,2.5\n3,4.5\n1,2.5\n3,4.5\n1,2.5\n3,4.5\n");
    assert_eq!(warnings.matches("warning").count(), 1, "{warnings}");
    assert!(warnings.contains("1.csv: no header") && warnings.contains("--header"), "{warnings}");
    let (table, warnings) = answer(&folder, &["head", "1.csv", "--header", "--format", "csv"]);
    assert_eq!((&*table, &*warnings), ("1,2.5\n3,4.5\n", ""));
}

#[test]
fn pieces_of_a_split_file_have_the_columns_of_the_first_by_position() {
    let folder = Folder::new();
    folder.file("a1.csv", "k,i,x\na,1,0.5\nb,2,1.5\n");
    folder.file("a2.csv", "c,3,2.5\nd,4,NA\n");
    folder.file("a3.csv", "x,i,k\n3.5,5,e\n");
    let (table, warnings) = answer(&folder, &[&HEAD[..], &["a*.csv"]].concat());
    assert_eq!(table, "k,i,x\na,1,0.5\nb,2,1.5\nc,3,2.5\nd,4,\ne,5,3.5\n");
    assert_eq!(warnings.matches("warning").count(), 1, "{warnings}");
    assert!(warnings.contains("a2.csv: no header"), "{warnings}");
    folder.file("a4.csv", "c,three,2.5\nd,4,NA\n");
    assert!(
        error(&folder, &[&HEAD[..], &["a*.csv"]].concat()).contains("a4.csv, line 1: the column `c` is not in a1.csv")
    );
}

#[test]
fn every_file_may_have_a_dialect_of_its_own_and_options_by_pattern() {
    let folder = Folder::new();
    folder.file("1.csv", "k,x\na,1.5\n");
    folder.file("2.csv", "x;k\n2,5;\"b;c\"\n3,25;d\n");
    folder.file("3.tsv", "# a comment\nk\tx\ne\t4.5\n");
    folder.file("4.csv", "k,x\nf,5.5\n");
    let expected = "k,x\na,1.5\nb;c,2.5\nd,3.25\ne,4.5\nf,5.5\n";
    let (table, warnings) = answer(&folder, &[&HEAD[..], &["*.[ct]sv"]].concat());
    assert_eq!((&*table, &*warnings), (expected, ""));
    let rule = ["1.csv", "4.csv", "--file-options", "4*: delimiter=';', no-header"];
    let failed = error(&folder, &[&HEAD[..], &rule].concat());
    assert!(failed.contains("4.csv") && failed.contains("column_1"), "{failed}");
    let rule = ["1.csv", "4.csv", "--file-options", "4*: no-header, skip-rows=1"];
    assert_eq!(answer(&folder, &[&HEAD[..], &rule].concat()).0, "k,x\na,1.5\nf,5.5\n");
    let slip = error(&folder, &[&HEAD[..], &["1.csv", "--file-options", "1*: delimeter=;"]].concat());
    assert!(slip.contains("did you mean `delimiter`?"), "{slip}");
}

#[test]
fn numbers_and_dates_that_may_mean_two_things_are_named() {
    let folder = Folder::new();
    folder.file("a.csv", "id;day;sum\n99999999999999999999;01/02/2003;1.234,5\n12345678901234567891;03/04/2003;2,5\n");
    let (explained, warnings) = answer(&folder, &["schema", "a.csv", "--explain"]);
    assert!(warnings.contains("`id` has integers too large") && warnings.contains("--types id=utf8"), "{warnings}");
    assert!(warnings.contains("1.234,5") && warnings.contains("--thousands ."), "{warnings}");
    assert!(explained.contains("%m/%d/%Y as well as %d/%m/%Y"), "{explained}");
    let more = ["--thousands", ".", "--date-format", "%d/%m/%Y", "--types", "id=utf8"];
    let (table, warnings) = answer(&folder, &[&["head", "a.csv", "--format", "csv"], &more[..]].concat());
    assert_eq!(warnings, "");
    assert_eq!(table, "id,day,sum\n99999999999999999999,2003-02-01,1234.5\n12345678901234567891,2003-04-03,2.5\n");
    let failed = error(&folder, &["ask", "a.csv", "-q", "mean(day)"]);
    assert!(failed.contains("`day` is text") && failed.contains("--date-format"), "{failed}");
    assert!(error(&folder, &["head", "a.csv", "--date-format", "%q"]).contains("--date-format"));
}

#[test]
fn utf_16_and_stateful_encodings_are_read_by_label_and_mark() {
    let folder = Folder::new();
    let utf_16: Vec<u8> = "k;x\n\u{e9};1,5\n\u{4e00};2,5\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    folder.file("mark.csv", [&[0xFF, 0xFE][..], &utf_16].concat());
    folder.file("label.csv", &utf_16);
    for arguments in [&["mark.csv"][..], &["label.csv", "--encoding", "utf-16le"]] {
        let (table, _) = answer(&folder, &[&HEAD[..], arguments].concat());
        assert_eq!(table, "k,x\n\u{e9},1.5\n\u{4e00},2.5\n");
        let (explained, _) = answer(&folder, &[&["schema", "--explain"], arguments].concat());
        assert!(explained.contains("UTF-16LE"), "{explained}");
    }
    folder.file("iso.csv", b"k,x\n\x1b$B%F\x1b(B,1\n");
    let (table, _) = answer(&folder, &[&HEAD[..], &["iso.csv", "--encoding", "iso-2022-jp"]].concat());
    assert_eq!(table, "k,x\n\u{30c6},1\n");
}

#[test]
fn bytes_that_are_not_in_the_encoding_given_can_be_replaced_and_are_counted() {
    let folder = Folder::new();
    folder.file("a.csv", b"k,i\nM\xFCn,1\nA,2\nK\xF6,3\n");
    let arguments = ["ask", "a.csv", "-q", "k", "--format", "csv", "--encoding", "utf-8"];
    assert!(error(&folder, &arguments).contains("--invalid-bytes replace"));
    let (table, warnings) = answer(&folder, &[&arguments[..], &["--invalid-bytes", "replace"]].concat());
    assert_eq!(table, "k\nM\u{FFFD}n\nA\nK\u{FFFD}\n");
    assert!(warnings.contains("2 fields") && warnings.contains("replaced"), "{warnings}");
    assert!(!warnings.contains("windows-1252"), "{warnings}");
}

/// A table as a map of columns, for each row.
type Rows = Vec<BTreeMap<String, String>>;

/// Writes files with random columns in random order; returns their rows and the names in order of first appearance.
fn random_set(folder: &Folder, random: &mut Random) -> (Rows, Vec<String>, Vec<String>) {
    let all = ["id", "text", "number", "day", "flag"];
    let (mut rows, mut names, mut of_first) = (Vec::new(), Vec::<String>::new(), Vec::new());
    for file in 0..4 {
        let mut columns: Vec<&str> = all[1..].iter().filter(|_| random.below(3) > 0).copied().collect();
        columns.push("id");
        for at in (1..columns.len()).rev() {
            columns.swap(at, random.below(at + 1));
        }
        let delimiter = [",", ";", "\t", "|"][random.below(4)];
        let mut text = columns.join(delimiter) + "\n";
        for _ in 0..2 + random.below(40) {
            let value = |column: &&str| match *column {
                "id" => format!("{}", rows.len()),
                "text" => format!("t{}", random.below(9)),
                "number" => format!("{}.5", random.below(9)),
                "day" => format!("2001-02-0{}", 1 + random.below(9)),
                _ => ["true", "false"][random.below(2)].to_owned(),
            };
            let values: Vec<String> = columns.iter().map(value).collect();
            text += &(values.join(delimiter) + "\n");
            rows.push(columns.iter().map(|name| (*name).to_owned()).zip(values).collect());
        }
        if file == 0 {
            of_first = columns.iter().map(|name| (*name).to_owned()).collect();
        }
        for name in columns {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let ending = ["csv", "csv.bz2", "csv.gz"][random.below(3)];
        let stored = if ending == "csv" { text.into_bytes() } else { compress(text.as_bytes(), ending, random) };
        folder.file(&format!("{file}.{ending}"), stored);
    }
    (rows, names, of_first)
}

#[test]
fn a_union_is_the_concatenation_of_files_and_filling_its_first_columns() {
    for seed in 0..12 {
        let folder = Folder::new();
        let (rows, names, of_first) = random_set(&folder, &mut Random::new(seed));
        let table = |names: &[String]| {
            let mut text = names.join(",") + "\n";
            for row in &rows {
                let cells: Vec<&str> = names.iter().map(|name| row.get(name).map_or("", String::as_str)).collect();
                text += &(cells.join(",") + "\n");
            }
            text
        };
        for (policy, names) in [("union", &names), ("fill", &of_first)] {
            for samples in ["100", "2"] {
                let arguments =
                    ["head", "--rows=1000", "--format", "csv", ".", "--columns", policy, "--sample-files", samples];
                let (found, warnings) = answer(&folder, &arguments);
                assert_eq!(found, table(names), "seed {seed}, {policy}, {samples} sampled\n{warnings}");
                let expect_warning =
                    policy == "fill" && rows.iter().any(|row| row.keys().any(|name| !names.contains(name)));
                assert_eq!(warnings.matches("not read").count(), usize::from(expect_warning), "{warnings}");
            }
        }
    }
}

#[test]
fn a_filter_and_groups_over_columns_that_files_lack_see_nulls() {
    let folder = Folder::new();
    folder.file("1.csv", "k,i\na,1\nb,2\n");
    folder.file("2.csv", "k,j\na,10\nc,20\n");
    let ask =
        |question: &str| answer(&folder, &["ask", "*.csv", "--columns", "union", "--format", "csv", "-q", question]).0;
    assert_eq!(ask("k, i, j where j > 5"), "k,i,j\na,,10\nc,,20\n");
    assert_eq!(ask("count(*) as n, sum(i) as i, sum(j) as j by k sort k"), "k,n,i,j\na,2,1,10\nb,1,2,\nc,1,,20\n");
    assert_eq!(ask("count(*) as n where i is null"), "n\n2\n");
}

#[test]
fn a_type_that_only_an_unsampled_file_contradicts_is_widened_on_the_way() {
    let folder = Folder::new();
    for at in 0..9 {
        folder.file(&format!("{at}.csv"), if at == 4 { "k,v\nx,2.5\n" } else { "k,v\nx,1\n" });
    }
    let arguments = ["ask", "*.csv", "-q", "sum(v) as s", "--format", "csv", "--sample-files", "3"];
    assert_eq!(answer(&folder, &arguments), ("s\n10.5\n".to_owned(), String::new()));
    let arguments = ["ask", "*.csv", "-q", "sum(v) as s", "--format", "csv", "--sample-files", "2"];
    let (table, warnings) = answer(&folder, &arguments);
    assert_eq!(table, "s\n10.5\n");
    assert!(warnings.contains("4.csv") && warnings.contains("Float64"), "{warnings}");
}

#[test]
fn records_are_not_lost_to_comments_or_headers_without_a_word() {
    let folder = Folder::new();
    let units: String = (1..=50).map(|n| format!("{}{n},{n},x\n", if n % 3 == 0 { "#" } else { "" })).collect();
    folder.file("units.csv", format!("unit,rent,city\n{units}"));
    folder.file("remarks.csv", "a,b,c\n1,2,3\n# a remark\n4,5,6\n");
    let people: String = (1..500).map(|n| format!("{n},\"name {n}, x\",2001-01-01\n")).collect();
    folder.file("people.csv", people);
    let count = |name: &str| answer(&folder, &["count", name, "--format", "csv"]);
    assert_eq!(count("units.csv"), ("count\n50\n".to_owned(), String::new()));
    let (rows, warnings) = count("remarks.csv");
    assert!(rows == "count\n2\n" && warnings.contains("--comment none"), "{rows} {warnings}");
    let (rows, warnings) = count("people.csv");
    assert!(rows == "count\n499\n" && warnings.contains("--header"), "{rows} {warnings}");
}

#[test]
fn options_for_files_that_are_not_there_are_told() {
    let folder = Folder::new();
    folder.file("a.csv", "a,b\n1,2\n");
    let (_, warnings) = answer(&folder, &["count", "a.csv", "--file-options", "plane*.csv: no-header"]);
    assert!(warnings.contains("`plane*.csv` apply to none of the files"), "{warnings}");
}
