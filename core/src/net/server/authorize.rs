//! The host's `authorize` hook: asked on threads of its own, side by side, and never waited for
//! longer than its time (R25).
//!
//! What decides about a wrapper may be slow, or fail: a database, another service. An answer that
//! does not come is not a "no", which would end the run; it is "later". So every way in which the
//! hook can fail to answer ends there: it panics, it takes longer than its time, nobody is left to
//! ask it, the server closes.
//!
//! A call that is over its time cannot be stopped. It holds its thread until it returns, and the
//! log names the execution that it was asked about. While all threads are held like that, nobody
//! is asked, and the answer is "later" at once.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::elapsed::elapsed_ms;
use crate::lock::Mutex;
use crate::pool::Pool;
use crate::seldom::{LeftOut, Seldom};

/// What a host says about a wrapper that wants to attach (R25).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// It may.
    Allow,
    /// It may not, now or ever: it stops (401 with our header, R46).
    Deny,
    /// It is not known now: it tries again (503).
    Later,
}

/// The host's own way to let wrappers in: `(session id, execution id, bearer)`. Called on threads
/// of the server's, up to eight at a time. It may block; one that takes longer than
/// `authorize_timeout_ms`, or panics, has said [`Authorization::Later`].
pub type Authorize = Arc<dyn Fn(&str, &str, Option<&str>) -> Authorization + Send + Sync>;

/// How many calls of the hook run side by side.
const THREADS: usize = 8;

/// How many questions may wait for a thread; further ones are "later" at once.
const WAITING: usize = 1_024;

/// Who asks the hook of one server.
pub(super) struct Authorizer {
    hook: Authorize,
    timeout: Duration,
    pool: Pool,
    calls: Mutex<Calls>,
    /// What was told in the log.
    told: Seldom,
}

#[derive(Default)]
struct Calls {
    /// Questions that no thread has taken yet.
    waiting: usize,
    /// Calls under way, and until when they have time.
    running: BTreeMap<u64, Instant>,
    next: u64,
    closed: bool,
    /// That all threads are held was told, and none has come back since.
    told: bool,
}

/// About whom the hook is asked.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) session_id: Arc<str>,
    pub(super) execution_id: Arc<str>,
    pub(super) bearer: Option<Arc<str>>,
}

impl Authorizer {
    pub(super) fn new(hook: Authorize, timeout: Duration) -> Authorizer {
        let pool = Pool::new("authorize", THREADS);
        Authorizer { hook, timeout, pool, calls: Mutex::default(), told: Seldom::default() }
    }

    fn admits(&self, kind: &str) -> Option<LeftOut> {
        self.told.admits(kind, elapsed_ms())
    }

    /// Asks, and waits no longer than its time.
    pub(super) async fn ask(self: &Arc<Authorizer>, asked: Asked) -> Authorization {
        let deadline = Instant::now() + self.timeout;
        let Some(number) = self.enter() else { return Authorization::Later };
        let waiting = Arc::clone(self);
        // A task of its own: a call that is over its time is told of, whether or not the peer
        // still waits.
        let answer = tokio::spawn(async move { waiting.answer(number, asked, deadline).await });
        answer.await.unwrap_or(Authorization::Later)
    }

    /// Nobody is asked any more. Calls that run are not waited for.
    pub(super) fn close(&self) {
        self.calls.lock().closed = true;
    }

    /// Waits for the threads that ask nobody just now to end.
    pub(super) fn end_threads(&self) {
        self.pool.close();
    }

    /// A number for one more question. `None`: nobody can be asked.
    fn enter(&self) -> Option<u64> {
        let mut calls = self.calls.lock();
        if calls.closed || calls.are_held(Instant::now()) || calls.waiting >= WAITING {
            return None;
        }
        calls.waiting += 1;
        calls.next += 1;
        Some(calls.next)
    }

    async fn answer(
        self: Arc<Authorizer>,
        number: u64,
        asked: Asked,
        deadline: Instant,
    ) -> Authorization {
        let (calling, about) = (Arc::clone(&self), asked.clone());
        let call = self.pool.run(move || calling.call(number, &about, deadline));
        match tokio::time::timeout_at(deadline.into(), call).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => {
                let mut calls = self.calls.lock();
                calls.waiting = calls.waiting.saturating_sub(1);
                if let Some(more) = self.admits("no thread") {
                    tracing::warn!(
                        "authorize could not be asked; the wrapper tries again: {error}{more}"
                    );
                }
                Authorization::Later
            }
            Err(_) => {
                self.tell_overdue(number, &asked);
                Authorization::Later
            }
        }
    }

    /// On a thread of the pool: the call itself, if somebody still waits for it.
    fn call(&self, number: u64, asked: &Asked, deadline: Instant) -> Authorization {
        {
            let mut calls = self.calls.lock();
            calls.waiting -= 1;
            if calls.closed || deadline <= Instant::now() {
                return Authorization::Later;
            }
            calls.running.insert(number, deadline);
        }
        let Asked { session_id, execution_id, bearer } = asked;
        let ask = || (self.hook)(session_id, execution_id, bearer.as_deref());
        let verdict = catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| {
            if let Some(more) = self.admits("panic") {
                tracing::warn!(
                    session = %session_id, execution = %execution_id,
                    "authorize panicked; the wrapper tries again{more}"
                );
            }
            Authorization::Later
        });
        let mut calls = self.calls.lock();
        calls.running.remove(&number);
        calls.told = false;
        verdict
    }

    /// Once for each question whose time is over.
    fn tell_overdue(&self, number: u64, asked: &Asked) {
        let mut calls = self.calls.lock();
        let (session, execution) = (&asked.session_id, &asked.execution_id);
        let ms = self.timeout.as_millis();
        if calls.running.contains_key(&number) {
            tracing::warn!(
                %session, %execution,
                "authorize has taken longer than {ms} ms; the wrapper tries again, and the call \
                 holds one of {THREADS} threads until it returns"
            );
        } else if let Some(more) = self.admits("busy") {
            tracing::warn!(
                %session, %execution,
                "authorize could not be asked within {ms} ms: its {THREADS} threads are busy{more}"
            );
        }
        if calls.are_held(Instant::now()) && !std::mem::replace(&mut calls.told, true) {
            tracing::error!(
                "all {THREADS} threads are held by calls of authorize that do not return; until \
                 one does, wrappers are told to try again later"
            );
        }
    }
}

