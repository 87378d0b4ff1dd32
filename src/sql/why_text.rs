//! Why a column is text that a question needs otherwise.

use crate::error::{Error, ErrorKind};
use crate::source::Source;
use std::collections::HashSet;
use std::sync::Arc;

/// A `Type` error with the values that made text of columns that are named, if some did.
pub(super) fn with_reasons(error: Error, sources: &[Arc<dyn Source>], is_named: &dyn Fn(&str) -> bool) -> Error {
    if error.kind() != ErrorKind::Type {
        return error;
    }
    let (mut reasons, mut seen) = (Vec::new(), HashSet::new());
    for source in sources.iter().filter(|source| seen.insert(source.key())) {
        let schema = source.schema();
        let named = schema.fields().iter().enumerate().filter(|(_, field)| is_named(field.name()));
        let why = named.filter_map(|(at, field)| Some((field.name(), source.why_text(at)?)));
        reasons.extend(why.map(|(name, why)| format!("`{name}` is text because {why}")));
    }
    if reasons.is_empty() {
        return error;
    }
    let remedy = "--null VALUE reads a value as missing";
    let hint = error.hint_text().map(|hint| format!("{hint}; ")).unwrap_or_default();
    error.hint(format!("{hint}{}; {remedy}", reasons.join("; ")))
}
