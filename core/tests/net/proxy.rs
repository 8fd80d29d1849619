//! A connection between a wrapper and the server that can be cut, in the middle of a frame, or
//! swallow everything.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// Bytes that a connection may carry before it is cut.
const UNLIMITED: i64 = i64::MAX;

#[derive(Default)]
struct Control {
    /// What the next connections may carry; when there are none left they are not cut.
    budgets: Mutex<Vec<i64>>,
    live: Mutex<Vec<Arc<Connection>>>,
    connections: AtomicUsize,
    refusing: AtomicBool,
    stalled: Arc<Stall>,
}

struct Connection {
    near: TcpStream,
    far: TcpStream,
    budget: AtomicI64,
    /// Carries nothing any more, and tells nobody.
    swallowing: AtomicBool,
    /// Carries nothing for now.
    stalled: Arc<Stall>,
}

/// Whether connections stand still; what they were given is carried later.
#[derive(Default)]
struct Stall {
    on: Mutex<bool>,
    changed: Condvar,
}

impl Stall {
    fn set(&self, on: bool) {
        *self.on.lock().unwrap() = on;
        self.changed.notify_all();
    }

    fn wait_until_over(&self) {
        let _on = self.changed.wait_while(self.on.lock().unwrap(), |on| *on).unwrap();
    }
}

impl Connection {
    fn cut(&self) {
        for side in [&self.near, &self.far] {
            // It may be closed already.
            let _ = side.shutdown(Shutdown::Both);
        }
    }
}

pub struct Proxy {
    pub address: SocketAddr,
    control: Arc<Control>,
}

impl Proxy {
    pub fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let control = Arc::new(Control::default());
        let accepting = Arc::clone(&control);
        // Ends with the process; the listener is cheap.
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let Ok(near) = near else { return };
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                if accepting.refusing.load(Ordering::SeqCst) {
                    continue;
                }
                if let Ok(far) = TcpStream::connect(server) {
                    accepting.carry(near, far);
                }
            }
        });
        Proxy { address, control }
    }

    /// The base address for a wrapper.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Each of the next connections is cut after so many bytes from the near side.
    pub fn cut_after(&self, mut bytes: Vec<i64>) {
        bytes.reverse();
        *self.control.budgets.lock().unwrap() = bytes;
    }

    pub fn connections(&self) -> usize {
        self.control.connections.load(Ordering::SeqCst)
    }

    pub fn cut_all(&self) {
        for connection in self.control.live.lock().unwrap().drain(..) {
            connection.cut();
        }
    }

    /// The connections there are carry nothing any more; new ones do.
    pub fn swallow(&self) {
        for connection in self.control.live.lock().unwrap().iter() {
            connection.swallowing.store(true, Ordering::SeqCst);
        }
    }

    /// Nothing goes through until it is switched off; then everything does.
    pub fn stall(&self, on: bool) {
        self.control.stalled.set(on);
    }

    /// New connections are closed at once.
    pub fn refuse(&self, on: bool) {
        self.control.refusing.store(on, Ordering::SeqCst);
    }
}

impl Control {
    fn carry(&self, near: TcpStream, far: TcpStream) {
        let budget = self.budgets.lock().unwrap().pop().unwrap_or(UNLIMITED);
        near.set_nodelay(true).unwrap();
        far.set_nodelay(true).unwrap();
        let connection = Arc::new(Connection {
            near,
            far,
            budget: AtomicI64::new(budget),
            swallowing: AtomicBool::new(false),
            stalled: Arc::clone(&self.stalled),
        });
        self.live.lock().unwrap().push(Arc::clone(&connection));
        let there = Arc::clone(&connection);
        std::thread::spawn(move || pass(&there, &there.near, &there.far, true));
        std::thread::spawn(move || pass(&connection, &connection.far, &connection.near, false));
    }
}

fn pass(connection: &Connection, mut from: &TcpStream, mut to: &TcpStream, counted: bool) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        connection.stalled.wait_until_over();
        if connection.swallowing.load(Ordering::SeqCst) {
            continue;
        }
        let mut passed = read;
        if counted {
            let left = connection.budget.fetch_sub(read as i64, Ordering::SeqCst);
            passed = usize::try_from(left.clamp(0, read as i64)).unwrap();
        }
        if to.write_all(&buffer[..passed]).is_err() || passed < read {
            break;
        }
    }
    connection.cut();
}

/// A small generator for budgets; the seed is printed by the test.
pub struct Random(pub u64);

impl Random {
    pub fn within(&mut self, range: std::ops::Range<i64>) -> i64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        range.start + (z % (range.end - range.start) as u64) as i64
    }
}
