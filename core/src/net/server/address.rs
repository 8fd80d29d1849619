//! Where a server listens, and how others reach it.

use std::net::{SocketAddr, ToSocketAddrs};

use tokio::net::{TcpListener, TcpSocket};

use crate::Error;

/// Connections that wait to be accepted: a restart brings all wrappers back at the same time.
const BACKLOG: u32 = 1_024;

/// Binds the first address that works. `protected`: there is a key.
pub(super) fn bind(
    address: &str,
    protected: bool,
    runtime: &tokio::runtime::Handle,
) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |error: std::io::Error| {
        Error::invalid(format!("cannot serve at {address:?} (HOST:PORT): {error}"))
    };
    let candidates: Vec<SocketAddr> = address.to_socket_addrs().map_err(failed)?.collect();
    if !protected && candidates.iter().any(|one| !one.ip().to_canonical().is_loopback()) {
        return Err(Error::invalid(format!(
            "cannot serve at {address:?} without a key: it can be reached from other machines; \
             set a key, or serve at 127.0.0.1"
        )));
    }
    // The listener registers with the runtime it is made in.
    let _inside = runtime.enter();
    let mut last = std::io::Error::other("the name has no address");
    for candidate in candidates {
        match listen(candidate) {
            Ok(listener) => {
                let bound = listener.local_addr().map_err(failed)?;
                return Ok((listener, bound));
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted server takes its port back although old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// An address that a client on this machine can connect to.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            reachable.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            reachable.set_ip(std::net::Ipv6Addr::LOCALHOST.into());
        }
        _ => {}
    }
    reachable
}

/// The same with the name of `given` (`name:port`), where it is a name.
pub(super) fn named(given: &str, address: SocketAddr) -> String {
    match given.rsplit_once(':') {
        Some((name, _)) if !name.is_empty() && given.parse::<SocketAddr>().is_err() => {
            format!("{name}:{}", address.port())
        }
        _ => reachable(address).to_string(),
    }
}
