//! Where an EPMD listens.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

/// How many ports of the system's choice are tried, until one is free at every address.
const TRIES: usize = 16;
/// Connections that wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 4096;
const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
const ANY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct BindError {
    /// Which.
    pub address: SocketAddr,
    /// Why.
    pub cause: io::Error,
}

impl BindError {
    /// Whether somebody listens there: for an EPMD, that one is there already.
    pub fn is_in_use(&self) -> bool {
        self.cause.kind() == ErrorKind::AddrInUse
    }

    /// Whether what the system chose for the first address is somebody's at another.
    fn is_by_chance(&self) -> bool {
        self.is_in_use() && self.address.port() != 0
    }
}

/// The addresses of a list as `ERL_EPMD_ADDRESS` has it, with commas or blanks
/// between. Loopback is always among them; an empty list means all there are.
///
/// # Errors
///
/// The first word that is no address.
pub fn parse_addresses(list: &str) -> Result<Vec<IpAddr>, String> {
    let words = list.split([',', ' ']).filter(|word| !word.is_empty());
    let parse = |word: &str| word.parse().map_err(|_| word.to_owned());
    let given = words.map(parse).collect::<Result<Vec<IpAddr>, _>>()?;
    if given.is_empty() {
        return Ok(ANY.into());
    }
    let others = given.into_iter().filter(|ip| !LOOPBACK.contains(ip));
    Ok(LOOPBACK.into_iter().chain(others).collect())
}

/// Listens on all of these addresses. With port 0 the system chooses one that is free at
/// all of them.
/// An IPv6 loopback or wildcard that this host does not have is left out.
///
/// Must be called within a tokio runtime.
///
/// # Errors
///
/// At the first address that cannot be listened on.
pub fn bind(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, BindError> {
    let mut tries = 1;
    loop {
        match bind_all(addresses, port) {
            Err(error) if port == 0 && tries < TRIES && error.is_by_chance() => tries += 1,
            outcome => return outcome,
        }
    }
}

fn bind_all(addresses: &[IpAddr], mut port: u16) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for &ip in addresses {
        let address = SocketAddr::new(ip, port);
        match listen(address) {
            Ok(listener) => {
                port = listener.local_addr().map_or(port, |local| local.port());
                listeners.push(listener);
            }
            Err(cause) if ip.is_ipv6() && is_given(ip) && lacks_ipv6(&cause) => {}
            Err(cause) => return Err(BindError { address, cause }),
        }
    }
    Ok(listeners)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Nobody asked for these by name.
fn is_given(ip: IpAddr) -> bool {
    LOOPBACK.contains(&ip) || ANY.contains(&ip)
}

/// The kernel has no IPv6, or this network namespace no address of it.
fn lacks_ipv6(cause: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    cause.kind() == ErrorKind::AddrNotAvailable || cause.raw_os_error() == Some(EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_always_among_them() {
        let parse = |list| {
            parse_addresses(list).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(parse("").unwrap(), ["0.0.0.0", "::"]);
        assert_eq!(parse(" , ").unwrap(), ["0.0.0.0", "::"]);
        assert_eq!(parse("127.0.0.1").unwrap(), ["127.0.0.1", "::1"]);
        let both = parse("10.0.0.1, ::1 fd00::1").unwrap();
        assert_eq!(both, ["127.0.0.1", "::1", "10.0.0.1", "fd00::1"]);
        assert_eq!(parse("10.0.0.1,foo"), Err("foo".to_owned()));
    }

    #[tokio::test]
    async fn one_port_for_both_families_and_one_listener_each() {
        let listeners = bind(&LOOPBACK, 0).unwrap();
        let ports: Vec<_> = listeners
            .iter()
            .map(|l| l.local_addr().unwrap().port())
            .collect();
        assert!(ports.windows(2).all(|pair| pair[0] == pair[1]));
        let again = bind(&LOOPBACK[..1], ports[0]).unwrap_err();
        assert!(again.is_in_use());
    }

    /// Of ports of the system's choice some are taken at the other address.
    #[tokio::test]
    async fn port_that_is_taken_at_one_of_the_addresses_is_not_chosen() {
        let taken = |_| bind(&LOOPBACK[1..], 0).unwrap();
        let _taken: Vec<_> = (0..400).map(taken).collect();
        for _ in 0..1000 {
            bind(&LOOPBACK, 0).unwrap();
        }
    }
}
