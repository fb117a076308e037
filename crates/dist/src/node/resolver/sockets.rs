//! UDP sockets to DNS servers, shared by the questions that are under way.
//!
//! hickory opens a socket for each packet that it sends. DNS that is silent about a
//! few hundred hosts would take all files that a process may have open. Here a
//! socket is shared while it is in use: a quiet daemon asks from a new port each
//! time, which is hard to guess, and a flood takes a few sockets.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::lock;

/// Packets that wait for their answer at one socket.
const MAX_SHARING: usize = 128;
/// Longer than what we tell servers that we take.
const MAX_ANSWER: usize = 4096;
/// Answers to one packet that wait to be read; the others are forged, or came twice.
const MAX_UNREAD: usize = 4;

type Pinned<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

/// Where hickory gets its sockets and tasks from.
#[derive(Clone, Default)]
pub(super) struct Sockets {
    tokio: TokioRuntimeProvider,
    /// Locked while one is being opened: a burst of questions waits for that one.
    open: Arc<tokio::sync::Mutex<Vec<Weak<Socket>>>>,
}

/// A socket, gone with the last place at it.
struct Socket {
    server: SocketAddr,
    udp: Arc<UdpSocket>,
    waiting: Arc<Waiting>,
    reader: AbortHandle,
}

/// Who waits for an answer, by the identifier of the question: a question that is
/// sent again has the same and another place. hickory looks whether an answer is
/// to its question.
#[derive(Default)]
struct Waiting {
    places: Mutex<HashMap<u16, Vec<Numbered>>>,
    next: AtomicU64,
}

/// The place of that number, seen from the socket.
type Numbered = (u64, mpsc::Sender<Vec<u8>>);

/// The right to ask one question at a socket.
pub(super) struct Place {
    socket: Arc<Socket>,
    number: u64,
    asked: Mutex<Option<Asked>>,
}

struct Asked {
    id: u16,
    answers: mpsc::Receiver<Vec<u8>>,
}

impl Sockets {
    async fn place(&self, local: SocketAddr, server: SocketAddr) -> io::Result<Place> {
        let mut open = self.open.lock().await;
        open.retain(|socket| socket.strong_count() > 0);
        let mut sockets = open.iter().filter_map(Weak::upgrade);
        // Ours is one of the count.
        let with_room = sockets.find(|s| s.server == server && Arc::strong_count(s) <= MAX_SHARING);
        let socket = match with_room {
            Some(socket) => socket,
            None => {
                let socket = Arc::new(Socket::open(local, server).await?);
                open.push(Arc::downgrade(&socket));
                socket
            }
        };
        let number = socket.waiting.next.fetch_add(1, Ordering::Relaxed);
        Ok(Place {
            socket,
            number,
            asked: Mutex::default(),
        })
    }

    #[cfg(test)]
    pub(super) async fn in_use(&self) -> usize {
        let open = self.open.lock().await;
        open.iter().filter(|s| s.strong_count() > 0).count()
    }
}

impl Socket {
    async fn open(local: SocketAddr, server: SocketAddr) -> io::Result<Self> {
        let udp = UdpSocket::bind(local).await?;
        // Packets from elsewhere are dropped, and "nobody listens there" is heard.
        udp.connect(server).await?;
        // Before that tokio sends nothing without waiting.
        udp.writable().await?;
        let (udp, waiting) = (Arc::new(udp), Arc::<Waiting>::default());
        let reader = tokio::spawn(read(udp.clone(), waiting.clone())).abort_handle();
        Ok(Self {
            server,
            udp,
            waiting,
            reader,
        })
    }
}

async fn read(udp: Arc<UdpSocket>, waiting: Arc<Waiting>) {
    let mut packet = vec![0; MAX_ANSWER];
    loop {
        match udp.recv(&mut packet).await {
            Ok(len) => waiting.answer(&packet[..len]),
            // Nobody listens there; whoever waits need not wait longer.
            Err(_) => lock(&waiting.places).clear(),
        }
    }
}

impl Waiting {
    fn answer(&self, packet: &[u8]) {
        let Some(id) = id_of(packet) else { return };
        for (_, place) in lock(&self.places).get(&id).into_iter().flatten() {
            let _ = place.try_send(packet.to_vec());
        }
    }

    fn add(&self, id: u16, number: u64) -> Asked {
        let (sender, answers) = mpsc::channel(MAX_UNREAD);
        let mut places = lock(&self.places);
        places.entry(id).or_default().push((number, sender));
        Asked { id, answers }
    }

    fn remove(&self, id: u16, number: u64) {
        let mut places = lock(&self.places);
        let Some(same) = places.get_mut(&id) else {
            return;
        };
        same.retain(|(other, _)| *other != number);
        if same.is_empty() {
            places.remove(&id);
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(asked) = lock(&self.asked).take() {
            self.socket.waiting.remove(asked.id, self.number);
        }
    }
}

impl DnsUdpSocket for Place {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut asked = lock(&self.asked);
        let Some(asked) = asked.as_mut() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let Some(answer) = ready!(asked.answers.poll_recv(cx)) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        };
        let len = answer.len().min(buf.len());
        buf[..len].copy_from_slice(&answer[..len]);
        Poll::Ready(Ok((len, self.socket.server)))
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        packet: &[u8],
        _: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let Some(id) = id_of(packet) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        *lock(&self.asked) = Some(self.socket.waiting.add(id, self.number));
        Poll::Ready(match self.socket.udp.try_send(packet) {
            // As good as lost on the way: it is sent again soon.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(packet.len()),
            sent => sent,
        })
    }
}

impl RuntimeProvider for Sockets {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = Place;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> TokioHandle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        limit: Option<Duration>,
    ) -> Pinned<Self::Tcp> {
        self.tokio.connect_tcp(server, local, limit)
    }

    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> Pinned<Place> {
        let sockets = self.clone();
        Box::pin(async move { sockets.place(local, server).await })
    }
}

fn id_of(packet: &[u8]) -> Option<u16> {
    packet.first_chunk().map(|id| u16::from_be_bytes(*id))
}
