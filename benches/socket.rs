//! The least WebSocket client that can talk to the server, so that as little as possible of what
//! is measured is the client's: frames are put together in one buffer and written at once, what
//! comes back is looked at where it lies. It knows what the server sends (unmasked, unfragmented
//! text, ping, close) and nothing else. Its masking key is zero, which is a key like any other.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::RecvFlags;

/// Nothing that is measured is silent for as long as this.
const PATIENCE: Duration = Duration::from_secs(60);
const READ_AT_ONCE: usize = 256 * 1024;

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// One open connection.
pub struct Socket {
    stream: TcpStream,
    /// Bytes that were read; the first `taken` of them are dealt with.
    buffer: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl Socket {
    /// Connects and upgrades. A refusal is an error that names the server's first line.
    pub fn open(
        address: SocketAddr,
        path_and_query: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Socket> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut request = format!(
            "GET {path_and_query} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut socket = Socket { stream, buffer: vec![0; READ_AT_ONCE], taken: 0, filled: 0 };
        socket.stream.write_all(request.as_bytes())?;
        socket.read_upgrade()?;
        Ok(socket)
    }

    fn read_upgrade(&mut self) -> io::Result<()> {
        loop {
            self.fill()?;
            let answer = &self.buffer[..self.filled];
            let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
                continue;
            };
            if !answer.starts_with(b"HTTP/1.1 101") {
                let text = String::from_utf8_lossy(answer);
                let text = text.lines().next().unwrap_or_default();
                return Err(io::Error::other(format!("the server answered {text:?}")));
            }
            self.taken = end + 4;
            return Ok(());
        }
    }

    /// Writes frames that [`text_frame`] has put together.
    pub fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        self.stream.write_all(frames)
    }

    /// Waits until something has come, and hands each text on. The end of the connection is an
    /// error.
    pub fn receive(&mut self, mut handle: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            if self.hand_on(&mut handle)? {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// The same with what is there already, which may be nothing.
    pub fn receive_ready(&mut self, mut handle: impl FnMut(&[u8])) -> io::Result<()> {
        self.make_room();
        let free = &mut self.buffer[self.filled..];
        match rustix::net::recv(&self.stream, free, RecvFlags::DONTWAIT) {
            Ok((read, _)) => self.took(read)?,
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.hand_on(&mut handle).map(drop)
    }

    /// Whether there was any text among the frames that are here.
    fn hand_on(&mut self, handle: &mut impl FnMut(&[u8])) -> io::Result<bool> {
        let mut any = false;
        while let Some(frame) = self.next_frame()? {
            let payload = &self.buffer[frame.begin..frame.end];
            match frame.opcode {
                TEXT => {
                    any = true;
                    handle(payload);
                }
                PING => {
                    let mut answer = Vec::new();
                    masked_frame(PONG, payload, &mut answer);
                    self.stream.write_all(&answer)?;
                }
                CLOSE => {
                    let reason = payload.get(2..).unwrap_or_default();
                    let reason = String::from_utf8_lossy(reason);
                    return Err(io::Error::other(format!("closed by the server: {reason}")));
                }
                _ => {}
            }
        }
        Ok(any)
    }

    /// Takes the next frame if the whole of it is here.
    fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        let bytes = &self.buffer[self.taken..self.filled];
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0xF0 != 0x80 || second & 0x80 != 0 {
            return Err(io::Error::other("a frame that is fragmented or masked"));
        }
        let (length, header) = match second {
            126 => match rest {
                [high, low, ..] => (usize::from(u16::from_be_bytes([*high, *low])), 4),
                _ => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(long) => {
                    let length = usize::try_from(u64::from_be_bytes(*long));
                    (length.map_err(io::Error::other)?, 10)
                }
                None => return Ok(None),
            },
            short => (usize::from(*short), 2),
        };
        if bytes.len() < header + length {
            if header + length > self.buffer.len() {
                self.buffer.resize(header + length, 0);
            }
            return Ok(None);
        }
        let begin = self.taken + header;
        self.taken = begin + length;
        Ok(Some(Frame { opcode: first & 0x0F, begin, end: begin + length }))
    }

    fn fill(&mut self) -> io::Result<()> {
        self.make_room();
        let read = self.stream.read(&mut self.buffer[self.filled..])?;
        self.took(read)
    }

    fn make_room(&mut self) {
        if self.taken > 0 {
            self.buffer.copy_within(self.taken..self.filled, 0);
            self.filled -= self.taken;
            self.taken = 0;
        }
    }

    fn took(&mut self, read: usize) -> io::Result<()> {
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
        }
        self.filled += read;
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

struct Frame {
    opcode: u8,
    begin: usize,
    end: usize,
}

/// Appends a text frame, as a client must send it.
pub fn text_frame(payload: &[u8], out: &mut Vec<u8>) {
    masked_frame(TEXT, payload, out);
}

fn masked_frame(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        medium @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn frames_are_found_wherever_the_reads_cut_them() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            let long = vec![b'x'; READ_AT_ONCE + 5];
            let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
            bytes.extend_from_slice(b"\x81\x02ab\x81\x7f");
            bytes.extend_from_slice(&(long.len() as u64).to_be_bytes());
            bytes.extend_from_slice(&long);
            bytes.extend_from_slice(b"\x81\x7e\x00\x80");
            bytes.extend_from_slice(&[b'y'; 128]);
            for piece in bytes.chunks(70_001) {
                stream.write_all(piece).unwrap();
            }
        });
        let mut socket = Socket::open(address, "/", &[("A", "b")]).unwrap();
        let mut lengths = Vec::new();
        while lengths.len() < 3 {
            socket.receive(|text| lengths.push(text.len())).unwrap();
        }
        assert_eq!(lengths, [2, READ_AT_ONCE + 5, 128]);
        server.join().unwrap();
        assert!(socket.receive(|_| {}).is_err());
        assert!(socket.receive_ready(|_| {}).is_err(), "the end is told, not taken for nothing");
    }

    #[test]
    fn a_refusal_names_the_status() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
        });
        let error = Socket::open(address, "/", &[]).err().expect("a refusal");
        assert!(error.to_string().contains("404 Not Found"), "{error}");
        server.join().unwrap();
    }
}
