//! `predict(model, x…)`: what fits predict for rows.

use super::value::{Numbers, Texts, Value, result_rows, valid_everywhere};
use crate::aggregate::Model;
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{Array, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use std::collections::HashMap;

/// So many models are kept as they were read.
const MOST_MODELS: usize = 1000;

/// A regressor by row.
enum Regressor<'a> {
    Numbers(Numbers<'a, Float64Type>),
    Texts(Texts<'a>),
}

impl<'a> Regressor<'a> {
    fn of(value: &'a Value) -> Result<Self> {
        match value.array().data_type() {
            DataType::Utf8View => Texts::of(value).map(Regressor::Texts),
            _ => Numbers::of(value).map(Regressor::Numbers),
        }
    }
}

/// What the model of each row predicts from its regressors, of which texts are factors; `text` names the call in an error.
pub(super) fn predict(text: &str, model: &Value, regressors: &[Value]) -> Result<Value> {
    let all: Vec<&Value> = std::iter::once(model).chain(regressors).collect();
    let rows = result_rows(&all);
    let nulls = valid_everywhere(&all, rows);
    let texts = Texts::of(model)?;
    let regressors = regressors.iter().map(Regressor::of).collect::<Result<Vec<_>>>()?;
    // By where their text is: rows of one group share it.
    let mut known: HashMap<(*const u8, usize), usize> = HashMap::new();
    let mut models: Vec<Model> = Vec::new();
    let mut levels = Vec::new();
    let mut predicted = Vec::with_capacity(rows);
    for row in 0..rows {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            predicted.push(None);
            continue;
        }
        let own = texts.at(row);
        let place = (own.as_ptr(), own.len());
        let at = match known.get(&place) {
            Some(at) => *at,
            None => {
                if models.len() == MOST_MODELS {
                    known.clear();
                    models.clear();
                }
                models.push(checked(text, own, &regressors)?);
                known.insert(place, models.len() - 1);
                models.len() - 1
            }
        };
        let number = |at: usize| match &regressors[at] {
            Regressor::Numbers(numbers) => numbers.at(row),
            Regressor::Texts(_) => f64::NAN,
        };
        let level = |at: usize| match &regressors[at] {
            Regressor::Texts(texts) => texts.at(row),
            Regressor::Numbers(_) => "",
        };
        predicted.push(models[at].predict(number, level, &mut levels));
    }
    Ok(Value::like(&all, Float64Array::from(predicted)))
}

/// The model of this text, if these regressors go with it.
fn checked(call: &str, text: &str, regressors: &[Regressor<'_>]) -> Result<Model> {
    let model = Model::parse(text).map_err(|error| {
        let hint = error.hint_text().map(str::to_owned).unwrap_or_default();
        Error::new(error.kind(), format!("`{call}` was given {}", error.message())).hint(hint)
    })?;
    let (factors, most) = model.shape();
    let fits =
        |(at, regressor): (usize, &Regressor<'_>)| factors.contains(&at) == matches!(regressor, Regressor::Texts(_));
    if most > regressors.len() || !regressors.iter().enumerate().all(fits) {
        let message = format!("`{call}` was given other regressors than its model has");
        return Err(Error::new(ErrorKind::Value, message).hint("they are those of the fit, in the same order"));
    }
    Ok(model)
}
