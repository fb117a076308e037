//! An EPMD within the test: just enough to register and to look up.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const ALIVE2_REQ: u8 = 120;
const PORT_PLEASE2_REQ: u8 = 122;
const NAMES_REQ: u8 = 110;

type Names = Arc<Mutex<HashMap<String, u16>>>;

/// An EPMD on a port that is free at 127.0.0.1 and ::1, gone when dropped.
pub struct ScratchEpmd {
    port: u16,
    names: Names,
    questions: Arc<AtomicUsize>,
    servers: [JoinHandle<()>; 2],
}

impl ScratchEpmd {
    /// Starts one.
    pub async fn start() -> Self {
        let (port, listeners) = listen().await;
        let names = Names::default();
        let questions = Arc::new(AtomicUsize::new(0));
        let servers = listeners
            .map(|listener| tokio::spawn(serve(listener, names.clone(), questions.clone())));
        Self {
            port,
            names,
            questions,
            servers,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it has had.
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    /// Enters a name as if a node had registered it.
    pub fn add(&self, name: &str, port: u16) {
        self.names.lock().unwrap().insert(name.to_owned(), port);
    }

    /// The port of a registered name.
    pub fn find(&self, name: &str) -> Option<u16> {
        self.names.lock().unwrap().get(name).copied()
    }
}

impl Drop for ScratchEpmd {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

async fn listen() -> (u16, [TcpListener; 2]) {
    loop {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = four.local_addr().unwrap().port();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(six) => return (port, [four, six]),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => panic!("::1 cannot be listened on: {error}"),
        }
    }
}

async fn serve(listener: TcpListener, names: Names, questions: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        questions.fetch_add(1, Ordering::Relaxed);
        let names = names.clone();
        tokio::spawn(async move {
            // A client that breaks off is its own test's business.
            let _ = answer(stream, names).await;
        });
    }
}

async fn answer(mut stream: TcpStream, names: Names) -> std::io::Result<()> {
    let len = stream.read_u16().await?;
    let mut request = vec![0; usize::from(len)];
    stream.read_exact(&mut request).await?;
    match request[0] {
        PORT_PLEASE2_REQ => {
            let name = String::from_utf8_lossy(&request[1..]).into_owned();
            let port = names.lock().unwrap().get(&name).copied();
            stream.write_all(&port_reply(&name, port)).await
        }
        NAMES_REQ => stream.write_all(&names_reply(&names)).await,
        ALIVE2_REQ => hold_registration(stream, &request, names).await,
        _ => Ok(()),
    }
}

fn port_reply(name: &str, port: Option<u16>) -> Vec<u8> {
    let Some(port) = port else {
        return vec![119, 1];
    };
    let mut reply = vec![119, 0];
    reply.extend(port.to_be_bytes());
    reply.extend([77, 0, 0, 6, 0, 5]);
    reply.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
    reply.extend(name.as_bytes());
    reply.extend([0, 0]);
    reply
}

fn names_reply(names: &Names) -> Vec<u8> {
    let mut reply = vec![0; 4];
    for (name, port) in names.lock().unwrap().iter() {
        reply.extend(format!("name {name} at port {port}\n").into_bytes());
    }
    reply
}

/// A registration lasts as long as its connection.
async fn hold_registration(
    mut stream: TcpStream,
    request: &[u8],
    names: Names,
) -> std::io::Result<()> {
    let port = u16::from_be_bytes([request[1], request[2]]);
    let len = usize::from(u16::from_be_bytes([request[9], request[10]]));
    let name = String::from_utf8_lossy(&request[11..11 + len]).into_owned();
    if !enter(&names, &name, port) {
        return stream.write_all(&[118, 1, 0, 0, 0, 99]).await;
    }
    stream.write_all(&[118, 0, 0, 0, 0, 7]).await?;
    let _ = stream.read_u8().await;
    names.lock().unwrap().remove(&name);
    Ok(())
}

/// `false` if somebody has the name, and keeps it.
fn enter(names: &Names, name: &str, port: u16) -> bool {
    match names.lock().unwrap().entry(name.to_owned()) {
        Entry::Vacant(free) => {
            free.insert(port);
            true
        }
        Entry::Occupied(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_is_taken_stays_with_whoever_has_it() {
        let names = Names::default();
        assert!(enter(&names, "a", 1));
        assert!(!enter(&names, "a", 2));
        assert_eq!(names.lock().unwrap().get("a"), Some(&1));
    }
}