impl Calls {
    /// Whether every thread is held by a call that is over its time.
    fn are_held(&self, now: Instant) -> bool {
        self.running.values().filter(|deadline| **deadline <= now).count() >= THREADS
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::net::runtime;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    fn asked(bearer: &str) -> Asked {
        Asked { session_id: "s".into(), execution_id: "e".into(), bearer: Some(bearer.into()) }
    }

    /// Asks for each bearer at the same time; the answers in the same order.
    fn ask_all(authorizer: &Arc<Authorizer>, bearers: &[&str]) -> Vec<Authorization> {
        let (done, waiting) = mpsc::channel();
        for (at, bearer) in bearers.iter().enumerate() {
            let (authorizer, asked, done) = (Arc::clone(authorizer), asked(bearer), done.clone());
            runtime::handle().unwrap().spawn(async move {
                done.send((at, authorizer.ask(asked).await)).unwrap();
            });
        }
        let mut answers: Vec<_> =
            bearers.iter().map(|_| waiting.recv_timeout(LONG).unwrap()).collect();
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// A hook whose calls for `stuck` wait until the sender is dropped.
    fn with_stuck(timeout: Duration) -> (Arc<Authorizer>, mpsc::Sender<()>, Arc<AtomicUsize>) {
        let (release, released) = mpsc::channel::<()>();
        let released = StdMutex::new(released);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let hook = move |_: &str, _: &str, bearer: Option<&str>| {
            counted.fetch_add(1, Ordering::SeqCst);
            match bearer {
                Some("stuck") => {
                    let _ = released.lock().unwrap_or_else(|e| e.into_inner()).recv();
                    Authorization::Allow
                }
                Some("panic") => panic!("the hook's own"),
                Some("deny") => Authorization::Deny,
                Some("later") => Authorization::Later,
                _ => Authorization::Allow,
            }
        };
        (Arc::new(Authorizer::new(Arc::new(hook), timeout)), release, calls)
    }

    #[test]
    fn what_is_said_is_what_is_answered_and_a_panic_is_later() {
        let (authorizer, _release, _) = with_stuck(LONG);
        let answers = ask_all(&authorizer, &["allow", "deny", "later", "panic", "allow"]);
        let (allow, deny, later) =
            (Authorization::Allow, Authorization::Deny, Authorization::Later);
        assert_eq!(answers, [allow, deny, later, later, allow]);
    }

    #[test]
    fn one_that_hangs_is_later_and_holds_up_nobody_else() {
        let (authorizer, release, _) = with_stuck(SHORT);
        assert_eq!(ask_all(&authorizer, &["stuck"]), [Authorization::Later]);
        assert_eq!(
            ask_all(&authorizer, &["allow", "deny"]),
            [Authorization::Allow, Authorization::Deny]
        );
        drop(release);
    }

    #[test]
    fn with_all_threads_held_nobody_is_asked_until_one_comes_back() {
        let (authorizer, release, calls) = with_stuck(SHORT);
        assert_eq!(ask_all(&authorizer, &["stuck"; THREADS]), [Authorization::Later; THREADS]);
        let before = calls.load(Ordering::SeqCst);
        assert_eq!(before, THREADS);
        assert_eq!(ask_all(&authorizer, &["allow"]), [Authorization::Later]);
        assert_eq!(calls.load(Ordering::SeqCst), before);
        drop(release);
        let until = Instant::now() + LONG;
        while ask_all(&authorizer, &["allow"]) != [Authorization::Allow] {
            assert!(Instant::now() < until, "the threads did not come back");
        }
    }

    #[test]
    fn closing_answers_later_and_drops_the_hook_once_no_call_runs() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let hook = move |_: &str, _: &str, _: Option<&str>| {
            let _ = &held;
            Authorization::Allow
        };
        let authorizer = Arc::new(Authorizer::new(Arc::new(hook), LONG));
        assert_eq!(ask_all(&authorizer, &["allow"]), [Authorization::Allow]);
        authorizer.close();
        assert_eq!(ask_all(&authorizer, &["allow"]), [Authorization::Later]);
        drop(authorizer);
        // Neither a thread nor a task keeps anything of the host's.
        let until = Instant::now() + LONG;
        while Arc::strong_count(&alive) > 1 {
            assert!(Instant::now() < until, "the hook is kept");
            std::thread::yield_now();
        }
    }
}
