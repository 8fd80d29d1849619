//! Threads for what may block: one pool for each kind of work, so that no kind waits for another.
//! For the built-in server, and for bindings.
//!
//! Reading the store, waiting for a commit, and asking a host's hook must not hold up the threads
//! that drive sockets. They must not hold up each other either: however many readers there are, a
//! wrapper that comes back is let in at once. A pool's threads are made when there is work for them
//! and end when there is none. Where no thread can be made, that is told to whoever asked; it
//! harms nobody else.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crate::lock::{Condvar, Mutex};
use crate::{Error, threads};

/// How long a thread waits for more to do before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long closing a pool waits for threads that have nothing to do: they only have to wake up.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// It says when the work is done, before it tells whoever asked for it: who closes the pool then is to
/// wait for this thread, too.
pub type Job = Box<dyn FnOnce(&dyn Fn()) + Send>;

/// Threads for one kind of work.
pub struct Pool {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    name: &'static str,
    spawn: fn(Arc<Inner>) -> io::Result<JoinHandle<()>>,
    /// The most threads.
    most: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: HashMap<ThreadId, JoinHandle<()>>,
    /// Those that have left `threads`, and have only to return.
    ended: Vec<JoinHandle<()>>,
    /// Threads that wait for a job.
    idle: usize,
    /// Threads that do one.
    working: usize,
    is_closed: bool,
}

impl Pool {
    pub fn new(name: &'static str, most: usize) -> Pool {
        Pool::with_threads_by(name, most, spawn)
    }

    /// With threads made in another way, as a test does.
    pub(crate) fn with_threads_by(
        name: &'static str,
        most: usize,
        spawn: fn(Arc<Inner>) -> io::Result<JoinHandle<()>>,
    ) -> Pool {
        let queue = Mutex::new(Queue::default());
        Pool { inner: Arc::new(Inner { name, spawn, most, queue, changed: Condvar::new() }) }
    }

    /// Has it done by a thread of the pool, when one is free. [`Error::LimitExceeded`] when the
    /// process has no room for a thread.
    pub fn push(&self, job: Job) -> Result<(), Error> {
        let mut queue = self.inner.queue.lock();
        queue.jobs.push_back(job);
        if queue.jobs.len() <= queue.idle {
            self.inner.changed.notify_one();
            return Ok(());
        }
        if queue.threads.len() >= self.inner.most {
            return Ok(());
        }
        match (self.inner.spawn)(Arc::clone(&self.inner)) {
            // Its first step is to wait for the lock that is held here.
            Ok(thread) => drop(queue.threads.insert(thread.thread().id(), thread)),
            // One of those that are there comes to it.
            Err(_) if !queue.threads.is_empty() => self.inner.changed.notify_one(),
            Err(_) => {
                queue.jobs.pop_back();
                return Err(no_room());
            }
        }
        Ok(())
    }

    /// What its work is called.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// How many threads it has now.
    #[cfg(test)]
    pub(crate) fn threads(&self) -> usize {
        self.inner.queue.lock().threads.len()
    }

    /// Ends the threads and waits until they are gone, so that a host which ends after it has
    /// closed its server leaves none behind. What is in the middle of its work, which may be who
    /// calls this, ends after it.
    pub fn close(&self) {
        let mut queue = self.inner.queue.lock();
        queue.is_closed = true;
        self.inner.changed.notify_all();
        let until = Instant::now() + CLOSE_TIMEOUT;
        while queue.threads.len() > queue.working {
            let left = until.saturating_duration_since(Instant::now());
            if self.inner.changed.wait_for(&mut queue, left).timed_out() {
                break;
            }
        }
        let ended = std::mem::take(&mut queue.ended);
        drop(queue);
        for thread in ended {
            let _ = thread.join();
        }
    }
}

pub(crate) fn spawn(inner: Arc<Inner>) -> io::Result<JoinHandle<()>> {
    threads::spawn("stayline-work", move || inner.work())
}

/// There is no room for one more thread.
fn no_room() -> Error {
    Error::LimitExceeded { limit: "threads of this process", value: 1 }
}

impl Inner {
    fn work(&self) {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                queue.working += 1;
                drop(queue);
                let is_finished = Cell::new(false);
                let finish = || {
                    if !is_finished.replace(true) {
                        self.queue.lock().working -= 1;
                    }
                };
                // Whoever asked is told by the job. One that panics takes no thread along.
                let _ = catch_unwind(AssertUnwindSafe(|| job(&finish)));
                finish();
                queue = self.queue.lock();
                continue;
            }
            if queue.is_closed {
                break;
            }
            queue.idle += 1;
            let timed_out = self.changed.wait_for(&mut queue, KEEP_ALIVE).timed_out();
            queue.idle -= 1;
            if timed_out && queue.jobs.is_empty() {
                break;
            }
        }
        // Of those before, which have returned by now, nothing has to be known.
        queue.ended.retain(|thread| !thread.is_finished());
        if let Some(own) = queue.threads.remove(&std::thread::current().id()) {
            queue.ended.push(own);
        }
        if queue.is_closed {
            self.changed.notify_all();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Not waiting: this may be a thread that drives sockets.
        self.inner.queue.lock().is_closed = true;
        self.inner.changed.notify_all();
    }
}
