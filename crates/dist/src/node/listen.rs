//! Where a node listens: at one address or several, and at one port.

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use tokio::net::TcpListener;

use crate::StartError;

/// How many ports of the system's choice are tried, until one is free at every address.
const TRIES: usize = 16;

/// Where a node listens: addresses, and the one port that EPMD tells of a node.
///
/// A single one comes from a [`SocketAddr`]; several are written with commas between, like
/// `127.0.0.1:0,[::1]:0`. The wildcard `[::]` alone means both families, unless the system
/// says otherwise (`net.ipv6.bindv6only`); `0.0.0.0` beside it is refused as in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    first: IpAddr,
    others: Vec<IpAddr>,
    port: u16,
}

/// Why a text does not say where to listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// A part of it is no address with a port.
    #[error("{0:?} is no address with a port")]
    Address(String),
    /// A node has one port, since EPMD tells one.
    #[error("the ports {0} and {1} differ")]
    Ports(u16, u16),
}

impl ListenError {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address(_) => "listen_address",
            Self::Ports(..) => "listen_ports",
        }
    }

    /// A text does not get better by trying again.
    pub fn is_retryable(&self) -> bool {
        false
    }

    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Address(_) => "write an address and a port, like 0.0.0.0:0 or [::1]:9100",
            Self::Ports(..) => "give every address the same port, the one that EPMD tells",
        }
    }
}

impl Listen {
    /// The same, and at another address too. Twice is once.
    #[must_use]
    pub fn and(mut self, address: IpAddr) -> Self {
        if !self.ips().any(|ip| ip == address) {
            self.others.push(address);
        }
        self
    }

    /// The port; 0 lets the system choose one that is free at all addresses.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the port, for all addresses.
    pub fn set_port(&mut self, port: u16) {
        self.port = port;
    }

    /// Each address, with the port.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.ips().map(|ip| SocketAddr::new(ip, self.port))
    }

    fn ips(&self) -> impl Iterator<Item = IpAddr> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self {
            first: address.ip(),
            others: Vec::new(),
            port: address.port(),
        }
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    /// Reads `0.0.0.0:0`, or several with commas between.
    fn from_str(text: &str) -> Result<Self, ListenError> {
        let mut listen: Option<Self> = None;
        for part in text.split(',').map(str::trim) {
            let malformed = |_| ListenError::Address(part.to_owned());
            let address: SocketAddr = part.parse().map_err(malformed)?;
            listen = Some(match listen {
                None => address.into(),
                Some(listen) if listen.port == address.port() => listen.and(address.ip()),
                Some(listen) => return Err(ListenError::Ports(listen.port, address.port())),
            });
        }
        listen.ok_or_else(|| ListenError::Address(text.to_owned()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.addresses().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{address}")?;
        }
        Ok(())
    }
}

/// Listens at every address; returns the port, too.
pub(super) async fn bind(listen: &Listen) -> Result<(Vec<TcpListener>, u16), StartError> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match bind_all(listen).await {
            // What the system chose for the first address, somebody has at another.
            Err(StartError::Listen { address, cause })
                if cause.kind() == ErrorKind::AddrInUse
                    && listen.port == 0
                    && address.port() != 0
                    && tries > 0 => {}
            outcome => return outcome,
        }
    }
}

async fn bind_all(listen: &Listen) -> Result<(Vec<TcpListener>, u16), StartError> {
    let mut port = listen.port;
    let mut listeners = Vec::new();
    for ip in listen.ips() {
        let address = SocketAddr::new(ip, port);
        let failed = |cause| StartError::Listen { address, cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        port = listener.local_addr().map_err(failed)?.port();
        listeners.push(listener);
    }
    Ok((listeners, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> Listen {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_have_one_port() {
        let both = listen("127.0.0.1:9100, [::1]:9100");
        let addresses: Vec<_> = both.addresses().map(|a| a.to_string()).collect();
        assert_eq!(addresses, ["127.0.0.1:9100", "[::1]:9100"]);
        assert_eq!(listen(&both.to_string()), both);
        assert_eq!(listen("127.0.0.1:1,127.0.0.1:1").addresses().count(), 1);
        let wrong = |text: &str| text.parse::<Listen>().unwrap_err();
        let ports = wrong("127.0.0.1:9100,[::1]:0");
        assert_eq!(ports, ListenError::Ports(9100, 0));
        for (text, part) in [("", ""), ("127.0.0.1:0,", ""), ("a:1,b", "a:1")] {
            assert_eq!(wrong(text), ListenError::Address(part.to_owned()));
        }
    }

    #[tokio::test]
    async fn port_of_the_systems_choice_is_the_same_everywhere() {
        let (listeners, port) = bind(&listen("127.0.0.1:0,127.0.0.2:0")).await.unwrap();
        let local = listeners.iter().map(|l| l.local_addr().unwrap());
        let expected = [1, 2].map(|last| ([127, 0, 0, last], port).into());
        assert_eq!(local.collect::<Vec<SocketAddr>>(), expected);
        let given = Listen::from(SocketAddr::from(([127, 0, 0, 3], port)));
        let taken = bind(&given.and([127, 0, 0, 2].into())).await.unwrap_err();
        let StartError::Listen { address, .. } = taken else {
            panic!("{taken}");
        };
        assert_eq!(address.ip().to_string(), "127.0.0.2");
        assert_eq!(address.port(), port);
    }
}
