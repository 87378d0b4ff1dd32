//! `string_agg`.

use super::{Chunk, Fold, Stretch};
use crate::aggregate::store::typed;
use crate::aggregate::{Aggregate, Constant, Exactness, Over, wrong_arguments};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{ArrayRef, StringViewArray, StringViewBuilder};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// The texts of a group in input order, a separator between any two. Nulls are left out; null over no text.
#[derive(Clone, Debug, PartialEq)]
pub struct StringAgg {
    separator: Arc<str>,
}

impl StringAgg {
    /// Texts joined by `separator`.
    pub fn new(separator: impl Into<Arc<str>>) -> Self {
        StringAgg { separator: separator.into() }
    }
}

impl Aggregate for StringAgg {
    fn name(&self) -> &str {
        "string_agg"
    }

    fn constants(&self) -> Vec<Constant> {
        vec![Constant::Text(Arc::clone(&self.separator))]
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Utf8View | DataType::Null] => Ok(DataType::Utf8View),
            [_] => Err(wrong_arguments(self, "one column of texts", arguments)
                .hint("other values are made texts by a cast: string_agg(cast(x as utf8), ', ')")),
            _ => Err(wrong_arguments(self, "one column of texts", arguments)),
        }
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn over(&self) -> Over {
        Over::InputOrder
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        Ok(match self.output_type(arguments).map(|_| arguments)? {
            [DataType::Null] => Box::new(super::Nulls::new(DataType::Utf8View)),
            _ => Box::new(Joined {
                separator: Arc::clone(&self.separator),
                text: None,
                results: StringViewBuilder::new(),
                result_bytes: 0,
            }),
        })
    }
}

struct Joined {
    separator: Arc<str>,
    /// What the group that began last has so far.
    text: Option<String>,
    results: StringViewBuilder,
    result_bytes: usize,
}

impl Joined {
    fn end(&mut self) -> Result<()> {
        let text = self.text.take();
        let bytes = text.as_ref().map_or(0, String::len);
        self.result_bytes += bytes + size_of::<u128>();
        match text {
            None => self.results.append_null(),
            Some(text) => self.results.try_append_value(text).map_err(|_| {
                Error::new(
                    ErrorKind::Limit,
                    format!("`string_agg` makes a text of {bytes} bytes, too long for a column"),
                )
            })?,
        }
        Ok(())
    }
}

impl Fold for Joined {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let texts = typed::<StringViewArray>(std::slice::from_ref(chunk.values), 0)?;
        for stretch in stretches {
            for row in stretch.rows.clone() {
                match &mut self.text {
                    None => self.text = Some(texts.value(row).to_owned()),
                    Some(text) => {
                        text.push_str(&self.separator);
                        text.push_str(texts.value(row));
                    }
                }
            }
            if stretch.ends {
                self.end()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        self.result_bytes = 0;
        Ok(Arc::new(self.results.finish()))
    }

    fn bytes_held(&self) -> usize {
        // Buffers of results double while they grow.
        self.text.as_ref().map_or(0, String::capacity) + 2 * self.result_bytes
    }
}
