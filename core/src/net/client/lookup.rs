//! From a host's name to its addresses, with one lookup of a name at a time.
//!
//! The system's resolver cannot be told to stop: a lookup that hangs holds its thread for as long
//! as it likes, whoever has given up waiting for it. So whoever comes for the same name meanwhile
//! waits for the lookup that is under way, each as long as its own time, and however often a
//! connection is tried, one thread at most is held by each name. What comes when nobody waits any
//! more is kept for a while for who tries next: otherwise a resolver that takes longer than an
//! attempt would never be of use.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::lock::Mutex;

/// So long an answer that nobody waited for any more is good for who comes next.
const KEPT: Duration = Duration::from_secs(30);

/// What the resolver says; an error by its kind and text.
type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// The lookups that are under way, and answers that nobody has had.
#[derive(Default)]
pub(crate) struct Lookups(Mutex<BTreeMap<String, Lookup>>);

struct Lookup {
    answer: watch::Receiver<Option<Answer>>,
    /// When the answer came, if nobody has had it.
    came: Option<Instant>,
}

impl Lookups {
    /// The addresses of a host, which may be one itself. They have no port yet.
    pub(super) async fn addresses(&'static self, host: &str) -> io::Result<Vec<SocketAddr>> {
        self.addresses_by(host, |host| async move {
            Ok(tokio::net::lookup_host((host, 0)).await?.collect())
        })
        .await
    }

    async fn addresses_by<R, F>(
        &'static self,
        host: &str,
        resolve: R,
    ) -> io::Result<Vec<SocketAddr>>
    where
        R: FnOnce(String) -> F,
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, 0).into()]);
        }
        let mut answer = self.join_or_begin(host, resolve);
        let told = answer.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
        match told {
            Some(Ok(found)) => Ok(found),
            Some(Err((kind, text))) => Err(io::Error::new(kind, text)),
            // Its task went with its runtime, or panicked.
            None => Err(io::Error::other("the lookup was given up")),
        }
    }

    fn join_or_begin<R, F>(&'static self, host: &str, resolve: R) -> watch::Receiver<Option<Answer>>
    where
        R: FnOnce(String) -> F,
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let now = Instant::now();
        let mut lookups = self.0.lock();
        lookups.retain(|_, lookup| match lookup.came {
            Some(came) => now < came + KEPT,
            // One whose task is gone without an answer.
            None => lookup.answer.has_changed().is_ok(),
        });
        match lookups.get(host) {
            Some(lookup) if lookup.came.is_none() => return lookup.answer.clone(),
            Some(_) => {
                if let Some(lookup) = lookups.remove(host) {
                    return lookup.answer;
                }
            }
            None => {}
        }
        let (tell, answer) = watch::channel(None);
        lookups.insert(host.to_owned(), Lookup { answer: answer.clone(), came: None });
        drop(lookups);
        let (host, resolving) = (host.to_owned(), resolve(host.to_owned()));
        tokio::spawn(async move {
            let found = resolving.await.map_err(|error| (error.kind(), error.to_string()));
            self.tell(&host, &tell, found);
        });
        answer
    }

    fn tell(&self, host: &str, tell: &watch::Sender<Option<Answer>>, answer: Answer) {
        let mut lookups = self.0.lock();
        // Beside the one that is kept here.
        let is_waited_for = tell.receiver_count() > 1;
        tell.send_replace(Some(answer));
        match lookups.get_mut(host) {
            Some(lookup) if !is_waited_for => lookup.came = Some(Instant::now()),
            _ => {
                lookups.remove(host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::net::runtime;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A resolver that answers when it is let, with how often it was asked.
    struct Resolver {
        lookups: &'static Lookups,
        asked: Arc<AtomicUsize>,
        answers: Arc<Semaphore>,
    }

    impl Resolver {
        fn new() -> Resolver {
            let lookups = Box::leak(Box::new(Lookups::default()));
            Resolver { lookups, asked: Arc::default(), answers: Arc::new(Semaphore::new(0)) }
        }

        async fn dial(&self, host: &str, limit: Duration) -> Option<io::Result<Vec<SocketAddr>>> {
            let (asked, answers) = (Arc::clone(&self.asked), Arc::clone(&self.answers));
            let resolve = |_| async move {
                let nth = asked.fetch_add(1, Ordering::SeqCst) + 1;
                answers.acquire().await.unwrap().forget();
                match u8::try_from(nth) {
                    Ok(nth @ ..=9) => Ok(vec![([127, 0, 0, nth], 0).into()]),
                    _ => Err(io::Error::other("no such name")),
                }
            };
            tokio::time::timeout(limit, self.lookups.addresses_by(host, resolve)).await.ok()
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        runtime::handle().unwrap().block_on(work)
    }

    fn of(found: Option<io::Result<Vec<SocketAddr>>>) -> String {
        found.unwrap().unwrap()[0].ip().to_string()
    }

    #[test]
    fn whoever_comes_while_a_name_is_looked_up_waits_for_the_same_answer() {
        let resolver = Resolver::new();
        block_on(async {
            for _ in 0..20 {
                assert!(resolver.dial("slow.test", Duration::from_millis(5)).await.is_none());
            }
            assert_eq!(resolver.asked(), 1);
            // Another name has its own.
            assert!(resolver.dial("other.test", Duration::from_millis(5)).await.is_none());
            assert_eq!(resolver.asked(), 2);
            // Both wait before there is an answer.
            let (first, second, ()) = tokio::join!(
                resolver.dial("slow.test", PATIENCE),
                resolver.dial("slow.test", PATIENCE),
                async { resolver.answers.add_permits(2) },
            );
            assert_eq!(first.unwrap().unwrap(), second.unwrap().unwrap());
            // What was had is not used again: addresses change.
            resolver.answers.add_permits(1);
            assert_eq!(of(resolver.dial("slow.test", PATIENCE).await), "127.0.0.3");
        });
        assert_eq!(resolver.asked(), 3);
    }

    #[test]
    fn an_answer_that_came_too_late_is_there_for_the_next_attempt() {
        let resolver = Resolver::new();
        block_on(async {
            assert!(resolver.dial("slow.test", Duration::from_millis(5)).await.is_none());
            resolver.answers.add_permits(1);
            let until = Instant::now() + PATIENCE;
            while resolver.lookups.0.lock()["slow.test"].came.is_none() {
                assert!(Instant::now() < until, "it never came");
                tokio::task::yield_now().await;
            }
            assert_eq!(of(resolver.dial("slow.test", PATIENCE).await), "127.0.0.1");
            assert_eq!(resolver.asked(), 1);
            assert!(resolver.lookups.0.lock().is_empty());
        });
    }

    #[test]
    fn a_failure_is_told_to_all_and_an_address_asks_nobody() {
        let resolver = Resolver::new();
        resolver.asked.store(9, Ordering::SeqCst);
        resolver.answers.add_permits(1);
        let failed = block_on(resolver.dial("no.test", PATIENCE)).unwrap().unwrap_err();
        assert_eq!(failed.to_string(), "no such name");
        for address in ["127.0.0.1", "::1"] {
            assert_eq!(of(block_on(resolver.dial(address, PATIENCE))), address);
        }
        assert_eq!(resolver.asked(), 10);
    }
}
