//! What postsuper does to messages, one by one or all of them.

use crate::applet::voice::Voice;
use crate::queue::state::By;
use crate::queue::walk::walk;
use crate::queue::{Queue, QueueId, State};
use std::collections::HashMap;
use std::io::{self, BufRead};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Delete,
    Expire,
    Hold,
    Release,
    Requeue,
}

impl Action {
    /// The options that ask for it, in the order in which they are done.
    pub const OPTIONS: &[(&str, &[Action])] = &[
        ("d", &[Action::Delete]),
        ("e", &[Action::Expire]),
        ("f", &[Action::Expire, Action::Release]),
        ("h", &[Action::Hold]),
        ("H", &[Action::Release]),
        ("r", &[Action::Requeue]),
    ];

    /// The lines that count, in their order.
    pub const REPORTS: &[(Action, &str)] = &[
        (Action::Requeue, "Requeued"),
        (Action::Delete, "Deleted"),
        (Action::Expire, "Force-expired"),
        (Action::Hold, "Placed on hold"),
        (Action::Release, "Released from hold"),
    ];

    /// The directories in which it finds messages.
    fn scope(self) -> &'static [State] {
        match self {
            Action::Delete => &[State::Maildrop, State::Incoming, State::Active, State::Deferred, State::Hold],
            Action::Hold => &[State::Incoming, State::Active, State::Deferred],
            Action::Release => &[State::Hold],
            Action::Expire | Action::Requeue => &[State::Hold, State::Incoming, State::Active, State::Deferred],
        }
    }

    fn word(self) -> &'static str {
        match self {
            Action::Delete => "removed",
            Action::Expire => "expired",
            Action::Hold => "placed on hold",
            Action::Release => "released from hold",
            Action::Requeue => "requeued",
        }
    }

    /// Done, or not needed; NotFound: it is not there.
    fn apply(self, queue: &Queue, id: &QueueId, state: State) -> io::Result<bool> {
        let logs = || ["bounce", "defer", "trace"].into_iter().try_for_each(|name| queue.remove(name, id));
        match self {
            // The message first: without it, the logs say nothing about anybody.
            Action::Delete => std::fs::remove_file(queue.path(state.name(), id)).and_then(|()| logs())?,
            Action::Expire => return queue.force_expire(state, id),
            Action::Hold => queue.shift(id, state, State::Hold, By::Postsuper)?,
            Action::Release => queue.shift(id, State::Hold, State::Deferred, By::Postsuper)?,
            Action::Requeue => queue.shift(id, state, State::Maildrop, By::Postsuper).and_then(|()| logs())?,
        }
        Ok(true)
    }
}

/// Does it, and counts.
pub struct Doer<'a> {
    queue: &'a Queue,
    voice: &'a Voice,
    /// Only in these directories; empty: wherever the action looks.
    wanted: &'a [String],
    counts: HashMap<Action, usize>,
}

impl<'a> Doer<'a> {
    pub fn new(queue: &'a Queue, voice: &'a Voice, wanted: &'a [String]) -> Doer<'a> {
        Doer { queue, voice, wanted, counts: HashMap::new() }
    }

    pub fn count(&self, action: Action) -> usize {
        self.counts.get(&action).copied().unwrap_or(0)
    }

    /// On the messages that an option's value means.
    pub fn on(&mut self, actions: &[Action], id: &str) -> io::Result<()> {
        match id {
            "ALL" => actions.iter().for_each(|action| self.on_all(*action)),
            "-" => {
                for line in io::stdin().lock().lines() {
                    // mailq marks active, held and expired messages behind their id.
                    self.on_one(actions, line?.trim().trim_end_matches(['*', '!', '#']));
                }
            }
            id => self.on_one(actions, id),
        }
        Ok(())
    }

    fn states(&self, action: Action) -> Vec<State> {
        let named = |state: &State| self.wanted.is_empty() || self.wanted.iter().any(|name| name == state.name());
        action.scope().iter().copied().filter(named).collect()
    }

    fn on_all(&mut self, action: Action) {
        for state in self.states(action) {
            for (id, _) in walk(self.queue, state.name()).collect::<Vec<_>>() {
                self.apply(action, &id, state);
            }
        }
    }

    fn on_one(&mut self, actions: &[Action], id: &str) {
        let Some(id) = QueueId::parse(id) else {
            self.voice.warning(format!("invalid mail queue id: {id}"));
            return;
        };
        for action in actions {
            let states = self.states(*action);
            // The queue manager may move it while we look: once more is enough, it moves one way.
            let done = states.iter().chain(&states).any(|state| self.apply(*action, &id, *state));
            if done {
                self.voice.info(format!("{id}: {}", action.word()));
            }
        }
    }

    fn apply(&mut self, action: Action, id: &QueueId, state: State) -> bool {
        match action.apply(self.queue, id, state) {
            Ok(true) => {
                *self.counts.entry(action).or_default() += 1;
                return true;
            }
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.voice.warning(format!("{id}: {error}")),
        }
        false
    }
}
