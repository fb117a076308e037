//! A DNS server within the test: just enough to ask for addresses.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const HEADER: usize = 12;
const NAME_ERROR: u8 = 3;
const A: u16 = 1;
const AAAA: u16 = 28;

/// A server on a free UDP port of 127.0.0.1, gone when dropped. It is silent about
/// all that ends in `.silent.test`, and denies what nobody has added.
pub struct ScratchDns {
    port: u16,
    zone: Arc<Mutex<Zone>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Zone {
    hosts: HashMap<String, Vec<IpAddr>>,
    asked: BTreeSet<String>,
}

impl ScratchDns {
    /// Starts one.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let zone = Arc::<Mutex<Zone>>::default();
        let server = tokio::spawn(serve(socket, zone.clone()));
        Self { port, zone, server }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Enters a host.
    pub fn add(&self, host: &str, addresses: &[IpAddr]) {
        let hosts = &mut self.zone.lock().unwrap().hosts;
        hosts.insert(host.to_owned(), addresses.to_vec());
    }

    /// Which of the hosts that end so were asked for.
    pub fn asked(&self, end: &str) -> Vec<String> {
        let zone = self.zone.lock().unwrap();
        let asked = zone.asked.iter().filter(|host| host.ends_with(end));
        asked.cloned().collect()
    }
}

impl Drop for ScratchDns {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut packet = [0; 1500];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut packet).await else {
            // Whoever asked before is gone.
            continue;
        };
        if let Some(reply) = zone.lock().unwrap().reply(&packet[..len]) {
            let _ = socket.try_send_to(&reply, from);
        }
    }
}

impl Zone {
    fn reply(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        let (host, end) = read_name(question);
        self.asked.insert(host.clone());
        if host.ends_with(".silent.test") {
            return None;
        }
        let family = u16::from_be_bytes([question[end], question[end + 1]]);
        let known = self.hosts.get(&host);
        let addresses = known.into_iter().flatten();
        let records: Vec<_> = addresses.filter_map(|ip| record(*ip, family)).collect();
        let count = u8::try_from(records.len()).unwrap();
        let code = if known.is_some() { 0 } else { NAME_ERROR };
        let mut reply = question[..2].to_vec();
        reply.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
        reply.extend(&question[HEADER..end + 4]);
        reply.extend(records.concat());
        Some(reply)
    }
}

/// The name that is asked for, and where it ends.
fn read_name(question: &[u8]) -> (String, usize) {
    let mut labels = Vec::new();
    let mut at = HEADER;
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}

/// Its name is that of the question, and it must not be remembered.
fn record(ip: IpAddr, family: u16) -> Option<Vec<u8>> {
    let address = match ip {
        IpAddr::V4(ip) if family == A => ip.octets().to_vec(),
        IpAddr::V6(ip) if family == AAAA => ip.octets().to_vec(),
        _ => return None,
    };
    let mut record = vec![0xc0, 0x0c];
    record.extend(family.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 0, 0]);
    record.push(u8::try_from(address.len()).unwrap());
    record.extend(address);
    Some(record)
}
