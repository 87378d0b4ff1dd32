//! What parses to what, what is refused and how, and that no text does worse than an error.

use super::*;
use crate::error::ErrorKind;
use crate::expr::{Expr, col, count_rows, lit, when};
use crate::types::ColumnType;
use proptest::prelude::*;

/// The canonical text of what `text` parses to.
fn canonical(text: &str) -> String {
    let expr = parse_expr(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let shown = expr.to_string();
    assert_eq!(parse_expr(&shown).unwrap(), expr, "{text} does not survive as {shown}");
    shown
}

#[test]
fn expressions_have_one_canonical_text() {
    for (typed, shown) in [
        ("min( DepDelay )", "min(DepDelay)"),
        ("AVG(ArrDelay)", "mean(ArrDelay)"),
        ("stddev(x)", "std(x)"),
        ("COUNT(*)", "count(*)"),
        ("count()", "count(*)"),
        ("mean(ArrDelay>15)", "mean(ArrDelay > 15)"),
        ("a==1 AND NOT b!=2 OR c", "a = 1 and not b <> 2 or c"),
        ("(a or b) and c", "(a or b) and c"),
        ("a or (b and c)", "a or b and c"),
        ("a - (b - c) - d", "a - (b - c) - d"),
        ("a - b * -c", "a - b * -c"),
        ("-(-x)", "-(-x)"),
        ("- 5", "-5"),
        ("-(5)", "-(5)"),
        ("a - -5", "a - -5"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1e3", "1000.0"),
        (".5", "0.5"),
        ("DepTime // 100 % 24", "DepTime // 100 % 24"),
        ("x/2", "x / 2"),
        ("-a ^ 2 * b", "-power(a, 2) * b"),
        ("a * (b + 1)^2", "a * power(b + 1, 2)"),
        ("wavg(x,w)", "weighted_mean(x, w)"),
        ("any(x > 0) and ALL(y)", "bool_or(x > 0) and bool_and(y)"),
        ("histogram(x, -1, 1, 4)", "histogram(x, -1, 1, 4)"),
        ("max_by(x, y)", "arg_max(x, y)"),
        ("ols(y, x, weights = w, intercept = false)", "ols(y, x, weights => w, intercept => false)"),
        (
            "ols('y ~ f * x - 1', weights => w).n",
            "ols(y, f, x, weights => w, terms => '1 + 2 + 1:2', intercept => false).n",
        ),
        ("ols('y ~ .')", "ols(y, *)"),
        ("string_agg(x, '-' order by y desc nulls first, z)", "string_agg(x, '-' order by y is null desc, y desc, z)"),
        ("LIST(x ORDER BY y ASC) filter (where z)", "list(case when z then x end order by y)"),
        ("listagg(x, ',') within group (order by x)", "string_agg(x, ',' order by x)"),
        ("percentile_cont(0.25) within group (order by x desc)", "quantile(x, 0.75)"),
        ("sum(x order by y)", "sum(x)"),
        ("first(x order by y + 1, `order`)", "first(x order by y + 1, `order`)"),
        ("d + interval '1 month' - interval 90 minute", "date_add(date_add(d, '1 month'), '-90 minutes')"),
        ("interval (n * 2) days + d", "date_add(d, '1 day', n * 2)"),
        ("date_add(d, interval 1 week) + day", "date_add(d, '7 days') + day"),
        ("date_part('dow', d) + extract(epoch from d)", "dow(d) + epoch(d)"),
        ("s !~* 'x' and t like 'a!_%b\\' escape '!'", "not regexp_matches(s, 'x', 'i') and t like 'a\\_%b\\\\'"),
        ("left(s, -2) || right(s, -1)", "substring(s, 1, length(s) + -2) || substring(s, 2)"),
        ("corr_matrix(*)", "corr_matrix(*)"),
        ("residual(ols('y ~ x', weights => w))", "y - predicted(ols(y, x, weights => w))"),
        ("pca(x, y + 1, scale => true)", "pca(x, y + 1, scale => true)"),
        ("approx_topk(x, 3)", "approx_top_k(x, 3)"),
        ("logit(y > 1, x, f).aic", "logistic(y > 1, x, f).aic"),
        (
            "residual(Poisson('y ~ x - 1', weights => w))",
            "cast(y as float64) - predicted(poisson(y, x, weights => w, intercept => false))",
        ),
        ("predict(m, x) + predicted(ols(y, *))", "predict(m, x) + predicted(ols(y, *))"),
        ("\"it's\" || 'a\"b'", "'it''s' || 'a\"b'"),
        ("`Arr Delay` + `by`", "`Arr Delay` + `by`"),
        ("`a``b`", "`a``b`"),
        ("`plain`", "plain"),
        ("Größe > 1", "Größe > 1"),
        ("x is not null and y is null", "x is not null and y is null"),
        ("x not in (1, 2)", "x not in (1, 2)"),
        ("not x in (1)", "x not in (1)"),
        ("x between 1 and 2", "x >= 1 and x <= 2"),
        ("x not between 1 and 2", "not (x >= 1 and x <= 2)"),
        ("a like 'x%' or a not ilike '_y'", "a like 'x%' or a not ilike '_y'"),
        ("case when a then 1 else 2 end", "case when a then 1 else 2 end"),
        ("case a when 1 then 'x' end", "case when a = 1 then 'x' end"),
        ("x::FLOAT64", "cast(x as float64)"),
        ("-x::int", "-cast(x as int64)"),
        ("try_cast(x as bigint)", "try_cast(x as int64)"),
        ("date '2001-02-03'", "date '2001-02-03'"),
        ("timestamp \"2001-02-03 10:00\"", "timestamp '2001-02-03T10:00:00'"),
        ("extract(Year from d)", "year(d)"),
        ("substr(a, 1, 2)", "substring(a, 1, 2)"),
        ("TRIM(a)", "trim(a)"),
        ("median(x)", "median(x)"),
        ("quantile(x, .95)", "quantile(x, 0.95)"),
        ("Quantile_Cont(x, 1)", "quantile(x, 1)"),
        ("quantile_disc(x, 1e-3)", "quantile_disc(x, 0.001)"),
        ("COUNT(DISTINCT a)", "n_unique(a)"),
        ("count(distinct (a + 1))", "n_unique(a + 1)"),
        ("group_concat(t)", "string_agg(t, ',')"),
        ("listagg(t, \"; \")", "string_agg(t, '; ')"),
        ("distinct * 2", "distinct * 2"),
        ("floor(x)", "floor(x)"),
        ("Year", "Year"),
        ("make_date(Year, Month, DayofMonth)", "make_date(Year, Month, DayofMonth)"),
        ("date > month", "date > month"),
        ("count + extract + timestamp", "count + extract + timestamp"),
        ("year(date)", "year(date)"),
        ("(a = b) is null", "a = b is null"),
        ("a = (b is null)", "a = (b is null)"),
        ("(not a) = b", "(not a) = b"),
        ("null", "null"),
        ("(a < b) < c", "(a < b) < c"),
        ("a < (b < c)", "a < (b < c)"),
    ] {
        assert_eq!(canonical(typed), shown, "{typed}");
    }
}

#[test]
fn a_question_has_its_clauses_in_any_order() {
    let question = parse_question(
        "count(*) as n, mean(ArrDelay) BY UniqueCarrier, DepTime // 100 as hour WHERE Month = 12 \
         having n > 100 ORDER BY n desc, hour asc, `desc` LIMIT 10;",
    )
    .unwrap();
    assert_eq!(question.select, [count_rows().alias("n"), col("ArrDelay").mean()]);
    assert_eq!(question.by, [col("UniqueCarrier"), col("DepTime").floor_div(100).alias("hour")]);
    assert_eq!(question.filter, Some(col("Month").eq(12)));
    assert_eq!(question.having, Some(col("n").gt(100)));
    let sort: Vec<_> = question.sort.iter().map(|key| (key.expr.to_string(), key.descending)).collect();
    assert_eq!(sort, [("n".into(), true), ("hour".into(), false), ("`desc`".into(), false)]);
    assert_eq!(question.limit, Some(10));
    let part = |span: &Range<usize>| &question.text[span.clone()];
    assert_eq!(part(&question.spans.select[0]), "count(*) as n");
    assert_eq!(part(&question.spans.by[1]), "DepTime // 100 as hour");
    assert_eq!(part(question.spans.filter.as_ref().unwrap()), "Month = 12");
    assert_eq!(part(&question.spans.sort[2]), "`desc`");

    let turned = parse_question("* limit 3 sort by x where case when a then (b) else c end").unwrap();
    assert_eq!(turned.select, [Expr::Wildcard]);
    assert_eq!(turned.filter, Some(when(col("a")).then(col("b")).otherwise(col("c"))));
}

#[test]
fn distinct_stands_before_a_select_list_or_is_a_column() {
    for text in ["distinct a, b", "DISTINCT `by` where x = 1", "distinct *", "distinct (a + b) as c", "distinct *, a"] {
        let question = parse_question(text).unwrap();
        assert!(question.distinct && question.select[0] != col("distinct"), "{text}");
        assert_eq!(question.select.len(), question.spans.select.len());
    }
    for text in ["distinct, a", "distinct as d", "distinct + 1", "distinct * 2", "distinct is null", "`distinct`", "a"]
    {
        assert!(!parse_question(text).unwrap().distinct, "{text}");
    }
}

#[test]
fn errors_underline_the_text_and_say_what_to_do() {
    let questions = [
        "",
        "where x = 1",
        "a b",
        "count(*) n",
        "select a",
        "select * from data",
        "a from data",
        "a, , b",
        "a,",
        "(a",
        "a)",
        "a +",
        "a as",
        "a as limit",
        "a as 'x'",
        "a as b c",
        "(a as b)",
        "limt(a)",
        "meen(a)",
        "log(a, b, c)",
        "concat()",
        "left(a, b)",
        "if(a, b)",
        "upper(a, b)",
        "sum(a, b)",
        "sum(*)",
        "median(distinct a)",
        "string_agg(distinct a, ',' order by a desc)",
        "upper(distinct a)",
        "quantile(a)",
        "quantile(a, 95)",
        "quantile(a, b + 1)",
        "string_agg(a, 3)",
        "distinct 'a'",
        "sum(a) over (by b)",
        "a where b where c",
        "a group x",
        "a by",
        "a limit",
        "a limit -1",
        "a limit 1.5",
        "a limit b",
        "a sort b desc nulls",
        "a qualify",
        "a where 1 < rank() over (order by b)",
        "a by rank() over (order by b)",
        "sum(a) over w",
        "row_number()",
        "a sort b down",
        "a is 5",
        "a = 'open",
        "a = `open",
        "a --5",
        "a & 1",
        "cast(a as flota64)",
        "cast(a int64)",
        "date '2001-02-30'",
        "extract(era from a)",
        "99999999999999999999",
        "(a, b) = 1",
        "a join b on a in (select b)",
        "a in (select b",
        "a like 'x!' escape '!'",
        "a like 'x' escape '!!'",
        "interval '1 month'",
        "d * interval 1 day",
        "d + interval '1 fortnight'",
        "sum(upper(a order by b))",
        "arg_min(a, b order by c)",
        "case when a then b",
        "case a end",
        "x'ff'",
        "$1",
        "[1]",
        "a[1]",
        "{'a': 1}",
        "a = any(b)",
        "a\n+ * b",
        "Größe ü",
        "a where `x y` = 1 sort `x y` x",
    ];
    let shown: Vec<String> = questions
        .iter()
        .map(|text| match parse_question(text) {
            Ok(question) => panic!("{text} parsed as {question:?}"),
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Internal, "{text}");
                error.to_string()
            }
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn binding_errors_find_their_place() {
    use arrow::datatypes::{DataType, Field, Schema};
    let schema = Schema::new(vec![Field::new("DepDelay", DataType::Int64, true)]);
    let question = parse_question("min(DepDelay) where 'DepDelys' = 'x' or DepDelys > 0").unwrap();
    let error = question.filter.as_ref().unwrap().bind(&schema).unwrap_err();
    let error = question.underline(error, question.spans.filter.as_ref().unwrap());
    assert_eq!(
        error.to_string(),
        "no column `DepDelys`\n  min(DepDelay) where 'DepDelys' = 'x' or DepDelys > 0\n  \
         \u{20}                                       ^^^^^^^^\nhint: did you mean `DepDelay`?"
    );
    assert_eq!(question.locate("DepDelay"), Some(4..12));
    assert_eq!(question.locate("x"), None);
}

#[test]
fn a_file_of_questions_skips_comments_and_names_the_line() {
    let questions = parse_questions("q.txt", "\u{feff}# first\n\n min(a) \r\n  # more\nmax(a)").unwrap();
    assert_eq!(questions.iter().map(|question| question.text.to_string()).collect::<Vec<_>>(), ["min(a)", "max(a)"]);
    let error = parse_questions("q.txt", "min(a)\nmax(").unwrap_err();
    assert_eq!(error.place().line, Some(2));
    assert_eq!(error.place().file.as_deref(), Some("q.txt"));
}

#[test]
fn hostile_depth_is_an_error_not_a_crash() {
    let long = |piece: &str, times: usize| piece.repeat(times);
    for text in [
        long("(", 100_000),
        long("(", 30_000) + "1" + &long(")", 30_000),
        long("not ", 50_000) + "a",
        long("- ", 50_000) + "a",
        long("a + ", 50_000) + "a",
        long("a and ", 40_000) + "a",
        long("a = ", 50_000) + "a",
        "a".to_string() + &long("::int", 40_000),
        "a".to_string() + &long(" is null", 30_000),
        "a".to_string() + &long(".a", 50_000),
        "a".to_string() + &long("[1]", 50_000),
        long("f(", 50_000),
        long("case when ", 20_000),
        long("cast(", 20_000),
        long("abs(a, b) + ", 10_000) + "a",
        long("abs(", 49) + "a" + &long(")", 49),
        long("case abs(", 24) + "a",
        long("{", 50_000),
        long("[", 50_000),
        long("a ", 100_000),
        long("`", 99_999),
        long("a", 1 << 19),
    ] {
        let start = std::time::Instant::now();
        let _ = parse_expr(&text).map_err(|error| error.to_string());
        let _ = parse_question(&text);
        assert!(start.elapsed().as_secs() < 5, "{} took {:?}", &text[..20], start.elapsed());
    }
    let list: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    assert!(parse_expr(&format!("x in ({})", list.join(","))).is_ok());
    let branches: String = (0..900).map(|n| format!(" when x = {n} then '{n}'")).collect();
    assert!(parse_expr(&format!("case{branches} end")).is_ok());
}

#[test]
fn the_deepest_expression_accepted_is_also_bound_shown_and_evaluated() {
    use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
    let column: ArrayRef = std::sync::Arc::new(BooleanArray::from(vec![true]));
    let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
    for (piece, end, times) in [("a + ", "a", 126), ("a and ", "a", 126), ("a or ", "a", 126), ("not ", "a", 48)] {
        let expr = parse_expr(&(piece.repeat(times) + end)).unwrap();
        expr.bind(batch.schema_ref()).unwrap().evaluate(&batch).unwrap();
        assert_eq!(parse_expr(&expr.to_string()).unwrap(), expr);
    }
    let postfix = parse_expr(&("a".to_string() + &" is null".repeat(126))).unwrap();
    postfix.bind(batch.schema_ref()).unwrap().evaluate(&batch).unwrap();
    assert_eq!(parse_expr(&postfix.to_string()).unwrap(), postfix);
}

fn any_literal() -> impl Strategy<Value = Expr> {
    prop_oneof![
        Just(lit(None::<i64>)),
        any::<bool>().prop_map(lit),
        any::<i64>().prop_map(lit),
        prop_oneof![any::<f64>().prop_filter("finite", |value| value.is_finite()), Just(-0.0)].prop_map(lit),
        "[ -~é'`\"]{0,6}".prop_map(lit),
        any::<i32>().prop_map(|days| Expr::Literal(crate::expr::Literal::Date(days))),
        any::<i64>().prop_map(|micros| Expr::Literal(crate::expr::Literal::Timestamp(micros))),
    ]
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let names = prop_oneof!["[a-zA-Zé_][a-z0-9_]{0,5}", "[ -~é]{1,6}", Just("limit".to_string()), Just("Date".into())];
    let leaf = prop_oneof![names.prop_map(col), any_literal()];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            12 => (two.clone(), 0_usize..15).prop_map(|((a, b), op)| {
                use crate::expr::BinaryOp::*;
                let ops = [Add, Sub, Mul, Divide, FloorDivide, Modulo, Concat, Eq, NotEq, Lt, LtEq, Gt, GtEq, And, Or];
                Expr::Binary { left: Box::new(a), op: ops[op], right: Box::new(b) }
            }),
            4 => inner.clone().prop_map(|a| -a),
            4 => inner.clone().prop_map(|a| !a),
            1 => inner.clone().prop_map(Expr::is_null),
            1 => inner.clone().prop_map(Expr::is_not_null),
            1 => inner.clone().prop_map(|a| a.cast(ColumnType::Float64)),
            1 => inner.clone().prop_map(|a| a.try_cast(ColumnType::Date)),
            1 => (two.clone(), any::<bool>()).prop_map(|((a, b), ignore_case)| Expr::Like {
                expr: Box::new(a),
                pattern: Box::new(b),
                ignore_case
            }),
            1 => (inner.clone(), prop::collection::vec(inner.clone(), 1..4)).prop_map(|(a, list)| a.is_in(list)),
            1 => two.clone().prop_map(|(a, b)| a.coalesce(b)),
            1 => (two.clone(), inner.clone()).prop_map(|((a, b), c)| when(a).then(b).otherwise(c)),
            1 => two.prop_map(|(a, b)| when(a).then(b).end()),
            1 => inner.clone().prop_map(Expr::sum),
            1 => inner.prop_map(|a| a.substring(1, 2)),
            1 => Just(count_rows()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn text_of_an_expression_parses_back_to_it(expr in any_expr()) {
        let text = expr.to_string();
        match parse_expr(&text) {
            Ok(parsed) => prop_assert_eq!(parsed, expr, "{}", text),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _ = parse_question(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn no_soup_of_words_panics(words in prop::collection::vec(prop::sample::select(vec![
        "a", "b", "(", ")", ",", "and", "or", "not", "is", "null", "in", "between", "like", "case", "when", "then",
        "else", "end", "cast", "as", "by", "group", "where", "having", "sort", "order", "limit", "desc", "extract",
        "from", "date", "'x'", "\"y\"", "`z`", "1", "2.5", "+", "-", "*", "/", "//", "%", "||", "=", "==", "<>", "<",
        "::", "int64", "count", "sum", "interval", "array", "[", "]", "{", "}", ".", ";", ":", "?", "@", "#", "!",
        "\n", "\r\n", "é", "exists", "select", "over", "escape", "at", "time", "zone", "->", "&&", "e'", "x'",
        "partition", "rows", "preceding", "current", "row", "ignore", "nulls", "first", "qualify", "any", "with",
    ]), 0..25), glue in "[ ]?") {
        let text = words.join(&glue);
        let _ = parse_question(&text).map_err(|error| error.to_string());
        let _ = parse_expr(&text).map_err(|error| error.to_string());
    }
}

/// Kind, table and conditions of the joins of a question.
fn joins(text: &str) -> Vec<String> {
    let question = parse_question(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let shown = |clause: &JoinClause| {
        let on: Vec<String> = clause.on.iter().map(|on| on.condition.to_string()).collect();
        let name = if clause.is_name { "table" } else { "file" };
        let alias = clause.alias.as_ref().map(|alias| format!(" as {alias}")).unwrap_or_default();
        format!("{} {name} {}{alias} on {}", clause.kind, clause.table, on.join(" and "))
    };
    question.joins.iter().map(shown).collect()
}

#[test]
fn joins_take_their_kind_before_them_after_them_or_behind_the_condition() {
    let left = ["left file b.csv on x = y"];
    for text in [
        "a left join 'b.csv' on x = y",
        "a LEFT OUTER JOIN \"b.csv\" on x == y",
        "a join left 'b.csv' on x = y",
        "a join 'b.csv' on x = y left",
        "a join 'b.csv' on x = y left where a > 1",
        "a where a > 1 join 'b.csv' on x = y left",
    ] {
        assert_eq!(joins(text), left, "{text}");
    }
    assert_eq!(joins("a join b on x = y"), ["inner table b on x = y"]);
    assert_eq!(joins("a semi join `my table` using (x, y)"), ["semi table my table on x = x and y = y"]);
    assert_eq!(joins("a cross join b by a"), ["cross table b on "]);
    assert_eq!(
        joins("a join b on upper(x) = y and z = case when u and v then 1 end anti"),
        ["anti table b on upper(x) = y and z = case when u and v then 1 end"]
    );
    assert_eq!(joins("a join b on x = y left join c on u = v"), ["inner table b on x = y", "left table c on u = v"]);
    assert_eq!(joins("left, right where anti = 1"), Vec::<String>::new(), "the kinds are names elsewhere");
    assert_eq!(joins("a join left on x = left"), ["inner table left on x = left"]);
    assert_eq!(joins("a join b on x = y and z > 5 and w"), ["inner table b on x = y and z > 5 and w"]);
    assert_eq!(joins("a join 'b.csv' as p on x = p.x left"), ["left file b.csv as p on x = `p.x`"]);
    assert_eq!(joins("a left join b as `my b` using (x)"), ["left table b as my b on x = x"]);
    assert_eq!(joins("a join b on left.x = right.left"), ["inner table b on `left.x` = `right.left`"]);
    assert_eq!(
        joins("p.by, p.limit join b as p on x = p.order and y = p.right"),
        ["inner table b as p on x = `p.order` and y = `p.right`"]
    );
    for text in [
        "count(*) as n join b on x = y",
        "a, b join b on x = y",
        "a by a join b on x = y",
        "case when a then b end join b on x = y",
        "a where a is null join b on x = y",
        "a sort a desc join b on x = y",
        "a limit 3 join b on x = y",
        "a where x and y join b on x = y",
    ] {
        assert_eq!(joins(text), ["inner table b on x = y"], "{text}");
    }
}

#[test]
fn wrong_joins_are_underlined() {
    for (text, message, underlined) in [
        ("a join", "nothing after `join`", "join"),
        ("a join 'b'", "a join says what must be equal", "join 'b'"),
        ("a join on x = y", "a join needs a table", "on"),
        ("a join b.csv on x = y", "expected `on` or `using` after the table", "."),
        ("count(*) lft join b on x = y", "no kind of join is called `lft`", "lft"),
        ("a natural join b", "no kind of join is called `natural`", "natural"),
        ("a join b on x = y outer join c on u = v", "no kind of join is called `outer`", "outer"),
        ("a join b on x = y and", "an expression is missing", ""),
        ("a left join b on x = y semi", "a second kind of join", "semi"),
        ("a cross join b on x = y", "a cross join has no keys", "on x = y"),
        ("a join b as on x = y", "a name is missing after `as`", "as"),
        ("a join b p on x = y", "expected `on` or `using` after the table", "p"),
        ("a join b using x", "`using` takes names in parentheses", "x"),
        ("a join b using (x + 1)", "`using` takes names of columns", "x + 1"),
    ] {
        let error = parse_question(text).unwrap_err();
        let place = error.underlined().unwrap();
        assert_eq!((error.message(), &place.text[place.range.clone()]), (message, underlined), "{text}");
    }
}

#[test]
fn comparisons_do_not_chain() {
    for text in ["count(*) where 3 < val < 5", "a = b = c", "count(*) by k where 1 <= v <= 2 and w"] {
        let error = parse_question(text).unwrap_err();
        assert_eq!(error.message(), "a comparison is no operand of another one", "{text}");
    }
    for text in ["count(*) where (v > 20) = w", "count(*) where v > 20 and v < 30", "a = b and c = d"] {
        parse_question(text).unwrap();
    }
}
