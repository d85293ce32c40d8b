//! [`Worker`]: a thread of its own for the client of a database. The clients' libraries may not be called on a thread
//! that runs other tasks, and their connections must not outlive their use by much: a thread that has had no work for a
//! minute (or as long as the table says) ends, and its connections with it. It begins at the first lookup, so that a table that is opened before a
//! fork costs nothing and shares nothing.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long connections are kept without work.
pub const IDLE: Duration = Duration::from_secs(60);

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

pub struct Worker<C> {
    make: Arc<dyn Fn() -> C + Send + Sync>,
    idle: Duration,
    /// The process that began the thread, and its letter box.
    thread: Mutex<Option<(u32, Sender<Job<C>>)>>,
}

impl<C: 'static> Worker<C> {
    /// `make` gives a client that has no connection yet.
    pub fn new(make: impl Fn() -> C + Send + Sync + 'static) -> Worker<C> {
        Worker::kept(IDLE, make)
    }

    /// With connections that are kept for another time.
    pub fn kept(idle: Duration, make: impl Fn() -> C + Send + Sync + 'static) -> Worker<C> {
        Worker { make: Arc::new(make), idle, thread: Mutex::new(None) }
    }

    /// Has the thread do something with the client, which is bound to end in its own time. None: it came to nothing.
    pub fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut C) -> T + Send + 'static) -> Option<T> {
        // Still there when a thread that was ending threw the job away unread.
        let slot = Arc::new(Mutex::new(Some(work)));
        let take = |slot: &Mutex<Option<_>>| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        for _ in 0..2 {
            let (answer, answered) = mpsc::channel();
            let shared = Arc::clone(&slot);
            let job: Job<C> = Box::new(move |client| {
                if let Some(work) = take(&shared) {
                    // Nobody waits any more: nothing to say.
                    let _ = answer.send(work(client));
                }
            });
            self.send(job)?;
            if let Ok(done) = answered.recv() {
                return Some(done);
            }
            if slot.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
                return None;
            }
            *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        None
    }

    /// To the thread, which is begun when there is none; None: it cannot be begun.
    fn send(&self, mut job: Job<C>) -> Option<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((process, jobs)) = &*thread
            && *process == std::process::id()
        {
            match jobs.send(job) {
                Ok(()) => return Some(()),
                // It had ended.
                Err(mpsc::SendError(back)) => job = back,
            }
        }
        let (jobs, inbox) = mpsc::channel::<Job<C>>();
        let (make, idle) = (Arc::clone(&self.make), self.idle);
        std::thread::Builder::new()
            .name("table".to_owned())
            .spawn(move || {
                let mut client = make();
                loop {
                    match inbox.recv_timeout(idle) {
                        Ok(job) => job(&mut client),
                        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
                    }
                }
            })
            .ok()?;
        jobs.send(job).ok()?;
        *thread = Some((std::process::id(), jobs));
        Some(())
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
