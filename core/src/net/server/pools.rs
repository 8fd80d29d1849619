//! The pools of threads of a server.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Error;
use crate::pool::Pool;

impl Pool {
    /// Does the work on a thread of the pool, for a task that waits. [`Error::Panic`] when it panics, and
    /// [`Error::LimitExceeded`] when the process has no room for a thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (done, waiting) = tokio::sync::oneshot::channel();
        self.push(Box::new(move |finished| {
            let result = catch_unwind(AssertUnwindSafe(work));
            finished();
            // Nobody waits any more where the peer has gone.
            let _ = done.send(result);
        }))?;
        match waiting.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(Error::Panic { detail: format!("{} failed", self.name()) }),
            Err(_) => Err(Error::closed("the server was closed")),
        }
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
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::lock::Mutex;
    use crate::net::runtime;
    use crate::pool::spawn;

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
        assert!(pools.reads.threads() <= 8);
        drop(let_go);
    }

    /// Runs on the process's runtime and waits here.
    fn wait_for<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
        let (done, waiting) = mpsc::channel();
        runtime::handle().unwrap().spawn(async move { done.send(work.await) });
        waiting.recv_timeout(Duration::from_secs(30)).unwrap()
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
    fn a_job_that_panics_takes_no_thread_along() {
        let pool = Pool::new("panicking", 1);
        for _ in 0..3 {
            pool.push(Box::new(|_| std::panic::panic_any("on purpose"))).unwrap();
        }
        let (tell, told) = mpsc::channel();
        pool.push(Box::new(move |_| tell.send(()).unwrap())).unwrap();
        told.recv_timeout(Duration::from_secs(30)).expect("the only thread goes on");
        pool.close();
        assert_eq!(pool.threads(), 0);
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
        let threads = |pool: &Pool| pool.threads();
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
