//! How the server has behaved so far, for status: what keeps writing from working, and what reading.
//!
//! The two are kept apart, so that an index that only answers (a full disk makes it read-only) does not look
//! healthy because it answers. A request that the server refuses for what it asks says nothing about the server.

use std::sync::Mutex;

use super::backend::locked;
use super::error::ElasticError;

/// What went wrong last, until it goes right.
#[derive(Default)]
pub(super) struct Standing {
    writing: Mutex<Option<String>>,
    reading: Mutex<Option<Reading>>,
}

struct Reading {
    told: String,
    /// The server was not reached at all, which a write that is taken disproves too.
    was_away: bool,
}

impl Standing {
    /// Notes how writing went.
    pub(super) fn wrote<T>(&self, outcome: &Result<T, ElasticError>) {
        match outcome {
            Ok(_) => {
                *locked(&self.writing) = None;
                locked(&self.reading).take_if(|reading| reading.was_away);
            }
            Err(error) => *locked(&self.writing) = Some(told(error)),
        }
    }

    /// Notes how reading went.
    pub(super) fn read<T>(&self, outcome: &Result<T, ElasticError>) {
        match outcome {
            Ok(_) => *locked(&self.reading) = None,
            Err(error) if error.is_the_callers() => {}
            Err(error) => {
                *locked(&self.reading) = Some(Reading {
                    told: told(error),
                    was_away: error.is_silence(),
                });
            }
        }
    }

    /// What is wrong now. Writing first: it is what falls behind.
    pub(super) fn trouble(&self) -> Option<String> {
        let reading = || locked(&self.reading).as_ref().map(|one| one.told.clone());
        locked(&self.writing).clone().or_else(reading)
    }
}

fn told(error: &ElasticError) -> String {
    format!("failed to {}", error.told())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Result<(), ElasticError> {
        let reason = "because".to_owned();
        Err(ElasticError::Refused {
            what: "search",
            status,
            reason,
        })
    }

    #[test]
    fn reading_does_not_hide_that_writing_fails_nor_a_caller_s_query_that_all_is_well() {
        let standing = Standing::default();
        standing.read(&refused(400));
        assert_eq!(standing.trouble(), None);
        standing.wrote(&refused(400));
        standing.read(&Ok(()));
        assert!(standing.trouble().is_some());
        standing.wrote(&Ok(()));
        assert_eq!(standing.trouble(), None);
        standing.read(&refused(500));
        standing.wrote(&Ok(()));
        assert!(standing.trouble().is_some(), "it was reached, and failed");
        let seconds = 5;
        let what = "search";
        standing.read(&Err::<(), _>(ElasticError::Slow { what, seconds }));
        standing.wrote(&Ok(()));
        assert_eq!(standing.trouble(), None);
    }
}
