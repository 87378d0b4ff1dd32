use super::*;
use crate::source::csv::{DateFormats, Dialect, Encoding, Limits, NullTokens, TypeGuess, split, widened_type};
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use proptest::prelude::*;

fn spec(column_type: ColumnType, declared: bool) -> ColumnSpec {
    ColumnSpec { index: 0, column_type, declared, date_format: DateFormat::Iso }
}

/// Reads column 0 of `fields`, one a record, before a second column that keeps blank lines away; `room` bytes follow.
fn read(fields: &[&[u8]], spec: &ColumnSpec, format: &Format, room: usize) -> Parsed {
    let mut text = Vec::new();
    for field in fields {
        text.extend_from_slice(field);
        text.extend_from_slice(b",x\n");
    }
    let length = text.len();
    text.extend(std::iter::repeat_n(b'7', room));
    let mut index = RecordIndex::new();
    let end = split(&text, 0, &format.dialect, 2, false, Limits::NONE, &mut index);
    assert_eq!((end.consumed, end.malformed), (length, None));
    parse_column(&text, &index, None, spec, format)
}

/// The array's values as text, `None` for null; `!` after a null that is a misfit.
fn shown(fields: &[&[u8]], column_type: ColumnType, declared: bool, format: &Format) -> Vec<String> {
    shown_by(fields, &spec(column_type, declared), format)
}

fn shown_by(fields: &[&[u8]], spec: &ColumnSpec, format: &Format) -> Vec<String> {
    let [near_end, far] = [0, 64].map(|room| {
        let parsed = read(fields, spec, format, room);
        parsed.array.to_data().validate_full().unwrap();
        assert_eq!(*parsed.array.data_type(), spec.column_type.arrow());
        let mut values: Vec<String> = (0..parsed.array.len())
            .map(|row| {
                if parsed.array.logical_nulls().is_some_and(|nulls| nulls.is_null(row)) {
                    return "null".into();
                }
                match parsed.array.data_type() {
                    DataType::Int64 => parsed.array.as_primitive::<Int64Type>().value(row).to_string(),
                    DataType::Float64 => parsed.array.as_primitive::<Float64Type>().value(row).to_string(),
                    DataType::Boolean => parsed.array.as_boolean().value(row).to_string(),
                    DataType::Date32 => parsed.array.as_primitive::<Date32Type>().value(row).to_string(),
                    DataType::Utf8View => parsed.array.as_string_view().value(row).to_string(),
                    _ => parsed.array.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
                }
            })
            .collect();
        for misfit in parsed.misfits {
            assert_eq!(values[misfit.row], "null");
            values[misfit.row] = "misfit".into();
        }
        values
    });
    assert_eq!(near_end, far, "the quick path, which needs room behind the field, may not differ");
    far
}

#[test]
fn integers() {
    let fields: &[&[u8]] = &[
        b"0",
        b"-12345",
        b"+7",
        b"12345678",
        b"-123456789012",
        b"NA",
        b"",
        b"\"5\"",
        b" 6 ",
        b"\"NA\"",
        b"007",
        b"x",
        b"9223372036854775808",
    ];
    let mut expected = [
        "0",
        "-12345",
        "7",
        "12345678",
        "-123456789012",
        "null",
        "null",
        "5",
        "6",
        "null",
        "misfit",
        "misfit",
        "misfit",
    ];
    assert_eq!(shown(fields, ColumnType::Int64, false, &Format::default()), expected);
    expected[10] = "7";
    assert_eq!(shown(fields, ColumnType::Int64, true, &Format::default()), expected);
}

#[test]
fn doubles() {
    let fields: &[&[u8]] = &[b"-0", b"1", b"2.5", b"-1e3", b"inf", b"nan", b"NA", b"00.5", b"12", b"007", b"1,5"];
    let expected = ["-0", "1", "2.5", "-1000", "inf", "NaN", "null", "0.5", "12", "misfit"];
    assert_eq!(shown(&fields[..10], ColumnType::Float64, false, &Format::default()), expected);
}

