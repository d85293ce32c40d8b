//! [`Worker`]: a thread of its own for the client of a database. The clients' libraries may not be called on a thread
//! that runs other tasks, and their connections must not outlive their use by much: a thread that has had no work for a
//! minute ends, and its connections with it. It begins at the first lookup, so that a table that is opened before a
//! fork costs nothing and shares nothing.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long connections are kept without work.
pub const IDLE: Duration = Duration::from_secs(60);

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

pub struct Worker<C> {
    make: Arc<dyn Fn() -> C + Send + Sync>,
    /// The process that began the thread, and its letter box.
    thread: Mutex<Option<(u32, Sender<Job<C>>)>>,
}

impl<C: 'static> Worker<C> {
    /// `make` gives a client that has no connection yet.
    pub fn new(make: impl Fn() -> C + Send + Sync + 'static) -> Worker<C> {
        Worker { make: Arc::new(make), thread: Mutex::new(None) }
    }

    /// Has the thread do something with the client, which is bound to end in its own time. None: it came to nothing.
    pub fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut C) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = mpsc::channel();
        let mut job: Job<C> = Box::new(move |client| {
            // Nobody waits any more: nothing to say.
            let _ = answer.send(work(client));
        });
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((process, jobs)) = &*thread
            && *process == std::process::id()
        {
            match jobs.send(job) {
                Ok(()) => {
                    drop(thread);
                    return answered.recv().ok();
                }
                // It had ended.
                Err(mpsc::SendError(back)) => job = back,
            }
        }
        let (jobs, inbox) = mpsc::channel::<Job<C>>();
        let make = Arc::clone(&self.make);
        std::thread::Builder::new()
            .name("table".to_owned())
            .spawn(move || {
                let mut client = make();
                loop {
                    match inbox.recv_timeout(IDLE) {
                        Ok(job) => job(&mut client),
                        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
                    }
                }
            })
            .ok()?;
        jobs.send(job).ok()?;
        *thread = Some((std::process::id(), jobs));
        drop(thread);
        answered.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Worker;

    #[test]
    fn a_thread_keeps_its_client_and_survives_a_panic_as_an_error() {
        let worker = Worker::new(|| 0u32);
        let count = |client: &mut u32| {
            *client += 1;
            *client
        };
        assert_eq!(worker.ask(count), Some(1));
        assert_eq!(worker.ask(count), Some(2));
        assert_eq!(worker.ask(|_| -> u32 { panic!("on purpose") }), None);
        assert_eq!(worker.ask(count), Some(1));
    }
}
