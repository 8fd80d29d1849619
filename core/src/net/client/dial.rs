//! From a host's name to a connection: every address of it is given its chance.
//!
//! A name may have several addresses, and any of them may be dead without saying so. They are
//! tried side by side, as RFC 8305 says: families take turns, the next one begins a moment after
//! the last or as soon as one has failed, and the first to answer wins. An address that took the
//! connection and then did not answer, the upgrade or as a proxy, comes last in the attempts that
//! follow, until one has succeeded: otherwise it would be chosen every time.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::proxy::Proxy;
use super::tunnel::Tunnel;
use crate::lock::Mutex;

/// The wait before the next address is tried beside the last (RFC 8305, section 8).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// The least of it, where many addresses must have their chance within the time.
const NEXT_ADDRESS_AT_LEAST: Duration = Duration::from_millis(10);

/// Addresses of one name that are tried, and remembered for not answering.
const ADDRESSES: usize = 64;

/// Where a connection goes to, and by which way.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) secure: bool,
    tunnel: Option<Tunnel>,
    /// Addresses that took a connection and did not answer on it.
    suspects: Arc<Mutex<Vec<IpAddr>>>,
}

/// A connection, and with whom: the host, or the proxy before it.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) stream: TcpStream,
    pub(super) peer: Asked,
}

/// An address that took a connection and was asked for something. Dropped, also by whoever does
/// not wait any longer, it is one that did not answer.
#[derive(Debug)]
pub(super) struct Asked {
    suspects: Arc<Mutex<Vec<IpAddr>>>,
    address: IpAddr,
    has_answered: bool,
}

impl Asked {
    /// It did: what was known of others is old.
    pub(super) fn answered(mut self) {
        self.has_answered = true;
        self.suspects.lock().clear();
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut suspects = self.suspects.lock();
        if !self.has_answered && !suspects.contains(&self.address) && suspects.len() < ADDRESSES {
            suspects.push(self.address);
        }
    }
}

impl Route {
    /// `host` without brackets. `InvalidArgument` for a proxy that is none.
    pub(super) fn new(
        host: &str,
        port: u16,
        secure: bool,
        proxy: &Proxy,
    ) -> Result<Route, crate::Error> {
        let tunnel = proxy.before(host, secure)?;
        Ok(Route { host: host.to_owned(), port, secure, tunnel, suspects: Arc::default() })
    }

    /// Connects, through the proxy where there is one, within `limit`; what is wrong is a text for
    /// people.
    pub(super) async fn connect(&self, limit: Duration) -> Result<Dialed, String> {
        let deadline = Instant::now() + limit;
        let dialed = tokio::time::timeout_at(deadline, self.dial(limit)).await;
        dialed.unwrap_or_else(|_| Err(format!("connecting{} took too long", self.by_way_of())))
    }

    async fn dial(&self, limit: Duration) -> Result<Dialed, String> {
        let (host, port) = match &self.tunnel {
            Some(tunnel) => (tunnel.host(), tunnel.port()),
            None => (self.host.as_str(), self.port),
        };
        let lookups = crate::net::runtime::lookups().map_err(|error| error.to_string())?;
        let found = lookups.addresses(host).await;
        let explain = |error: io::Error| match &self.tunnel {
            Some(tunnel) => format!("the proxy {tunnel} cannot be reached: {error}"),
            None => error.to_string(),
        };
        let mut found = found.map_err(explain)?;
        found.iter_mut().for_each(|address| address.set_port(port));
        let addresses = in_turns(found, &self.suspects.lock());
        let (mut stream, address) =
            first_to_answer(addresses, limit, TcpStream::connect).await.map_err(explain)?;
        // Small frames go out at once.
        stream.set_nodelay(true).map_err(explain)?;
        let peer = self.ask(address.ip());
        if let Some(tunnel) = &self.tunnel
            && let Err(unopened) = tunnel.open(&mut stream, &self.host, self.port).await
        {
            if unopened.answered {
                peer.answered();
            }
            return Err(unopened.text);
        }
        Ok(Dialed { stream, peer })
    }

