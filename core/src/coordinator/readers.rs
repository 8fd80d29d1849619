//! The readers of the store: how many there may be at the same time, and whose turn is next.
//!
//! Each has a connection with descriptors of its own, and SQLite closes none of the database file
//! while its owner has a lock on it: after a burst of readers their descriptors would stay for as
//! long as the owner does. So there are `max_readers` at most; who comes later waits in order.
//!
//! Looking up a session or an execution is short, and attaches and commands do it too; it has
//! [`LOOK_UPS`] places of its own, so that it never waits behind lists and events.

use std::collections::VecDeque;
use std::sync::Arc;

use super::shared::COORDINATOR_CLOSED;
use crate::Error;
use crate::lock::{Condvar, Mutex};
use crate::store::{OpenReader, Reader};

/// So many readers are kept open while nobody uses them.
const KEPT: usize = 8;
/// So many may look something up beside those that read.
const LOOK_UPS: usize = 8;

/// What a reader is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// One session or one execution.
    LookUp,
    /// Lists, events, counts.
    Read,
}

/// The readers of one coordinator.
pub(super) struct Readers {
    /// Opens one, beside the engine: nobody who reads waits for a commit.
    open: OpenReader,
    state: Mutex<State>,
}

struct State {
    /// Those that nobody uses now.
    idle: Vec<Box<dyn Reader>>,
    look_ups: Line,
    reads: Line,
    is_closed: bool,
}

/// Places for one purpose, and who waits for one.
struct Line {
    free: usize,
    waiting: VecDeque<Arc<Waiter>>,
}

#[derive(Default)]
struct Waiter {
    /// Its place, or that there is none any more.
    told: Mutex<Option<Told>>,
    changed: Condvar,
}

#[derive(Clone, Copy)]
enum Told {
    Place,
    Closed,
}

impl Waiter {
    fn tell(&self, told: Told) {
        *self.told.lock() = Some(told);
        self.changed.notify_one();
    }

    fn wait(&self) -> Told {
        let mut told = self.told.lock();
        loop {
            match *told {
                Some(told) => return told,
                None => self.changed.wait(&mut told),
            }
        }
    }
}

impl State {
    fn line(&mut self, purpose: Purpose) -> &mut Line {
        match purpose {
            Purpose::LookUp => &mut self.look_ups,
            Purpose::Read => &mut self.reads,
        }
    }
}

impl Readers {
    pub(super) fn new(open: OpenReader, most: usize) -> Readers {
        let line = |free| Line { free, waiting: VecDeque::new() };
        let state = State {
            idle: Vec::new(),
            look_ups: line(LOOK_UPS),
            reads: line(most),
            is_closed: false,
        };
        Readers { open, state: Mutex::new(state) }
    }

    /// Reads when it is this one's turn. [`Error::Closed`] where there is none any more.
    pub(super) fn read<T>(
        &self,
        purpose: Purpose,
        read: impl FnOnce(&mut dyn Reader) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // Given back whatever happens in between.
        let place = self.place(purpose)?;
        let idle = self.state.lock().idle.pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => (self.open)()?,
        };
        let result = read(reader.as_mut());
        // One that failed is not used again.
        if result.is_ok() {
            place.keep(reader);
        }
        result
    }

    fn place(&self, purpose: Purpose) -> Result<Place<'_>, Error> {
        let waiter = {
            let mut state = self.state.lock();
            if state.is_closed {
                return Err(Error::closed(COORDINATOR_CLOSED));
            }
            let line = state.line(purpose);
            if line.free > 0 {
                line.free -= 1;
                return Ok(Place { readers: self, purpose });
            }
            let waiter = Arc::new(Waiter::default());
            line.waiting.push_back(Arc::clone(&waiter));
            waiter
        };
        match waiter.wait() {
            Told::Place => Ok(Place { readers: self, purpose }),
            Told::Closed => Err(Error::closed(COORDINATOR_CLOSED)),
        }
    }

    /// Closes those that nobody uses; whoever waits is told so. Those that are in use end with
    /// their call.
    pub(super) fn close(&self) {
        let (idle, waiting) = {
            let mut state = self.state.lock();
            state.is_closed = true;
            let mut waiting = std::mem::take(&mut state.look_ups.waiting);
            waiting.append(&mut state.reads.waiting);
            (std::mem::take(&mut state.idle), waiting)
        };
        waiting.iter().for_each(|waiter| waiter.tell(Told::Closed));
        drop(idle);
    }
}

/// One that may read now.
struct Place<'a> {
    readers: &'a Readers,
    purpose: Purpose,
}

