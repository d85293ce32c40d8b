//! Lookups that wait for a server, for somebody who serves many on one thread. Such a thread runs its work with
//! [`attempt`]: a lookup in a table with a server behind it ends the work there with a [`Question`], which another
//! thread asks; then the work is run again, and finds the answer. Work that only looks things up comes out the same.
//! Anybody else's lookups wait where they are.

use super::open::{Opened, Table, TableError, Value};
use super::trace;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Lookups of one piece of work; who asks for more is told so.
const MOST: usize = 1000;

/// A table, by where it is, and a key.
type Place = (usize, Vec<u8>);

/// What is known already.
#[derive(Default)]
pub struct Answers(HashMap<Place, Result<Option<Value>, TableError>>);

impl Answers {
    pub fn learn(&mut self, question: &Question, answer: Result<Option<Value>, TableError>) {
        self.0.insert(question.place(), answer);
    }
}

/// What has to be asked before the work can go on.
#[derive(Clone)]
pub struct Question {
    table: Arc<dyn Table + Send + Sync>,
    key: Vec<u8>,
}

impl Question {
    /// Waits for the server.
    pub fn ask(&self) -> Result<Option<Value>, TableError> {
        self.table.lookup(&self.key)
    }

    fn place(&self) -> Place {
        (Arc::as_ptr(&self.table).cast::<u8>() as usize, self.key.clone())
    }
}

struct Asking {
    answers: Answers,
    question: Option<Question>,
}

thread_local! {
    static ASKING: RefCell<Option<Asking>> = const { RefCell::new(None) };
}

/// Runs `work` with the answers that are known. Err: what it waits for; what it came to is nothing.
pub fn attempt<T>(answers: &mut Answers, work: impl FnOnce() -> T) -> Result<T, Question> {
    let steps = trace::length();
    ASKING.set(Some(Asking { answers: std::mem::take(answers), question: None }));
    let done = work();
    let Some(asking) = ASKING.take() else { return Ok(done) };
    *answers = asking.answers;
    match asking.question {
        Some(question) => {
            trace::take_back(steps);
            Err(question)
        }
        None => Ok(done),
    }
}

/// A table with a server behind it.
pub struct Later(Arc<dyn Table + Send + Sync>);

impl Later {
    pub fn new(table: Opened) -> Later {
        Later(Arc::from(table))
    }
}

impl Table for Later {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let known = ASKING.with_borrow_mut(|asking| {
            let Some(asking) = asking else { return None };
            let question = Question { table: Arc::clone(&self.0), key: key.to_owned() };
            if let Some(answer) = asking.answers.0.get(&question.place()) {
                return Some(answer.clone());
            }
            if asking.answers.0.len() >= MOST {
                return Some(Err(TableError::new("", "too many lookups at once")));
            }
            // The first that is not known; what the work does with this error comes to nothing.
            asking.question.get_or_insert(question);
            Some(Err(TableError::new("", "the answer comes later")))
        });
        known.unwrap_or_else(|| self.0.lookup(key))
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        self.0.entries(each)
    }

    fn is_pattern(&self) -> bool {
        self.0.is_pattern()
    }

    fn is_remote(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Slow;

    impl Table for Slow {
        fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
            if key == b"bad" { Err(TableError::new("t", "no")) } else { Ok(Some([key, b"!"].concat())) }
        }
    }

    #[test]
    fn work_is_run_again_until_it_knows_all() {
        let table = Later::new(Box::new(Slow));
        assert_eq!(table.lookup(b"a").unwrap(), Some(b"a!".to_vec()));
        let work = || {
            let first = table.lookup(b"a")?.unwrap();
            table.lookup(&first)
        };
        let mut answers = Answers::default();
        let mut runs = 0;
        let found = loop {
            runs += 1;
            match attempt(&mut answers, work) {
                Ok(found) => break found,
                Err(question) => answers.learn(&question, question.ask()),
            }
        };
        assert_eq!((found.unwrap(), runs), (Some(b"a!!".to_vec()), 3));
        let question = attempt(&mut answers, || table.lookup(b"bad").is_err()).err().unwrap();
        answers.learn(&question, question.ask());
        assert!(attempt(&mut answers, || table.lookup(b"bad")).ok().unwrap().is_err());
    }
}
