use super::*;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, NullArray, StringViewArray,
    TimestampMicrosecondArray,
};
use std::sync::Arc;
use unicode_width::UnicodeWidthStr;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn frame<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> DataFrame {
    let batches: Vec<RecordBatch> = batches.into_iter().cloned().collect();
    DataFrame::new(batches[0].schema(), batches)
}

/// Every type, with what is awkward of each; the second row is null throughout.
fn awkward() -> RecordBatch {
    batch(vec![
        ("code, \"quoted\"", Arc::new(StringViewArray::from(vec![Some("a,b"), None, Some(""), Some("NA")]))),
        ("n", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(0), Some(7)]))),
        ("x", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(3.0), Some(-0.0)]))),
        ("odd", Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(f64::INFINITY), Some(f64::NEG_INFINITY)]))),
        ("late", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]))),
        ("day", Arc::new(Date32Array::from(vec![Some(0), None, Some(-719_528), Some(2_932_897)]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(-1), Some(951_782_400_500_000)]))),
        ("nothing", Arc::new(NullArray::new(4))),
    ])
}

fn text(format: Format, batch: &RecordBatch, layout: Layout) -> String {
    let mut out = Vec::new();
    write_result(format, &frame([batch]), layout, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn plain(format: Format, batch: &RecordBatch) -> String {
    text(format, batch, Layout::default())
}

#[test]
fn csv_tells_null_from_empty_text_and_from_the_text_na() {
    assert_eq!(
        plain(Format::Csv, &awkward()),
        "\"code, \"\"quoted\"\"\",n,x,odd,late,day,at,nothing\n\
         \"a,b\",-9223372036854775808,0.1,NaN,true,1970-01-01,1970-01-01T00:00:00,\n\
         ,,,,,,,\n\
         \"\",0,3.0,Infinity,false,0000-01-01,1969-12-31T23:59:59.999999,\n\
         \"NA\",7,-0.0,-Infinity,true,+10000-01-01,2000-02-29T00:00:00.500,\n"
    );
}

#[test]
fn json_is_valid_with_keys_in_order_and_text_for_what_is_no_number() {
    let json = plain(Format::Json, &awkward());
    assert_eq!(
        json.lines().nth(1).unwrap(),
        "{\"code, \\\"quoted\\\"\":\"a,b\",\"n\":-9223372036854775808,\"x\":0.1,\"odd\":\"NaN\",\"late\":true,\
         \"day\":\"1970-01-01\",\"at\":\"1970-01-01T00:00:00\",\"nothing\":null},"
    );
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value[1]["code, \"quoted\""], serde_json::Value::Null);
    assert_eq!(value[2]["odd"], "Infinity");
    assert_eq!(value[3]["x"].as_f64().map(f64::to_bits), Some((-0.0f64).to_bits()));
}

#[test]
fn json_strings_read_back_whatever_they_hold() {
    let every: String = (0..0x250).filter_map(char::from_u32).chain("😀\u{2028}\u{fffd}".chars()).collect();
    let strings = batch(vec![("t", Arc::new(StringViewArray::from(vec![every.as_str()])))]);
    for format in [Format::Json, Format::Ndjson] {
        let value: serde_json::Value = serde_json::from_str(&plain(format, &strings)).unwrap();
        let row = if format == Format::Json { &value[0] } else { &value };
        assert_eq!(row["t"], every.as_str());
    }
}

#[test]
fn csv_reads_back_whatever_the_text_holds() {
    let texts = ["a\nb", "\r", "\"", ",", " lead", "é", "x\"\"y"];
    let out = plain(Format::Csv, &batch(vec![("t", Arc::new(StringViewArray::from(texts.to_vec())))]));
    let mut reader = csv::Reader::from_reader(out.as_bytes());
    let read: Vec<String> = reader.records().map(|record| record.unwrap()[0].to_string()).collect();
    assert_eq!(read, texts);
}

#[test]
fn doubles_read_back_to_the_bit_in_every_exact_format() {
    let values = [1e300, 5e-324, 1.0 / 3.0, 123_456_789.123_456_78, 1e16, -2.5e-7, f64::MAX];
    let doubles = batch(vec![("x", Arc::new(Float64Array::from(values.to_vec())))]);
    let csv = plain(Format::Csv, &doubles);
    let from_csv: Vec<f64> = csv.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    assert_eq!(from_csv, values);
    let json: serde_json::Value = serde_json::from_str(&plain(Format::Json, &doubles)).unwrap();
    let literal = plain(Format::Ndjson, &doubles);
    for (row, value) in values.iter().enumerate() {
        assert!(json[row]["x"].is_f64());
        let text = literal.lines().nth(row).unwrap().trim_start_matches("{\"x\":").trim_end_matches('}');
        assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
    }
}

#[test]
fn table_aligns_numbers_right_and_shows_null() {
    let flights = batch(vec![
        ("Carrier", Arc::new(StringViewArray::from(vec![Some("WN"), None, Some("日本\n")]))),
        ("n", Arc::new(Int64Array::from(vec![12, 3456, 7]))),
        ("delay", Arc::new(Float64Array::from(vec![Some(7.057_152_265_783_649), Some(120.0), None]))),
    ]);
    assert_eq!(
        plain(Format::Table, &flights),
        "\
Carrier     n     delay
───────  ────  ────────
WN         12  7.057152
null     3456     120.0
日本\\n      7      null
(3 rows)
"
    );
}

#[test]
fn long_tables_show_head_and_tail_over_batch_borders() {
    let whole = batch(vec![("n", Arc::new(Int64Array::from_iter_values(0..5000)))]);
    let layout = Layout { width: None, rows: Some(5), ..Layout::default() };
    let expected = "   n\n────\n   0\n   1\n   2\n   …\n4998\n4999\n(5,000 rows, 5 shown)\n";
    for cut in [0, 1, 2, 3, 4, 255, 256, 4998, 4999, 5000] {
        let parts = [whole.slice(0, cut), whole.slice(cut, 5000 - cut)];
        let mut out = Vec::new();
        write_result(Format::Table, &frame(&parts), layout, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "cut at {cut}");
    }
    let five = batch(vec![("n", Arc::new(Int64Array::from_iter_values(0..5)))]);
    assert!(text(Format::Table, &five, layout).ends_with("4\n(5 rows)\n"));
}

#[test]
fn wide_tables_are_cut_to_the_terminal_and_say_so() {
    let wide = batch(vec![
        ("name", Arc::new(StringViewArray::from(vec!["a long description of a thing"]))),
        ("n", Arc::new(Int64Array::from(vec![1]))),
        ("second", Arc::new(StringViewArray::from(vec!["short"]))),
    ]);
    let fitted = text(Format::Table, &wide, Layout { width: Some(24), rows: None, ..Layout::default() });
    assert_eq!(fitted.lines().nth(2), Some("a long descr…  1  short"));
    let tiny = text(Format::Table, &wide, Layout { width: Some(10), rows: None, ..Layout::default() });
    assert!(tiny.contains("a lon…  1\n") && tiny.contains("not shown for width: second"), "{tiny}");
}

#[test]
fn table_never_passes_control_characters_to_the_terminal() {
    let hostile = batch(vec![("t\u{1b}", Arc::new(StringViewArray::from(vec!["\u{1b}[31m\t\u{9b}"])))]);
    assert!(plain(Format::Table, &hostile).chars().all(|character| character == '\n' || !character.is_control()));
}

#[test]
fn markdown_escapes_pipes_and_keeps_one_line_a_row() {
    let odd = batch(vec![
        ("a|b", Arc::new(StringViewArray::from(vec![Some("x|y\nz"), None]))),
        ("n", Arc::new(Int64Array::from(vec![1, 2]))),
    ]);
    assert_eq!(plain(Format::Markdown, &odd), "| a\\|b | n |\n|---|--:|\n| x\\|y<br>z | 1 |\n| null | 2 |\n");
}

#[test]
fn several_answers_nest_in_json_and_follow_each_other_otherwise() {
    let (one, none) = (batch(vec![("n", Arc::new(Int64Array::from(vec![1])))]), awkward().slice(0, 0));
    let frames = [frame([&one]), frame([&none])];
    let answers = frames.each_ref().map(|frame| Answer { title: "count(*)", frame });
    let all = |format, answers: &[Answer<'_>]| {
        let mut out = Vec::new();
        write_answers(format, answers, Layout::default(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(all(Format::Json, &answers), "[[\n{\"n\":1}\n]\n,[]\n]\n");
    assert_eq!(all(Format::Json, &answers[..1]), "[\n{\"n\":1}\n]\n");
    assert_eq!(all(Format::Json, &[]), "[]\n");
    assert_eq!(all(Format::Ndjson, &answers), "{\"n\":1}\n");
    assert!(all(Format::Csv, &answers).starts_with("n\n1\n\n\"code"));
    assert!(all(Format::Table, &answers).starts_with("# count(*)\n\nn\n─\n1\n(1 row)\n\n# count(*)\n\n"));
}

#[test]
fn a_closed_pipe_and_a_foreign_type_are_errors_not_panics() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let batch = awkward();
    let closed = write_result(Format::Csv, &frame([&batch]), Layout::default(), &mut Closed);
    assert_eq!(closed.unwrap_err().kind(), io::ErrorKind::BrokenPipe);

    let foreign = self::batch(vec![("n", Arc::new(Int32Array::from(vec![1])))]);
    let refused = write_result(Format::Csv, &frame([&foreign]), Layout::default(), &mut Vec::new());
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn marks_that_widen_a_character_are_cut_like_it() {
    let hearts = "\u{2764}\u{fe0f}".repeat(40);
    let columns = [("a", hearts.as_str()), ("b", "x\u{2764}\u{fe0f}\u{2764}\u{fe0f}\u{2764}\u{fe0f}")];
    let columns = columns.map(|(name, cell)| (name, Arc::new(StringViewArray::from(vec![cell])) as ArrayRef));
    let batch = batch(columns.to_vec());
    for width in 1..60 {
        let table = text(Format::Table, &batch, Layout { width: Some(width), ..Layout::default() });
        assert!(table.lines().nth(2).unwrap().width() <= width.max(6), "{width}: {table}");
    }
}

#[test]
fn an_integer_has_all_of_its_digits() {
    for text in ["9007199254740993", "-9223372036854775808", "123456789"] {
        assert_eq!(brief(text), text);
    }
    assert_eq!((brief("0.1234567"), brief("1234567.0")), ("0.1235".into(), "1234567".into()));
}
