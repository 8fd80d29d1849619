//! The server's hold on its coordinator.
//!
//! Connections outlive both the server and the host's own handles for a moment, so that the last
//! handle may go where the last task ends: on a thread that drives sockets. Closing the coordinator
//! waits for commits and for the disk, so it is not done there.

use std::ops::Deref;

use crate::coordinator::Coordinator;

/// A handle whose end holds up no socket.
pub(super) struct Held(Option<Coordinator>);

/// It is there until it is dropped.
const HELD: &str = "a coordinator is held until the end";

impl Held {
    pub(super) fn new(coordinator: Coordinator) -> Held {
        Held(Some(coordinator))
    }
}

impl Deref for Held {
    type Target = Coordinator;

    fn deref(&self) -> &Coordinator {
        self.0.as_ref().expect(HELD)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(coordinator) = self.0.take() else { return };
        // The host's own threads wait for the end, as for any other last handle's.
        if tokio::runtime::Handle::try_current().is_ok() {
            coordinator.drop_elsewhere();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::super::{ServerOptions, serve};
    use super::*;
    use crate::Error;
    use crate::coordinator::{Options, StartOptions};
    use crate::net::runtime;
    use crate::store::faults::Faults;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn the_last_handle_closes_on_no_thread_that_drives_sockets() {
        let faults = Faults::new();
        let opening = Options { faults: Some(faults.clone()), ..Options::default() };
        let coordinator = Coordinator::open("memory:", opening).unwrap();
        let session = coordinator.session("s").unwrap();
        let options = ServerOptions { workers: 1, ..ServerOptions::default() };
        let server = serve(coordinator.clone(), "127.0.0.1:0", options).unwrap();
        let last = Arc::clone(&server.shared);
        drop(server);
        let until = Instant::now() + PATIENCE;
        while Arc::strong_count(&last) > 1 {
            assert!(Instant::now() < until, "a task of the server's did not end");
            std::thread::yield_now();
        }

        // A commit that takes its time, which closing waits for.
        let (enter, entered) = mpsc::channel();
        let (let_go, held) = mpsc::channel::<()>();
        faults.before_commit(move |_| {
            let _ = enter.send(());
            let _ = held.recv_timeout(PATIENCE * 2);
        });
        let starting = {
            let session = session.clone();
            std::thread::spawn(move || session.start(StartOptions::default()))
        };
        entered.recv_timeout(PATIENCE).unwrap();
        drop(coordinator);
        let worker = runtime::of_workers(1).unwrap();
        worker.spawn(async move { drop(last) });
        let (tell, told) = mpsc::channel();
        worker.spawn(async move { tell.send(()) });
        told.recv_timeout(PATIENCE).expect("the only worker waits for the commit");
        drop(let_go);
        starting.join().unwrap().unwrap();
        let until = Instant::now() + PATIENCE;
        while !matches!(session.view(), Err(Error::Closed { .. })) {
            assert!(Instant::now() < until, "nobody has closed the coordinator");
            std::thread::yield_now();
        }
    }
}
