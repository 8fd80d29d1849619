//! The floor of an answer over a socket: a frame's bytes to another thread over loopback TCP, and
//! an acknowledgement's bytes back.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use crate::samples::{Samples, microseconds};

const FRAME_BYTES: usize = 308;
const ACK_BYTES: usize = 24;

/// Does it `count` times; µs of each.
pub fn round_trip(count: usize) -> io::Result<Samples> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    stream.set_nodelay(true)?;
    let echo = std::thread::spawn(move || answer(&listener, count));
    let mut once = || {
        let started = Instant::now();
        stream.write_all(&[0x5A; FRAME_BYTES])?;
        stream.read_exact(&mut [0; ACK_BYTES])?;
        Ok(microseconds(started.elapsed()))
    };
    let samples: io::Result<Samples> = (0..count).map(|_| once()).collect();
    echo.join().map_err(|_| io::Error::other("the echoing thread panicked"))??;
    samples
}

fn answer(listener: &TcpListener, count: usize) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    for _ in 0..count {
        stream.read_exact(&mut [0; FRAME_BYTES])?;
        stream.write_all(&[0xA5; ACK_BYTES])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_trip_is_timed() {
        let samples = round_trip(5).unwrap();
        assert!(samples.min() > 0.0 && samples.max() >= samples.median());
    }
}
