//! Dirty heads, and what they are to be read as.

use super::*;
use proptest::prelude::*;

/// What a head is read as.
#[derive(Debug, PartialEq)]
struct Told {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    has_header: bool,
    skip_rows: usize,
    decimal: u8,
}

/// Plain CSV.
const PLAIN: Told = Told {
    delimiter: b',',
    quote: Some(b'"'),
    escape: None,
    comment: None,
    has_header: true,
    skip_rows: 0,
    decimal: b'.',
};

fn told(head: &[u8], options: &CsvOptions, likely: Option<Dialect>) -> Told {
    let sniffed = sniff(head, true, options, likely).unwrap();
    assert!((0.0..=1.0).contains(&sniffed.confidence), "{}", sniffed.confidence);
    let dialect = sniffed.format.dialect;
    Told {
        delimiter: dialect.delimiter(),
        quote: dialect.quote(),
        escape: dialect.escape(),
        comment: dialect.comment(),
        has_header: sniffed.has_header,
        skip_rows: sniffed.skip_rows,
        decimal: sniffed.format.numbers.decimal,
    }
}

fn cases() -> Vec<(&'static str, &'static str, Told)> {
    let at = |delimiter: u8| Told { delimiter, ..PLAIN };
    let no_header = |delimiter: u8| Told { delimiter, has_header: false, ..PLAIN };
    let comma_decimal = |delimiter: u8| Told { delimiter, decimal: b',', ..PLAIN };
    let skip = |skip_rows: usize| Told { skip_rows, ..PLAIN };
    let comment = Told { comment: Some(b'#'), ..PLAIN };
    let single = Told { quote: Some(b'\''), ..PLAIN };
    let unquoted = |delimiter: u8| Told { delimiter, quote: None, ..PLAIN };
    let escaped = Told { escape: Some(b'\\'), ..PLAIN };
    vec![
        // Clean files stay what they were.
        ("airline", "Year,Month,DepDelay,Origin\n1987,10,11,SAN\n1987,10,NA,SFO\n", PLAIN),
        ("all text", "name,city\nAnn,Rome\nBob,Oslo\n", PLAIN),
        ("empty", "", PLAIN),
        ("blank lines", "\n\n\n", PLAIN),
        ("header alone", "a,b,c\n", PLAIN),
        ("quoted delimiters and line ends", "a,b\n\"x,y\",\"1\n2\"\n\"\"\"\",3\n", PLAIN),
        ("crlf", "a,b\r\n1,2\r\n3,4\r\n", PLAIN),
        ("byte order mark", "\u{feff}a,b\n1,2\n", PLAIN),
        ("semicolons inside of comma fields", "id,tags\n1,a;b\n2,c;d\n3,e;f\n", PLAIN),
        ("pipes inside of comma fields, uneven", "id,tags\n1,a|b\n2,c\n3,e|f|g\n", PLAIN),
        ("one record out of order", "a,b,c\n1,2,3\n4,5\n6,7,8\n9,1,2\n", PLAIN),
        ("a tenth out of order", "a,b\n1,2\n1,2\n1,2\n1,2\n1,2\n1\n1,2\n1,2\n1,2\n", PLAIN),
        ("an unterminated quote", "k,i,x\na,1,2\nb,\"1,2\nc,1,2\n", PLAIN),
        ("text after a quote", "k,i,x\n\"a\"b,1,2\nc,1,2\n", PLAIN),
        ("a backslash at the end of a field", "path,n\n\"C:\\dir\\\",1\n\"D:\\\",2\n", PLAIN),
        ("apostrophes", "name,n\n'tis,1\n'twas,2\no'clock,3\n", PLAIN),
        ("a hash that is data", "#id,name\n1,a\n2,b\n", PLAIN),
        ("hashes that are data", "tag,n\n#one,1\n#two,2\n", PLAIN),
        ("timestamps", "t,v\n2001-02-03 04:05:06,1\n2001-02-03 04:05:07,2\n", PLAIN),
        ("semicolons in every record, the first included", "name,codes (a;b;c)\nalpha,1;2;3\nbeta,4;5;6\n", PLAIN),
        ("pipes in every record, the first included", "k,a|b|c\nx,1|2|3\ny,2|3|4\n", PLAIN),
        (
            "a column that another delimiter would make of one type",
            "when;who,what\n2001-01-02;a,b\n2001-01-03;a,c\n",
            PLAIN,
        ),
        ("a comma that might be decimal but for the header", "x,y;z\n1,2;3\n4,5;6\n7,8;9\n", PLAIN),
        // One column stays one column.
        ("one column of text", "name\nfoo\nbar\n", PLAIN),
        ("one column with a semicolon in all but the first", "name\nSmith; John\nDoe; Jane\nRoe; Jo\n", PLAIN),
        ("one column with a comma in all but the first", "city\nRome, Italy\nOslo, Norway\nParis, France\n", PLAIN),
        ("one column of prose", "text\nhello, world; yes\nfoo bar baz\none | two\n", PLAIN),
        ("one column of timestamps", "at\n2001-02-03 04:05\n2001-02-03 04:06\n", PLAIN),
        // Other delimiters.
        ("semicolons", "g;v\n1;3\n2;4\n", at(b';')),
        ("tabs", "g\tv\na\t3\nb\t4\n", at(b'\t')),
        ("pipes", "g|v\na|3\nb|4\n", at(b'|')),
        ("a header alone, at semicolons", "a;b;c\n", at(b';')),
        ("tabs around commas", "name\tcity\nDoe, Jo\tRome\nRoe, Jane\tOslo\n", at(b'\t')),
        ("semicolons around commas in quotes", "a;b\n\"x,y\";1\n\"z,w\";2\n", at(b';')),
        ("a delimiter inside of quotes", "a;b\n\"x;y\";1\n\"z;w\";2\n", at(b';')),
        (
            "semicolons with one bad record in twenty",
            { "a;b\n1;2\n1;2\n1;2\n1;2\n1;2\n1;2\n1;2\n1;2\n1;2\n1;2\n1;2\n1;2\nx\n1;2\n1;2\n1;2\n1;2\n1;2\n1;2\n" },
            at(b';'),
        ),
        ("spaces between numbers", "x y z\n1 2 3\n4 5 6\n7 8 9\n", at(b' ')),
        // Decimal commas.
        ("decimal commas", "a;b\n1,5;2,5\n3,5;4,25\n", comma_decimal(b';')),
        ("decimal commas at tabs", "a\tb\nx\t0,5\ny\t12,75\n", comma_decimal(b'\t')),
        ("decimal commas without a header", "1,5;2,5\n3,5;4,25\n", Told { has_header: false, ..comma_decimal(b';') }),
        ("decimal commas with thousands", "a;b\nx;1.234,5\ny;2.345,75\n", comma_decimal(b';')),
        ("thousands, perhaps", "a;b\nx;1,234\ny;2,345\n", at(b';')),
        ("decimal points at semicolons", "a;b\n1.5;2\n2.5;3\n", at(b';')),
        ("decimal points and commas", "a;b\n1.5;2,5\n2.5;3,5\n", at(b';')),
        ("american dates", "when,n\n01/02/2003,x\n03/04/2003,y\n", PLAIN),
        ("american dates without a header", "01/02/2003;5\n03/04/2003;6\n", no_header(b';')),
        // No header.
        ("numbers alone", "1,2,3\n4,5,6\n", no_header(b',')),
        ("one column of numbers", "1\n2\n3\n", no_header(b',')),
        ("one record of numbers", "1,2,3\n", no_header(b',')),
        ("dates and numbers", "2001-02-03;1\n2001-02-04;2\n", no_header(b';')),
        ("values that come again", "AA,5\nBB,6\nAA,7\n", no_header(b',')),
        ("years as names", "country,1990,1991\nIT,5,6\nNO,7,8\n", PLAIN),
        ("an index without a name", ",0,1\n0,5,6\n1,7,8\n", PLAIN),
        ("numbers above texts", "1,2\nfoo,bar\nbaz,qux\n", PLAIN),
        ("a missing number in the first record", "1,NA,3\n4,5,6\n", no_header(b',')),
        ("names above names and numbers above numbers", "1,2.5,abc\n2,3.5,def\n3,4.5,ghi\n", no_header(b',')),
        ("numbers, texts and dates", "1,\"x, y\",2001-01-01\n2,\"z, y\",2001-01-02\n", no_header(b',')),
        ("years as names", "country,2001,2002\nx,10,20\ny,11,21\n", PLAIN),
        // What stands before the table.
        ("a title", "Flights by month\na,b,c\n1,2,3\n4,5,6\n", skip(1)),
        ("a title and a blank line", "Flights\n\na,b\nx,y\nz,w\n", skip(2)),
        ("titles with a comma in them", "Report, all\nMade today\na,b,c,d\n1,2,3,4\n5,6,7,8\n", skip(2)),
        ("a title above semicolons", "Umsatz\na;b\nx;1,5\ny;2,5\n", Told { skip_rows: 1, ..comma_decimal(b';') }),
        ("a header that is one name short", "a,b\n1,2,3\n4,5,6\n", PLAIN),
        // Names of rows, as R writes them.
        ("row names at spaces", "\"mpg\" \"cyl\" \"car\"\n\"1\" 21 6 \"a b\"\n\"2\" 22.8 NA \"c\"\n", at(b' ')),
        ("row names of one column", "\"x\"\n\"a\" 5\n\"b\" 6\n", at(b' ')),
        ("row names without quotes", "mpg cyl\n1 21 6\n2 22.8 4\n", at(b' ')),
        ("row names at tabs", "mpg\tcyl\nMazda RX4\t21\t6\nDatsun\t22.8\t4\n", at(b'\t')),
        ("no names of rows in prose", "one two\none two three\ntwo three four\nx y z\n", PLAIN),
        // Comments.
        ("a comment", "# made today\na,b\n1,2\n3,4\n", Told { ..comment }),
        ("a comment with a comma", "# made, today\na,b\n1,2\n3,4\n", Told { comment: Some(b'#'), ..PLAIN }),
        (
            "comments in the middle",
            "a,b\n1,2\n# more\n# and more, and more\n3,4\n",
            Told { comment: Some(b'#'), ..PLAIN },
        ),
        ("records that begin like comments", "id,name\n1,x\n#2,y\n3,z\n", PLAIN),
        // Quotes.
        ("single quotes", "a,b\n'x,y',1\n'z,w',2\n", Told { ..single }),
        ("single quotes everywhere", "'a','b'\n'x','1'\n'z','2'\n", Told { quote: Some(b'\''), ..PLAIN }),
        ("inches at tabs", "part\tsize\n\"a\t1\n\"b\t2\n\"c\t3\n", unquoted(b'\t')),
        (
            "titles that open quotes and close none",
            "id\tname\n1\t\"Foo\" Bar\n2\t\"Baz\" Qux\n3\t\"A\" B\n4\tC\n",
            unquoted(b'\t'),
        ),
        (
            "strays before numbers",
            "a,b,n\n\"1,2,x\n3,4,x\n5,\"6,x\n7,8,y\n9,\"10,y\n11,12,y\n13,14,y\n15,16,\"y\n17,18,z\n19,20,z\n",
            PLAIN,
        ),
        ("backslashes before quotes", "a,b\n\"x \\\"y\\\", z\",1\n\"w\",2\n", Told { ..escaped }),
    ]
}

