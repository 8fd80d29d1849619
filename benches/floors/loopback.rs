//! The floor of an answer over a socket: a frame's bytes to another thread over loopback TCP, and
//! an acknowledgement's bytes back.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use crate::samples::microseconds;

const FRAME_BYTES: usize = 308;
const ACK_BYTES: usize = 24;

/// A connection whose other end answers. The thread there ends with it.
pub struct Echo {
    stream: TcpStream,
}

impl Echo {
    /// Connects to a thread of its own.
    pub fn connect() -> io::Result<Echo> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        stream.set_nodelay(true)?;
        let (other_end, _) = listener.accept()?;
        other_end.set_nodelay(true)?;
        std::thread::spawn(move || answer(other_end));
        Ok(Echo { stream })
    }

    /// µs of one.
    pub fn round_trip(&mut self) -> io::Result<f64> {
        let started = Instant::now();
        self.stream.write_all(&[0x5A; FRAME_BYTES])?;
        self.stream.read_exact(&mut [0; ACK_BYTES])?;
        Ok(microseconds(started.elapsed()))
    }
}

/// Until the connection ends.
fn answer(mut stream: TcpStream) {
    while stream.read_exact(&mut [0; FRAME_BYTES]).is_ok()
        && stream.write_all(&[0xA5; ACK_BYTES]).is_ok()
    {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_trip_is_timed() {
        let mut echo = Echo::connect().unwrap();
        assert!(echo.round_trip().unwrap() > 0.0 && echo.round_trip().unwrap() > 0.0);
    }
}
