//! The strata that are not in the table, and what they mean for the run.

use super::options::OnError;
use crate::error::{Error, Result};
use crate::exec::Warning;
use std::collections::BTreeMap;

/// So many strata that were left out are told of one by one.
const TOLD: usize = 10;

/// How many strata failed, and the errors of the first of them, in the order of keys.
#[derive(Debug, Default)]
pub(super) struct Failures {
    first: BTreeMap<usize, Error>,
    count: usize,
}

impl Failures {
    /// One more stratum failed; its error is made only if it may be told.
    ///
    /// # Errors
    /// Those of making it.
    pub(super) fn note(&mut self, stratum: usize, error: impl FnOnce() -> Result<Error>) -> Result<()> {
        self.count += 1;
        if self.first.len() < TOLD || self.first.keys().next_back().is_some_and(|last| stratum < *last) {
            self.first.insert(stratum, error()?);
            if self.first.len() > TOLD {
                self.first.pop_last();
            }
        }
        Ok(())
    }

    /// How many strata failed.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// What they mean for a run over so many strata: when all have failed, nothing is left to be skipped to.
    ///
    /// # Errors
    /// That of the first, unless they are to be skipped.
    pub(super) fn settle(&self, on_error: OnError, strata: usize) -> Result<Vec<Warning>> {
        let Some(first) = self.first.values().next() else { return Ok(Vec::new()) };
        let more = |told: usize| if self.count == told + 1 { "stratum" } else { "strata" };
        match on_error {
            OnError::Skip if self.count < strata => {
                let told = self.first.values().map(|error| Warning(format!("left out: {error}")));
                let rest = (self.count > TOLD)
                    .then(|| Warning(format!("left out: {} more {}", self.count - TOLD, more(TOLD))));
                Ok(told.chain(rest).collect())
            }
            _ if self.count == 1 => Err(first.clone()),
            _ => {
                let message = format!("{}\n({} more {} failed)", first.message(), self.count - 1, more(1));
                let error = Error::new(first.kind(), message);
                Err(match first.hint_text() {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_first_are_told_and_the_others_counted_in_whatever_order_they_come() {
        let mut failures = Failures::default();
        assert!(failures.settle(OnError::Fail, 0).unwrap().is_empty());
        let mut made = 0;
        for stratum in (0..1000).map(|at| at * 387 % 1000) {
            let mut error = || {
                made += 1;
                Ok(Error::new(ErrorKind::Task, format!("stratum {stratum}")).hint("look"))
            };
            failures.note(stratum, &mut error).unwrap();
        }
        assert!(failures.first.keys().copied().eq(0..TOLD) && failures.count() == 1000 && made < 200, "{made}");
        let told = failures.settle(OnError::Skip, 2000).unwrap();
        assert_eq!((told.len(), told[9].0.as_str()), (11, "left out: stratum 9\nhint: look"));
        assert_eq!(told[10].0, "left out: 990 more strata");
        for (on_error, strata) in [(OnError::Fail, 2000), (OnError::Skip, 1000)] {
            let error = failures.settle(on_error, strata).unwrap_err();
            assert_eq!(error.to_string(), "stratum 0\n(999 more strata failed)\nhint: look");
        }
    }
}