#[test]
fn dirty_heads_are_read_as_they_are_meant() {
    let options = CsvOptions::default();
    let mut wrong = Vec::new();
    for (name, head, expected) in cases() {
        let found = told(head.as_bytes(), &options, None);
        if found != expected {
            wrong.push(format!("{name}: {found:?}\n  {:?}", sniff(head.as_bytes(), true, &options, None)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_given_is_never_overruled() {
    for (name, head, _) in cases() {
        for list in [
            "delimiter=;, quote='''', escape=none, comment=none, skip-rows=1, header, decimal=.",
            "delimiter=tab, quote=none, comment=%, skip-rows=0, no-header, decimal=',', thousands=.",
            "delimiter=comma, quote='\"', escape=\\, no-header",
            "no-sniff",
        ] {
            let mut options = CsvOptions::default();
            options.set_all(list).unwrap();
            let found = told(head.as_bytes(), &options, None);
            let given = |found: u8, given: Option<u8>| given.is_none_or(|given| given == found);
            let given_or_none = |found: Option<u8>, given: Option<Option<u8>>| given.is_none_or(|given| given == found);
            assert!(given(found.delimiter, options.delimiter), "{name}: {found:?}");
            assert!(given(found.decimal, options.decimal), "{name}: {found:?}");
            assert!(given_or_none(found.quote, options.quote), "{name}: {found:?}");
            assert!(given_or_none(found.escape, options.escape), "{name}: {found:?}");
            assert!(given_or_none(found.comment, options.comment), "{name}: {found:?}");
            assert_eq!(found.has_header, options.has_header.unwrap_or(found.has_header), "{name}");
            assert!(options.skip_rows.is_none_or(|lines| found.skip_rows == lines), "{name}: {found:?}");
            if !options.sniff {
                assert_eq!(found, PLAIN, "{name}");
            }
        }
    }
}

#[test]
fn the_likely_dialect_wins_where_it_explains_the_file_as_well() {
    let head = b"a;b|c;d\n1;2|3;4\n5;6|7;8\n";
    let dialect = |delimiter| Some(Dialect::new(delimiter, Some(b'"')).unwrap());
    assert_eq!(told(b"x|y;z\nu|v;w\n", &CsvOptions::default(), dialect(b';')).delimiter, b';');
    assert_eq!(told(b"x|y;z\nu|v;w\n", &CsvOptions::default(), dialect(b'|')).delimiter, b'|');
    assert_eq!(told(head, &CsvOptions::default(), dialect(b';')).delimiter, b';');
    assert_eq!(told(b"a,b\n1,2\n", &CsvOptions::default(), dialect(b';')).delimiter, b',');
    assert_eq!(told(b"name\nfoo\n", &CsvOptions::default(), dialect(b'\t')).delimiter, b'\t');
}

#[test]
fn a_cut_head_is_read_like_a_whole_one() {
    for (name, head, _) in cases() {
        let repeated = |times: usize| {
            let (first, rest) = head.split_at(head.find('\n').map_or(0, |at| at + 1));
            first.to_owned() + &rest.repeat(times)
        };
        let long = repeated(200);
        let whole = told(long.as_bytes(), &CsvOptions::default(), None);
        let cut = &long.as_bytes()[..long.len() - long.len() / 7];
        let sniffed = sniff(cut, false, &CsvOptions::default(), None).unwrap();
        assert_eq!(sniffed.format.dialect.delimiter(), whole.delimiter, "{name}");
        assert_eq!(sniffed.has_header, whole.has_header, "{name}");
    }
}

#[test]
fn confidence_is_high_where_all_agrees_and_low_where_little_does() {
    let confidence = |head: &str| sniff(head.as_bytes(), true, &CsvOptions::default(), None).unwrap().confidence;
    assert_eq!(confidence("a,b\n1,2\n3,4\n"), 1.0);
    assert_eq!(confidence("name\nfoo\nbar\n"), 1.0);
    assert!(confidence("g;v\n1;3\n2;4\n") > 0.9);
    assert!(confidence("a;b|c;d\n1;2|3;4\n5;6|7;8\n") < 0.7);
    assert!(confidence("a,b\n1\n2;3\n4,5,6\n7,8,9,0\n") <= 0.5);
}

#[test]
fn carriage_returns_end_lines_where_nothing_else_does() {
    let line_end = |head: &str| {
        let sniffed = sniff(head.as_bytes(), true, &CsvOptions::default(), None).unwrap();
        (sniffed.format.dialect.line_end(), sniffed.format.dialect.delimiter(), sniffed.skip_rows)
    };
    assert_eq!(line_end("a,b\r1,2\r3,4\r"), (LineEnd::CarriageReturn, b',', 0));
    assert_eq!(line_end("Title\ra;b;c\r1;2;3\r3;4;5"), (LineEnd::CarriageReturn, b';', 1));
    assert_eq!(line_end("a,b\r\"x\ny\",2\r3,4\r"), (LineEnd::CarriageReturn, b',', 0));
    assert_eq!(line_end("a,b\r\n1,2\r\n"), (LineEnd::Newline, b',', 0));
    assert_eq!(line_end("a,b\n1,x\ry\n"), (LineEnd::Newline, b',', 0));
    let options = CsvOptions { sniff: false, ..CsvOptions::default() };
    let sniffed = sniff(b"a,b\r1,2\r", true, &options, None).unwrap();
    assert_eq!(sniffed.format.dialect.line_end(), LineEnd::Newline);
}

#[test]
fn names_of_rows_are_told_from_a_delimiter_too_many_and_from_slips() {
    let names_rows = |head: &str| sniff(head.as_bytes(), true, &CsvOptions::default(), None).unwrap().row_names;
    assert!(names_rows("a,b\n1,2,3\n4,5,6\n"));
    for other in [
        "a,b\n1,2,\n4,5,\n",
        "a,b\n1,2,3\n1,5,6\n",
        "a,b\n1,2,3\n4,5,6\n7,8\n",
        "a,b\n1,2,3\n",
        "1,2\n1,2,3\n4,5,6\n",
        "Title\na,1\nb,2\n",
        "a,b,c\n1,2,3\n4,5,6\n",
    ] {
        assert!(!names_rows(other), "{other:?}");
    }
    let given = CsvOptions { has_header: Some(false), ..CsvOptions::default() };
    assert!(!sniff(b"a,b\n1,2,3\n4,5,6\n", true, &given, None).unwrap().row_names);
}

/// Bytes that matter to a dialect, more often than others.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => prop::sample::select(b",;\t|\"'\\#\n\n\r .".to_vec()),
        4 => prop::sample::select(b"ab019-".to_vec()),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..400)
}

proptest! {
    #[test]
    fn no_bytes_panic_and_the_answer_is_always_the_same(
        head in heads(), at_end in any::<bool>(), skip in 0..4_usize, given in any::<bool>(),
    ) {
        let mut options = CsvOptions::default();
        if given {
            options.skip_rows = Some(skip);
            options.quote = Some(None);
        }
        if let Ok(first) = sniff(&head, at_end, &options, None) {
            let second = sniff(&head, at_end, &options, None).unwrap();
            prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
            prop_assert!((0.0..=1.0).contains(&first.confidence));
            prop_assert!(first.reasons.len() < 20);
        }
    }

    #[test]
    fn clean_tables_at_commas_are_read_as_ever(
        rows in prop::collection::vec(prop::collection::vec("[a-z0-9 ;|]{0,6}", 3), 1..20),
    ) {
        let quoted = |field: &String| format!("\"{field}\"");
        let mut head = "first,second,third\n".to_owned();
        for row in &rows {
            head += &(row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n");
        }
        prop_assert_eq!(told(head.as_bytes(), &CsvOptions::default(), None), PLAIN);
    }
}