    fn ask(&self, address: IpAddr) -> Asked {
        Asked { suspects: Arc::clone(&self.suspects), address, has_answered: false }
    }

    /// ` through the proxy …`, where there is one.
    pub(super) fn by_way_of(&self) -> String {
        self.tunnel
            .as_ref()
            .map(|tunnel| format!(" through the proxy {tunnel}"))
            .unwrap_or_default()
    }
}

/// The order in which addresses are tried: suspects last, families in turns, the system's order
/// otherwise (RFC 8305, section 4).
fn in_turns(found: Vec<SocketAddr>, suspects: &[IpAddr]) -> Vec<SocketAddr> {
    let (suspect, fresh): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| suspects.contains(&address.ip()));
    let mut order = Vec::new();
    for group in [fresh, suspect] {
        let first_family = group.first().is_some_and(SocketAddr::is_ipv6);
        let (one, other): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|address| address.is_ipv6() == first_family);
        let (mut one, mut other) = (one.into_iter(), other.into_iter());
        loop {
            let pair = [one.next(), other.next()];
            if pair == [None, None] {
                break;
            }
            order.extend(pair.into_iter().flatten());
        }
    }
    order.truncate(ADDRESSES);
    order
}

/// Tries addresses side by side; the first connection wins and the others are dropped. All of them
/// have begun within half of `limit`.
async fn first_to_answer<C, F>(
    addresses: Vec<SocketAddr>,
    limit: Duration,
    connect: C,
) -> io::Result<(TcpStream, SocketAddr)>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<TcpStream>> + Send + 'static,
{
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let delay = (limit / 2 / count).clamp(NEXT_ADDRESS_AT_LEAST, NEXT_ADDRESS);
    let mut waiting = addresses.into_iter().peekable();
    let mut attempts = JoinSet::new();
    let mut failures = Vec::new();
    let mut next = Instant::now();
    loop {
        tokio::select! {
            biased;
            Some(done) = attempts.join_next() => {
                let (address, result) = done.map_err(io::Error::other)?;
                match result {
                    Ok(stream) => return Ok((stream, address)),
                    Err(error) => {
                        failures.push((address, error));
                        // The next one need not wait any longer.
                        next = Instant::now();
                    }
                }
            }
            () = tokio::time::sleep_until(next), if waiting.peek().is_some() => {
                if let Some(address) = waiting.next() {
                    let connecting = connect(address);
                    attempts.spawn(async move { (address, connecting.await) });
                }
                next = Instant::now() + delay;
            }
            else => return Err(nobody(failures)),
        }
    }
}

