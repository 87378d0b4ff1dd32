//! What the programs of groups say on stderr: once, and not once a group, where many say the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// So many different texts are remembered; what comes then is shown each time.
const REMEMBERED: usize = 100;

/// What has been said, by whom first, and how many others said it.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<HashMap<String, (String, u64)>>);

impl Said {
    /// Whether this text is to be shown: nobody has said it before.
    pub(super) fn is_new(&self, group: &str, text: &str) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get_mut(text) {
            Some((_, others)) => {
                *others += 1;
                false
            }
            None => {
                if known.len() < REMEMBERED {
                    known.insert(text.to_owned(), (group.to_owned(), 0));
                }
                true
            }
        }
    }

    /// A sentence for each text that others have said too.
    pub(super) fn repeated(&self) -> Vec<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sentences: Vec<String> = known
            .values()
            .filter(|(_, others)| *others > 0)
            .map(|(group, others)| {
                let groups = if *others == 1 { "group" } else { "groups" };
                format!("the programs of {others} more {groups} said on stderr what that of {group} said")
            })
            .collect();
        sentences.sort();
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_once_and_counted() {
        let said = Said::default();
        let shown = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "x")].map(|(group, text)| said.is_new(group, text));
        assert_eq!(shown, [true, false, true, false]);
        assert_eq!(said.repeated(), ["the programs of 2 more groups said on stderr what that of a said"]);
        assert!((0..2 * REMEMBERED).all(|at| said.is_new("e", &at.to_string())));
        assert!(said.0.lock().unwrap().len() <= REMEMBERED);
    }
}