#[test]
fn booleans_dates_and_timestamps() {
    let format = Format::default();
    let fields: &[&[u8]] = &[b"true", b"FALSE", b"\"True\"", b"NA", b"1"];
    assert_eq!(shown(fields, ColumnType::Boolean, false, &format), ["true", "false", "true", "null", "misfit"]);
    let fields: &[&[u8]] = &[b"1970-01-02", b" 1969-12-31", b"", b"1970-02-30", b"1970-01-02 00:00"];
    assert_eq!(shown(fields, ColumnType::Date, false, &format), ["1", "-1", "null", "misfit", "misfit"]);
    let fields: &[&[u8]] = &[b"1970-01-01T00:00:01Z", b"1970-01-02", b"NA", b"12:00"];
    assert_eq!(shown(fields, ColumnType::Timestamp, false, &format), ["1000000", "86400000000", "null", "misfit"]);
}

#[test]
fn a_declared_boolean_takes_more_words() {
    let fields: &[&[u8]] = &[b"T", b"f", b"\"yes\"", b"0", b"true", b"2", b"NA"];
    let declared = ["true", "false", "true", "false", "true", "misfit", "null"];
    assert_eq!(shown(fields, ColumnType::Boolean, true, &Format::default()), declared);
    let inferred = ["misfit", "misfit", "misfit", "misfit", "true", "misfit", "null"];
    assert_eq!(shown(fields, ColumnType::Boolean, false, &Format::default()), inferred);
}

#[test]
fn numbers_in_another_style() {
    let numbers = NumberStyle::new(b'.', Some(b',')).unwrap();
    let format = Format { numbers, ..Format::default() };
    let fields: &[&[u8]] = &[b"\"1,234\"", b"7", b"\" -1,234,567 \"", b"\"1,23\"", b"\"0,234\"", b"1.5", b"NA", b"007"];
    let integers = ["1234", "7", "-1234567", "misfit", "misfit", "misfit", "null", "misfit"];
    assert_eq!(shown(fields, ColumnType::Int64, false, &format), integers);
    let doubles = ["1234", "7", "-1234567", "misfit", "misfit", "1.5", "null", "misfit"];
    assert_eq!(shown(fields, ColumnType::Float64, false, &format), doubles);
    let declared = ["1234", "7", "-1234567", "misfit", "misfit", "1.5", "null", "7"];
    assert_eq!(shown(fields, ColumnType::Float64, true, &format), declared);

    let dialect = Dialect::new(b';', Some(b'"')).unwrap();
    let numbers = NumberStyle::new(b',', Some(b'.')).unwrap();
    let format = Format { dialect, numbers, ..Format::default() };
    let read = |field: &[u8]| {
        let text = [field, &b";x\n"[..]].concat();
        let mut index = RecordIndex::new();
        split(&text, 0, &format.dialect, 2, true, Limits::NONE, &mut index);
        let parsed = parse_column(&text, &index, None, &spec(ColumnType::Float64, false), &format);
        parsed.array.as_primitive::<Float64Type>().iter().next().flatten()
    };
    assert_eq!([&b"1.234,5"[..], b"-0", b",5", b"1.5"].map(read), [Some(1234.5), Some(-0.0), Some(0.5), None]);
}

#[test]
fn dates_in_the_format_of_the_column_only() {
    let dates = DateFormats::new(["%d.%m.%y", "%d.%m.%y %H:%M"]).unwrap();
    let format = Format { dates, ..Format::default() };
    let fields: &[&[u8]] = &[b"02.01.70", b" 01.01.1970 ", b"\"1970-01-02\"", b"1/13/1970", b"01.01.70 00:01", b"NA"];
    let with =
        |column_type, date_format| shown_by(fields, &ColumnSpec { date_format, ..spec(column_type, false) }, &format);
    let date = |format| with(ColumnType::Date, format);
    assert_eq!(date(DateFormat::Given(0)), ["1", "misfit", "misfit", "misfit", "misfit", "null"]);
    assert_eq!(date(DateFormat::DayDot), ["misfit", "0", "misfit", "misfit", "misfit", "null"]);
    assert_eq!(date(DateFormat::Iso), ["misfit", "misfit", "1", "misfit", "misfit", "null"]);
    assert_eq!(date(DateFormat::MonthSlash), ["misfit", "misfit", "misfit", "12", "misfit", "null"]);
    assert_eq!(date(DateFormat::Given(7)), ["misfit", "misfit", "misfit", "misfit", "misfit", "null"]);
    let given = with(ColumnType::Timestamp, DateFormat::Given(1));
    assert_eq!(given, ["misfit", "misfit", "misfit", "misfit", "60000000", "null"]);
}