/// Why none of them answered.
fn nobody(mut failures: Vec<(SocketAddr, io::Error)>) -> io::Error {
    match failures.len() {
        0 => io::Error::other("the name has no address"),
        1 => failures.remove(0).1,
        _ => {
            let kind = failures[0].1.kind();
            let each: Vec<_> =
                failures.iter().map(|(address, error)| format!("{address}: {error}")).collect();
            io::Error::new(kind, each.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::runtime;

    const LIMIT: Duration = Duration::from_secs(60);

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns_and_suspects_come_last() {
        let found = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"].map(address);
        let order = in_turns(found.to_vec(), &[]);
        let expected = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"].map(address);
        assert_eq!(order, expected);
        let order = in_turns(found.to_vec(), &[address("[::1]:1").ip(), address("1.1.1.1:1").ip()]);
        let expected = ["[::2]:1", "1.1.1.2:1", "[::3]:1", "[::1]:1", "1.1.1.1:1"].map(address);
        assert_eq!(order, expected);
        assert!(in_turns(Vec::new(), &[]).is_empty());
    }

    /// Whoever connects to a dead address waits for ever, as behind a firewall that drops.
    async fn race(dead: usize) -> io::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = listener.local_addr().unwrap();
        let mut addresses: Vec<_> = (1..=dead).map(|n| address(&format!("10.0.0.{n}:9"))).collect();
        addresses.push(live);
        let connect = move |to: SocketAddr| async move {
            if to != live {
                std::future::pending::<()>().await;
            }
            TcpStream::connect(to).await
        };
        Ok(first_to_answer(addresses, LIMIT, connect).await?.1)
    }

    #[test]
    fn an_address_that_does_not_answer_keeps_nobody_from_the_next() {
        let runtime = runtime::handle().unwrap();
        for dead in [0, 1, 5] {
            let won = runtime.block_on(async { tokio::time::timeout(LIMIT, race(dead)).await });
            assert!(won.unwrap().unwrap().ip().is_loopback(), "{dead} dead ones");
        }
    }

    #[test]
    fn a_failure_begins_the_next_at_once_and_all_failures_are_told() {
        let runtime = runtime::handle().unwrap();
        let refuse = |to: SocketAddr| async move {
            Err::<TcpStream, _>(io::Error::other(format!("no {}", to.port())))
        };
        // With the wait between them this would take more than a minute.
        let many: Vec<_> = (1..=300).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
        let racing = first_to_answer(many, LIMIT * 60, refuse);
        let failed = runtime.block_on(async { tokio::time::timeout(LIMIT, racing).await });
        let text = failed.unwrap().unwrap_err().to_string();
        assert!(text.starts_with("127.0.0.1:1: no 1; ") && text.contains("no 300"), "{text}");
        let nothing = first_to_answer(Vec::new(), LIMIT, refuse);
        assert_eq!(runtime.block_on(nothing).unwrap_err().to_string(), "the name has no address");
    }

    /// A listener whose queue is full: the system drops what else would connect.
    fn full() -> (SocketAddr, Vec<Box<dyn std::any::Any>>) {
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &address("127.0.0.1:0")).unwrap();
        listen(&listener, 0).unwrap();
        let full: SocketAddr = getsockname(&listener).unwrap().try_into().unwrap();
        let mut held: Vec<Box<dyn std::any::Any>> = vec![Box::new(listener)];
        let patience = Duration::from_millis(200);
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&full, patience) {
            held.push(Box::new(stream));
        }
        (full, held)
    }

    #[test]
    fn a_full_queue_keeps_nobody_from_the_next() {
        let (full, _held) = full();
        let listener = std::net::TcpListener::bind(("127.0.0.2", 0)).unwrap();
        let live = listener.local_addr().unwrap();
        let addresses = vec![full, live];
        let racing = async {
            let connecting = first_to_answer(addresses, LIMIT, TcpStream::connect);
            tokio::time::timeout(LIMIT, connecting).await
        };
        let won = runtime::handle().unwrap().block_on(racing);
        assert_eq!(won.unwrap().unwrap().1, live);
    }

    #[test]
    fn what_did_not_answer_is_a_suspect_until_something_did() {
        let route = Route::new("example.test", 80, false, &Proxy::None).unwrap();
        let peer = address("10.0.0.1:80").ip();
        drop(route.ask(peer));
        drop(route.clone().ask(peer));
        assert_eq!(*route.suspects.lock(), [peer]);
        route.ask(address("10.0.0.2:80").ip()).answered();
        assert!(route.suspects.lock().is_empty());
    }

    #[test]
    fn a_proxy_that_does_not_answer_is_a_suspect_and_one_that_refuses_is_none() {
        use std::io::{Read, Write};
        let dialed = |answer: &'static [u8]| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let proxy = Proxy::Url(format!("http://{}", listener.local_addr().unwrap()));
            std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer);
                // Until the other has given up.
                let _ = stream.read_to_end(&mut Vec::new());
            });
            let route = Route::new("example.test", 80, false, &proxy).unwrap();
            let limit = if answer.is_empty() { Duration::from_millis(300) } else { LIMIT };
            let dialed = runtime::handle().unwrap().block_on(route.connect(limit));
            let suspects = route.suspects.lock().len();
            (dialed.unwrap_err(), suspects)
        };
        let (text, suspects) = dialed(b"");
        assert!(text.contains("took too long"), "{text}");
        assert_eq!(suspects, 1);
        let (text, suspects) = dialed(b"HTTP/1.1 403 No\r\n\r\n");
        assert!(text.contains("403"), "{text}");
        assert_eq!(suspects, 0);
    }
}
