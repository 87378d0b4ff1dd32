use super::column::{column, shown, value_type};
use super::keys::{KeyTree, Node};
use super::record::{Kind, Value, Visitor, read_record, unescape};
use super::*;
use crate::types::ColumnType;
use proptest::prelude::*;
use serde_json::Value as Json;

/// The values of columns `a`, `b`, … of one line, or what is wrong with it.
#[derive(Default)]
struct Collect {
    values: Vec<(usize, Value)>,
    unknown: Vec<Range<usize>>,
}

struct Visit<'a>(&'a KeyTree, Collect);

impl Visitor for Visit<'_> {
    fn value(&mut self, node: Node, entry: usize, _key: Range<usize>, value: Value) {
        if let Some(column) = self.0.column(node, entry) {
            self.1.values.push((column, value));
        }
    }

    fn unknown(&mut self, _node: Node, key: Range<usize>) {
        self.1.unknown.push(key);
    }
}

fn tree(paths: &[&str]) -> KeyTree {
    let paths: Vec<Vec<String>> = paths.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
    KeyTree::of(paths.iter().enumerate())
}

fn read(line: &str, paths: &[&str]) -> Result<Collect, (usize, &'static str)> {
    let tree = tree(paths);
    let mut visit = Visit(&tree, Collect::default());
    let outcome = read_record(line.as_bytes(), 0..line.len(), &mut &tree, &mut visit);
    outcome.map(|()| visit.1).map_err(|broken| (broken.at, broken.what))
}

#[test]
fn values_are_found_at_their_paths_in_any_order() {
    let line = r#" {"c" : [1, {"x": "]"}] , "a":{"b":"te\"xt","z":{}}, "n":null, "d":-1.5e3} "#;
    let found = read(line, &["a.b", "c", "d", "n"]).unwrap();
    let mut texts: Vec<(usize, String)> =
        found.values.iter().map(|(column, value)| (*column, shown(value, line.as_bytes()).into_owned())).collect();
    texts.sort();
    let expected = [(0, "te\"xt"), (1, "[1, {\"x\": \"]\"}]"), (2, "-1.5e3"), (3, "null")];
    assert_eq!(texts, expected.map(|(column, text)| (column, text.to_owned())));
    assert!(found.unknown.len() == 1, "z is no column, though it holds nothing: {:?}", found.unknown);
}

#[test]
fn keys_are_compared_without_their_escapes() {
    assert_eq!(read(r#"{"\u0061":1}"#, &["a"]).unwrap().values.len(), 1);
    assert_eq!(read(r#"{"b":1,"c":null}"#, &["a"]).unwrap().unknown.len(), 1);
}

#[test]
fn every_broken_line_is_located() {
    for (line, at) in [
        ("", 0),
        ("1", 0),
        ("[1]", 0),
        ("{", 1),
        ("{\"a\"", 4),
        ("{\"a\" 1}", 5),
        ("{\"a\":}", 5),
        ("{\"a\":1", 6),
        ("{\"a\":1,}", 7),
        ("{,\"a\":1}", 1),
        ("{\"a\":1 \"b\":2}", 7),
        ("{\"a\":1} x", 8),
        ("{\"a\":1}{\"a\":2}", 7),
        ("{\"a\":01}", 6),
        ("{\"a\":1.}", 7),
        ("{\"a\":-}", 6),
        ("{\"a\":+1}", 5),
        ("{\"a\":1e}", 7),
        ("{\"a\":tru}", 5),
        ("{\"a\":\"x}", 8),
        ("{\"a\":\"\t\"}", 6),
        ("{\"a\":\"\\x\"}", 6),
        ("{\"a\":\"\\ud800\"}", 6),
        ("{\"a\":\"\\u12g4\"}", 6),
        ("{\"a\":[1,]}", 8),
        ("{\"a\":[1 2]}", 8),
    ] {
        assert_eq!(read(line, &["a"]).map(|_| ()).unwrap_err().0, at, "{line}");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    assert!(read(&deep, &["a"]).map(|_| ()).unwrap_err().1.contains("deep"));
}

#[test]
fn the_type_of_a_value_is_what_json_says_and_dates_are_dates() {
    use ColumnType::*;
    for (json, expected) in [
        ("null", Null),
        ("true", Boolean),
        ("-7", Int64),
        ("9223372036854775808", Float64),
        ("1.0", Float64),
        ("1e999", Utf8),
        ("\"7\"", Utf8),
        ("\"true\"", Utf8),
        ("\"\"", Utf8),
        ("\"2001-02-03\"", Date),
        ("\"2001-02-03T04:05:06Z\"", Timestamp),
        ("\"2001-02-30\"", Utf8),
        ("[1]", Utf8),
    ] {
        let line = format!("{{\"a\":{json}}}");
        let found = read(&line, &["a"]).unwrap();
        let (_, value) = found.values[0];
        assert_eq!(value_type(&value, line.as_bytes()), expected, "{json}");
        let (_, misfits) = column([value].into_iter(), line.as_bytes(), expected, false);
        assert!(misfits.is_empty(), "a column of its type holds a value: {json}");
        let (_, misfits) = column([value].into_iter(), line.as_bytes(), Null, false);
        assert_eq!(misfits.is_empty(), value.kind == Kind::Null, "{json}");
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<i32>().prop_map(|number| Json::from(f64::from(number) / 8.0)),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::hash_map("[a-c\"\\\\é]{1,2}", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// serde_json is the judge of what is JSON, and of what its values are.
    #[test]
    fn what_is_a_record_and_what_is_in_it_agrees_with_serde_json(value in any_json(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let line = serde_json::json!({ "a": value }).to_string();
        let found = read(&line, &["a"]);
        let found = found.unwrap();
        match &value {
            Json::Object(_) => prop_assert!(found.values.iter().all(|(_, value)| value.kind == Kind::Nested)),
            Json::String(text) => prop_assert_eq!(&shown(&found.values[0].1, line.as_bytes()), text),
            other => prop_assert_eq!(
                serde_json::from_slice::<Json>(found.values[0].1.raw(line.as_bytes())).unwrap(), other.clone()),
        }
        let mut bytes = line.into_bytes();
        let at = cut.index(bytes.len());
        bytes[at] = byte;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let judged = serde_json::from_str::<Json>(text);
            // At a number that no double holds, the judge stops; the grammar goes on.
            let is_judged = !judged.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
            if is_judged {
                prop_assert_eq!(read(text, &["a"]).is_ok(), judged.is_ok_and(|json| json.is_object()), "{}", text);
            }
        }
    }

    #[test]
    fn unescaping_agrees_with_serde_json(text in any::<String>()) {
        let json = Json::from(text.clone()).to_string();
        prop_assert_eq!(unescape(&json.as_bytes()[1..json.len() - 1]), text);
    }
}
