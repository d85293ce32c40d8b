//! What a decision looked at, written down step by step while somebody asks for it (`postfix explain`). Nobody asks in
//! the daemons: there a step costs a look at a thread-local flag.

use serde::Serialize;
use std::cell::RefCell;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// A part of the way begins: a restriction list, the rewriting, the delivery.
    Begin { name: String },
    /// A restriction is asked, `depth` lists deep.
    Restriction { name: String, depth: u32 },
    /// What it said: "dunno", "permit", or the reply.
    Said { status: String, depth: u32 },
    /// A table was asked. No value: it does not have the key.
    Lookup { table: String, key: String, value: Option<String>, error: Option<String> },
    /// A list was asked whether it holds a name or an address.
    List { list: String, subject: String, found: bool },
    /// An address became another.
    Rewrite { what: String, from: String, to: String },
    /// Where mail for a recipient goes.
    Route { recipient: String, class: String, transport: String, nexthop: String },
}

thread_local! {
    static STEPS: RefCell<Option<Vec<Step>>> = const { RefCell::new(None) };
}

/// Writes a step down, if somebody asks.
pub fn step(make: impl FnOnce() -> Step) {
    STEPS.with_borrow_mut(|steps| {
        if let Some(steps) = steps {
            steps.push(make());
        }
    });
}

/// How many steps there are.
pub fn length() -> usize {
    STEPS.with_borrow(|steps| steps.as_ref().map_or(0, Vec::len))
}

/// Takes back the steps after the first `length`: what they were part of is done again.
pub fn take_back(length: usize) {
    STEPS.with_borrow_mut(|steps| {
        if let Some(steps) = steps {
            steps.truncate(length);
        }
    });
}

/// Runs something and gives the steps that it took, on this thread.
pub fn record<T>(work: impl FnOnce() -> T) -> (T, Vec<Step>) {
    STEPS.with_borrow_mut(|steps| *steps = Some(Vec::new()));
    let result = work();
    let steps = STEPS.with_borrow_mut(Option::take).unwrap_or_default();
    (result, steps)
}