#[test]
fn text_is_verbatim_and_a_quoted_field_is_never_null() {
    let fields: &[&[u8]] = &[
        b"SFO",
        b"NA",
        b"",
        b"\"NA\"",
        b"\"\"",
        b" a ",
        b"\"a,\"\"b\"\"\"",
        b"twelve bytes",
        b"thirteen byte",
        b"\"fourteen bytes\"",
        "\u{e9}t\u{e9}".as_bytes(),
        b"\xE9",
    ];
    let expected = [
        "SFO",
        "null",
        "null",
        "NA",
        "",
        " a ",
        "a,\"b\"",
        "twelve bytes",
        "thirteen byte",
        "fourteen bytes",
        "été",
        "é",
    ];
    assert_eq!(shown(fields, ColumnType::Utf8, false, &Format::default()), expected);
}

#[test]
fn a_column_without_values_takes_unquoted_null_tokens_only() {
    let fields: &[&[u8]] = &[b"NA", b"", b"\"NA\"", b"5"];
    assert_eq!(shown(fields, ColumnType::Null, false, &Format::default()), ["null", "null", "misfit", "misfit"]);
}

#[test]
fn null_tokens_that_look_like_values_are_null() {
    let format = Format { nulls: NullTokens::new(["-999", "nan", "true"]), ..Format::default() };
    assert_eq!(shown(&[b"-999", b"999", b"NA"], ColumnType::Int64, false, &format), ["null", "999", "misfit"]);
    assert_eq!(shown(&[b"nan", b"NaN", b"-999"], ColumnType::Float64, false, &format), ["null", "NaN", "null"]);
    assert_eq!(shown(&[b"true", b"false"], ColumnType::Boolean, false, &format), ["null", "false"]);
}

#[test]
fn fields_in_no_known_encoding_are_counted_or_refused() {
    let fields: &[&[u8]] = &[b"a", b"\xE9", b"NA", b"\xFC\xFC"];
    let parsed = read(fields, &spec(ColumnType::Utf8, false), &Format::default(), 0);
    assert_eq!((parsed.recoded.len(), parsed.misfits.len()), (2, 0));
    assert_eq!(parsed.recoded[0], 1);
    let strict = Format { encoding: Encoding::Utf8, ..Format::default() };
    let parsed = read(fields, &spec(ColumnType::Utf8, false), &strict, 0);
    assert!(parsed.recoded.is_empty());
    assert_eq!(parsed.misfits[0], Misfit { row: 1, record: 1, range: 4..5, kind: MisfitKind::Encoding });
    assert_eq!(parsed.misfits.len(), 2);
}

#[test]
fn chosen_records_only_are_read() {
    let text = b"1,a\nx,b\n3,c\nyy,d\n5,e\n";
    let mut index = RecordIndex::new();
    split(text, 0, &Dialect::default(), 2, true, Limits::NONE, &mut index);
    let spec = spec(ColumnType::Int64, false);
    let parsed = parse_column(text, &index, Some(&[0, 3, 4]), &spec, &Format::default());
    assert_eq!(parsed.array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None, Some(5)]);
    assert_eq!(parsed.misfits, [Misfit { row: 1, record: 3, range: 12..14, kind: MisfitKind::Type }]);
}

const TYPES: [ColumnType; 7] = [
    ColumnType::Null,
    ColumnType::Boolean,
    ColumnType::Int64,
    ColumnType::Float64,
    ColumnType::Date,
    ColumnType::Timestamp,
    ColumnType::Utf8,
];

