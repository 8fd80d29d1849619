//! Threads for what may block: one pool for each kind of work, so that no kind waits for another.
//!
//! Reading the store, waiting for a commit, and asking a host's hook must not hold up the threads
//! that drive sockets. They must not hold up each other either: however many readers there are, a
//! wrapper that comes back is let in at once. A pool's threads are made when there is work for them
//! and end when there is none. Where no thread can be made, that is told to whoever asked; it
//! harms nobody else.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::lock::{Condvar, Mutex};
use crate::{Error, threads};

/// How long a thread waits for more to do before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long closing a pool waits for threads that have nothing to do: they only have to wake up.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// It says when the work is done, before it tells whoever asked for it: who closes the pool then is to
/// wait for this thread, too.
type Job = Box<dyn FnOnce(&dyn Fn()) + Send>;

/// Threads for one kind of work.
pub(super) struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
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
    pub(super) fn new(name: &'static str, most: usize) -> Pool {
        Pool::with_threads_by(name, most, spawn)
    }

    fn with_threads_by(
        name: &'static str,
        most: usize,
        spawn: fn(Arc<Inner>) -> io::Result<JoinHandle<()>>,
    ) -> Pool {
        let queue = Mutex::new(Queue::default());
        Pool { inner: Arc::new(Inner { name, spawn, most, queue, changed: Condvar::new() }) }
    }

    /// Does the work on a thread of the pool. [`Error::Panic`] when it panics, and
    /// [`Error::LimitExceeded`] when the process has no room for a thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (done, waiting) = oneshot::channel();
        self.push(Box::new(move |finished| {
            let result = catch_unwind(AssertUnwindSafe(work));
            finished();
            // Nobody waits any more where the peer has gone.
            let _ = done.send(result);
        }))?;
        match waiting.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(Error::Panic { detail: format!("{} failed", self.inner.name) }),
            Err(_) => Err(Error::closed("the server was closed")),
        }
    }

    fn push(&self, job: Job) -> Result<(), Error> {
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

    /// Ends the threads and waits until they are gone, so that a host which ends after it has
    /// closed its server leaves none behind. What is in the middle of its work, which may be who
    /// calls this, ends after it.
    pub(super) fn close(&self) {
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
            // A job's panic is told where it was asked for.
            let _ = thread.join();
        }
    }
}

fn spawn(inner: Arc<Inner>) -> io::Result<JoinHandle<()>> {
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
                job(&|| self.queue.lock().working -= 1);
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

/// The pools of a server.
pub(super) struct Pools {
    /// Wrappers that come: they wait for a commit. The host's hook has threads of its own.
    pub(super) attaches: Pool,
    /// Requests that change something: they wait for a commit.
    pub(super) commands: Pool,
    /// Requests that read the store.
    pub(super) reads: Pool,
    /// Streams that begin or are behind: they read the store.
    pub(super) streams: Pool,
}

impl Pools {
    pub(super) fn new() -> Pools {
        Pools {
            attaches: Pool::new("attaching a link", 64),
            commands: Pool::new("carrying out a request", 32),
            reads: Pool::new("answering a request", 8),
            streams: Pool::new("reading a stream", 16),
        }
    }

    /// [`Pool::close`] of each.
    pub(super) fn close(&self) {
        for pool in [&self.attaches, &self.commands, &self.reads, &self.streams] {
            pool.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::net::runtime;

    /// Runs on the process's runtime and waits here.
    fn wait_for<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
        let (done, waiting) = mpsc::channel();
        runtime::handle().unwrap().spawn(async move { done.send(work.await) });
        waiting.recv_timeout(Duration::from_secs(30)).unwrap()
    }

    #[test]
    fn one_pool_full_of_waiting_work_holds_up_no_other() {
        let pools = Arc::new(Pools::new());
        let (let_go, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        for _ in 0..100 {
            let (pools, held) = (Arc::clone(&pools), Arc::clone(&held));
            runtime::handle().unwrap().spawn(async move {
                let wait = move || held.lock().recv().is_ok();
                pools.reads.run(wait).await
            });
        }
        let others = Arc::clone(&pools);
        assert_eq!(wait_for(async move { others.attaches.run(|| 7).await }), Ok(7));
        assert!(pools.reads.inner.queue.lock().threads.len() <= 8);
        drop(let_go);
    }

    #[test]
    fn a_panic_is_told_and_the_pool_goes_on() {
        let pool = Arc::new(Pool::new("counting", 1));
        let panicking = Arc::clone(&pool);
        let told = wait_for(async move {
            panicking.run(|| std::panic::panic_any("on purpose")).await.map(|()| 0)
        });
        assert_eq!(told, Err(Error::Panic { detail: "counting failed".into() }));
        assert_eq!(wait_for(async move { pool.run(|| 3).await }), Ok(3));
    }

    #[test]
    fn closing_waits_for_threads_without_work_and_for_no_others() {
        let pool = Arc::new(Pool::new("waiting", 4));
        let (begin, begun) = mpsc::channel();
        let (let_go, held) = mpsc::channel::<()>();
        let stuck = Arc::clone(&pool);
        runtime::handle().unwrap().spawn(async move {
            let wait = move || (begin.send(()), held.recv_timeout(Duration::from_secs(30)));
            stuck.run(wait).await.map(drop)
        });
        begun.recv_timeout(Duration::from_secs(30)).unwrap();
        let other = Arc::clone(&pool);
        assert_eq!(wait_for(async move { other.run(|| 7).await }), Ok(7));
        pool.close();
        let threads = |pool: &Pool| pool.inner.queue.lock().threads.len();
        assert_eq!(threads(&pool), 1);
        let own = Arc::clone(&pool);
        // From a thread of its own, which cannot wait for itself.
        let closing = async move { own.clone().run(move || own.close()).await };
        assert_eq!(wait_for(closing), Ok(()));
        drop(let_go);
        let until = Instant::now() + Duration::from_secs(30);
        while threads(&pool) > 0 {
            assert!(Instant::now() < until, "a thread stays");
            std::thread::yield_now();
        }
        pool.close();
    }

    #[test]
    fn without_room_for_a_thread_work_is_refused_or_done_by_those_that_are_there() {
        static LEFT: AtomicUsize = AtomicUsize::new(1);
        let pool = Pool::with_threads_by("counting", 9, |inner| {
            let took = LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            took.map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
            spawn(inner)
        });
        let pool = Arc::new(pool);
        let works = (0..20).map(|n| {
            let pool = Arc::clone(&pool);
            async move { pool.run(move || n).await }
        });
        let done = wait_for(futures_util::future::join_all(works));
        assert_eq!(done, (0..20).map(Ok).collect::<Vec<_>>());
        let none = Pool::with_threads_by("counting", 9, |_| Err(io::ErrorKind::WouldBlock.into()));
        let refused = wait_for(async move { none.run(|| ()).await }).unwrap_err();
        assert_eq!(refused.name(), "LimitExceeded");
    }
}