impl Place<'_> {
    /// Keeps the reader for the next one.
    fn keep(&self, reader: Box<dyn Reader>) {
        let mut state = self.readers.state.lock();
        let waiting = state.look_ups.waiting.len() + state.reads.waiting.len();
        if state.idle.len() < KEPT + waiting && !state.is_closed {
            state.idle.push(reader);
        } else {
            drop(state);
            drop(reader);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let next = {
            let mut state = self.readers.state.lock();
            let line = state.line(self.purpose);
            let next = line.waiting.pop_front();
            if next.is_none() {
                line.free += 1;
            }
            next
        };
        if let Some(next) = next {
            next.tell(Told::Place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::JoinHandle;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::store::Store;
    use crate::store::memory::MemoryStore;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn readers(most: usize) -> Arc<Readers> {
        Arc::new(Readers::new(MemoryStore::new().readers(), most))
    }

    /// Reads until it is told to stop; returns once it does read.
    fn hold(readers: &Arc<Readers>, purpose: Purpose) -> (mpsc::Sender<()>, JoinHandle<()>) {
        let (stop, stopped) = mpsc::channel();
        let (reads, does_read) = mpsc::channel();
        let readers = Arc::clone(readers);
        let thread = std::thread::spawn(move || {
            let held = readers.read(purpose, |_| {
                reads.send(()).unwrap();
                let _: Result<(), _> = stopped.recv();
                Ok(())
            });
            held.unwrap();
        });
        does_read.recv_timeout(PATIENCE).unwrap();
        (stop, thread)
    }

    fn wait_until(what: &str, look: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !look() {
            assert!(Instant::now() < until, "waited in vain: {what}");
            std::thread::yield_now();
        }
    }

    fn waiting(readers: &Readers) -> usize {
        readers.state.lock().reads.waiting.len()
    }

    #[test]
    fn who_comes_later_waits_in_order() {
        let readers = readers(1);
        let (stop, first) = hold(&readers, Purpose::Read);
        let order = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = (0..5)
            .map(|n| {
                let (reading, order) = (Arc::clone(&readers), Arc::clone(&order));
                let read = move || {
                    let read = reading.read(Purpose::Read, |_| {
                        order.lock().push(n);
                        Ok(())
                    });
                    read.unwrap();
                };
                let thread = std::thread::spawn(read);
                wait_until("it waits", || waiting(&readers) == n + 1);
                thread
            })
            .collect();
        assert!(order.lock().is_empty());
        drop(stop);
        threads.into_iter().chain([first]).for_each(|thread| thread.join().unwrap());
        assert_eq!(*order.lock(), [0, 1, 2, 3, 4]);
        assert_eq!(readers.state.lock().reads.free, 1);
    }

    #[test]
    fn looking_up_waits_for_nobody_who_reads() {
        let readers = readers(2);
        let held = [hold(&readers, Purpose::Read), hold(&readers, Purpose::Read)];
        let beside = Arc::clone(&readers);
        let waits = std::thread::spawn(move || beside.read(Purpose::Read, |_| Ok(())));
        wait_until("it waits", || waiting(&readers) == 1);
        let found = readers.read(Purpose::LookUp, |reader| reader.load("s"));
        assert_eq!(found.map(|found| found.is_none()), Ok(true));
        assert_eq!(waiting(&readers), 1);
        for (stop, thread) in held {
            drop(stop);
            thread.join().unwrap();
        }
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn a_place_is_given_back_whatever_happens_to_its_reader() {
        let readers = readers(1);
        let fails: Result<(), Error> = readers.read(Purpose::Read, |_| Err(Error::Superseded));
        assert_eq!(fails, Err(Error::Superseded));
        let reading = Arc::clone(&readers);
        let panics = std::thread::spawn(move || {
            let read: Result<(), Error> =
                reading.read(Purpose::Read, |_| std::panic::panic_any("on purpose"));
            read
        });
        assert!(panics.join().is_err());
        let cannot = Readers::new(Arc::new(|| Err(Error::invalid("no descriptors"))), 1);
        for _ in 0..3 {
            assert!(cannot.read(Purpose::Read, |_| Ok(())).is_err());
        }
        assert_eq!(readers.read(Purpose::Read, |_| Ok(7)), Ok(7));
    }

    #[test]
    fn whoever_waits_is_told_when_it_closes() {
        let readers = readers(1);
        let (stop, first) = hold(&readers, Purpose::Read);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let reading = Arc::clone(&readers);
                std::thread::spawn(move || reading.read(Purpose::Read, |_| Ok(())))
            })
            .collect();
        wait_until("they wait", || waiting(&readers) == 3);
        readers.close();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Err(Error::closed(COORDINATOR_CLOSED)));
        }
        drop(stop);
        first.join().unwrap();
        assert!(readers.state.lock().idle.is_empty());
        assert_eq!(
            readers.read(Purpose::LookUp, |_| Ok(())),
            Err(Error::closed(COORDINATOR_CLOSED))
        );
    }

    #[test]
    fn few_are_kept_after_a_burst() {
        let readers = readers(64);
        let held: Vec<_> = (0..64).map(|_| hold(&readers, Purpose::Read)).collect();
        for (stop, thread) in held {
            drop(stop);
            thread.join().unwrap();
        }
        assert_eq!(readers.state.lock().idle.len(), KEPT);
    }
}