const WAYS: [DateFormat; 6] = [
    DateFormat::Iso,
    DateFormat::DayDot,
    DateFormat::MonthSlash,
    DateFormat::DayName,
    DateFormat::Given(0),
    DateFormat::Given(1),
];

fn any_field() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "-?[0-9]{1,9}",
        "[-+]?[0-9]{0,21}[.]?[0-9]{0,3}(e[0-9])?",
        "[0-9]{4}-[0-1][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-5][0-9](:[0-9]{2})?)?",
        "[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{4}( [0-9]{1,2}:[0-5][0-9]( PM|Z|[+]02)?)?",
        "[0-3]?[0-9]-(Jan|feb|March)-[0-9]{4}|200[0-9][01][0-9][0-3][0-9]|[0-9]{1,4}([.][0-9]{3}){0,2}",
        "true|FALSE|T|yes|nan|inf|NA||-|[ -~&&[^,\"]]{0,14}|[a-zé]{0,20}",
    ]
    .prop_flat_map(|text| {
        let quoted = format!("\"{text}\"");
        let padded = format!(" {text}  ");
        prop_oneof![Just(text), Just(quoted), Just(padded)]
    })
    .prop_map(String::into_bytes)
}

proptest! {
    /// What widening relies on: an inferred column takes a field exactly if the field does not widen its type.
    #[test]
    fn a_field_fits_exactly_if_it_does_not_widen(field in any_field(), thousands in prop::option::of(Just(b'.'))) {
        let numbers = NumberStyle { decimal: if thousands.is_some() { b',' } else { b'.' }, thousands };
        let dates = DateFormats::new(["%Y%m%d", "%d.%m.%Y %H:%M"]).unwrap();
        let format = Format { numbers, dates, ..Format::default() };
        for (column_type, date_format) in TYPES.into_iter().flat_map(|column_type| WAYS.map(|way| (column_type, way))) {
            let spec = ColumnSpec { date_format, ..spec(column_type, false) };
            let misfit = shown_by(&[&field], &spec, &format) == ["misfit"];
            let wider = widened_type(&spec, &field, &format);
            prop_assert_eq!(misfit, wider != column_type, "{:?} {:?}", spec, String::from_utf8_lossy(&field));
            // And the wider column takes it, whatever else it then holds.
            let wider = ColumnSpec { column_type: wider, ..spec };
            prop_assert!(shown_by(&[&field], &wider, &format) != ["misfit"]);
        }
    }

    /// What inference relies on: the type and format found for some fields hold them all.
    #[test]
    fn an_inferred_column_holds_what_it_was_inferred_from(
        fields in prop::collection::vec(any_field(), 1..5), thousands in prop::option::of(Just(b'.'))
    ) {
        let numbers = NumberStyle { decimal: if thousands.is_some() { b',' } else { b'.' }, thousands };
        let dates = DateFormats::new(["%Y%m%d", "%d/%m/%Y", "%d.%m.%Y %H:%M"]).unwrap();
        let format = Format { numbers, dates, ..Format::default() };
        let mut guess = TypeGuess::default();
        for field in &fields {
            guess.observe(field, &format);
        }
        let spec = ColumnSpec {
            date_format: guess.date_format(&format.dates), ..spec(guess.column_type(), false)
        };
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        prop_assert!(!shown_by(&fields, &spec, &format).contains(&"misfit".to_owned()), "{:?}", spec);
    }

    #[test]
    fn arbitrary_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..200), fields in 1..4_usize) {
        let mut index = RecordIndex::new();
        split(&text, 0, &Dialect::default(), fields, true, Limits::NONE, &mut index);
        for column_type in TYPES {
            let spec = ColumnSpec { index: fields - 1, ..spec(column_type, false) };
            let parsed = parse_column(&text, &index, None, &spec, &Format::default());
            prop_assert_eq!(parsed.array.len(), index.records());
            parsed.array.to_data().validate_full().unwrap();
        }
    }
}
