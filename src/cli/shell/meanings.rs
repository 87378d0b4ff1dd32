//! What the names of a session stand for, in the order in which they were given.
//!
//! A view rests on what names meant when it was made, be it what its own name meant before. So when a file has changed all names are given
//! again, in their order, and views find what they found then.

use super::opened::{Opened, Stamp, stamp};
use crate::cli::sql::files_of;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::LazyFrame;
use crate::sql::Session;
use std::collections::HashSet;
use std::sync::Arc;

/// All names that were given.
#[derive(Default)]
pub(super) struct Meanings {
    all: Vec<Meaning>,
}

struct Meaning {
    name: String,
    frame: LazyFrame,
    of: Of,
}

enum Of {
    Files(Opened),
    View {
        /// The statement that makes it.
        text: String,
        /// The files that it reads, as they were when it was made.
        stamp: Stamp,
        /// It could not be made again, and has no meaning.
        is_gone: bool,
    },
}

impl Meanings {
    /// A table has been opened.
    pub(super) fn opened(&mut self, opened: Opened, frame: LazyFrame) {
        // A table that no view has been made behind is of no use any more.
        let views = self.all.iter().rposition(|meaning| matches!(meaning.of, Of::View { .. })).map_or(0, |at| at + 1);
        let mut unused = self.all.split_off(views);
        unused.retain(|meaning| !meaning.name.eq_ignore_ascii_case(&opened.name));
        self.all.append(&mut unused);
        self.all.push(Meaning { name: opened.name.clone(), frame, of: Of::Files(opened) });
    }

    /// A statement has given a name to a query, or left it as it was because it had one; or has taken it away, as it is to be whenever
    /// names are given again.
    pub(super) fn viewed(&mut self, session: &Session, name: String, text: String) -> Result<()> {
        let frame = match (named(session, &name), self.last(&name)) {
            (Some(frame), Some(last)) if Arc::ptr_eq(last.frame.plan()?, frame.plan()?) => return Ok(()),
            (Some(frame), _) => frame,
            (None, Some(last)) => last.frame.clone(),
            (None, None) => return Ok(()),
        };
        let is_gone = |meaning: &Meaning| matches!(meaning.of, Of::View { is_gone: true, .. });
        self.all.retain(|meaning| !(is_gone(meaning) && meaning.name.eq_ignore_ascii_case(&name)));
        let of = Of::View { text, stamp: stamp(files_of(&frame)?), is_gone: false };
        self.all.push(Meaning { name, frame, of });
        Ok(())
    }

    /// What a table was opened from; `None` for a view.
    pub(super) fn table(&self, name: &str) -> Option<&Opened> {
        match &self.last(name)?.of {
            Of::Files(opened) => Some(opened),
            Of::View { .. } => None,
        }
    }

    fn last(&self, name: &str) -> Option<&Meaning> {
        self.all.iter().rfind(|meaning| meaning.name.eq_ignore_ascii_case(name))
    }

    /// The error for an unknown name, with the reason if that is a table that cannot be opened again.
    pub(super) fn explained(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Name {
            return error;
        }
        let mut named = self.all.iter().rev().filter(|it| error.message().contains(&format!("no table `{}`", it.name)));
        match named.next().map(|meaning| &meaning.of) {
            Some(Of::Files(Opened { told: Some(told), .. })) => error.hint(told.lines().next().unwrap_or(told)),
            _ => error,
        }
    }

    /// Gives all names again if files have changed; what could not be, and why. A table that cannot be opened has no name until it can:
    /// that is tried the next time.
    pub(super) fn renew(
        &mut self,
        session: &mut Session,
        open: impl Fn(&Opened) -> Result<LazyFrame>,
    ) -> Result<Vec<String>> {
        let (mut troubles, mut is_new) = (Vec::new(), false);
        let is_last = self.is_last();
        for (meaning, is_last) in self.all.iter_mut().zip(is_last) {
            match &mut meaning.of {
                Of::View { stamp: then, .. } => is_new |= *then != stamp(files_of(&meaning.frame)?),
                Of::Files(opened) => {
                    let Some(now) = opened.changed() else { continue };
                    match open(opened) {
                        Ok(frame) => {
                            (meaning.frame, is_new) = (frame, true);
                            opened.renewed(now);
                        }
                        Err(error) => {
                            let trouble = format!("the table {} cannot be opened again: {error}", opened.name);
                            if opened.is_news(&trouble) {
                                is_new = true;
                                troubles.extend(is_last.then_some(trouble));
                            }
                        }
                    }
                }
            }
        }
        if is_new {
            self.give(session, &mut troubles)?;
        }
        Ok(troubles)
    }

    /// Of each, whether its name means nothing else later: nobody asks for one that does.
    fn is_last(&self) -> Vec<bool> {
        let mut later = HashSet::new();
        let mut is_last: Vec<bool> =
            self.all.iter().rev().map(|meaning| later.insert(meaning.name.to_ascii_lowercase())).collect();
        is_last.reverse();
        is_last
    }

    fn give(&mut self, session: &mut Session, troubles: &mut Vec<String>) -> Result<()> {
        self.all.iter().for_each(|meaning| session.forget(&meaning.name));
        let is_last = self.is_last();
        for (Meaning { name, frame, of }, is_last) in self.all.iter_mut().zip(is_last) {
            let (text, known, is_gone) = match of {
                Of::View { text, stamp, is_gone } => (text, stamp, is_gone),
                Of::Files(opened) => {
                    session.forget(name);
                    if opened.told.is_none() {
                        session.register(name.clone(), frame.clone());
                    }
                    continue;
                }
            };
            let made = session.run(text);
            if let (Ok(_), Some(new)) = (&made, named(session, name)) {
                *frame = new;
            }
            *known = stamp(files_of(frame)?);
            *is_gone = made.is_err();
            if let Err(error) = made {
                // What the name meant before is not what is asked for.
                session.forget(name);
                let told = || {
                    format!(
                        "the view {name} is gone, as a file has changed: {}\nhint: create it again, as `create or replace temp view {name} as select …`",
                        error.message()
                    )
                };
                troubles.extend(is_last.then(told));
            }
        }
        Ok(())
    }
}

/// The table or view of this name.
pub(super) fn named(session: &Session, name: &str) -> Option<LazyFrame> {
    session.tables().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, frame)| frame.clone())
}
