//! How texts are written: one grammar, as DuckDB has it but for powers, and a query begins with `select`.
//!
//! Questions and SQL differ in what double quotes mean, and in words: in a question those that mean something have been picked out
//! before it is parsed, so that all others are names, and none falls back to being one.

use crate::expr::display::{is_name_part, is_name_start};
use sqlparser::dialect::{Dialect, DuckDbDialect, Precedence};
use sqlparser::keywords::{Keyword, RESERVED_FOR_IDENTIFIER};
use std::any::TypeId;

/// The grammar, for the tokeniser and the parser.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grammar {
    /// Double quotes are names, and not text.
    pub(super) double_quotes_are_names: bool,
    /// Words that are keywords still can be nothing else.
    pub(super) keywords_are_settled: bool,
}

impl Grammar {
    /// Of statements.
    pub(super) const SQL: Grammar = Grammar { double_quotes_are_names: true, keywords_are_settled: false };
    /// Of questions and expressions.
    pub(super) const QUESTION: Grammar = Grammar { double_quotes_are_names: false, keywords_are_settled: true };
    /// Of expressions of questions that have queries in them, whose words are those of SQL.
    pub(super) const WITH_QUERIES: Grammar = Grammar { double_quotes_are_names: false, keywords_are_settled: false };
}

impl Dialect for Grammar {
    // `//` is built into sqlparser for DuckDB only.
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        is_name_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        is_name_part(ch)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`' || ch == '"' && self.double_quotes_are_names
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        match self.keywords_are_settled {
            true => keyword != Keyword::NoKeyword,
            false => RESERVED_FOR_IDENTIFIER.contains(&keyword),
        }
    }

    /// A power binds more tightly than a product.
    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Caret => DuckDbDialect {}.prec_value(Precedence::MulDivModOp) + 5,
            other => DuckDbDialect {}.prec_value(other),
        }
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_trailing_commas(&self) -> bool {
        true
    }

    fn supports_dictionary_syntax(&self) -> bool {
        true
    }

    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    fn supports_from_first_select(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_limit_comma(&self) -> bool {
        true
    }

    fn supports_try_convert(&self) -> bool {
        true
    }

    fn convert_type_before_value(&self) -> bool {
        true
    }
}
