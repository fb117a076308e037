//! The two EPMDs, and the connections that each of them holds.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pgmesh_epmd::{Commands, ServerConfig};
use socket2::SockRef;
use tokio::sync::oneshot;

use super::outcome::{End, Outcome};
use super::script::Step;

const START_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Peer {
    port: u16,
    /// Those that stayed open after their request.
    held: Vec<TcpStream>,
    /// The last one, if it may be looked at again.
    last: Option<TcpStream>,
    _server: Server,
}

enum Server {
    Otp(Child),
    /// Ends when this is dropped.
    Ours {
        _end: oneshot::Sender<()>,
    },
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Self::Otp(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// That of the machine, or the program that `OTP_EPMD` names, of another release say:
/// it gets epmd's options, and ends with its standard input.
pub(crate) fn otp_epmd(relaxed: bool) -> Peer {
    let port = free_port();
    let program = std::env::var_os("OTP_EPMD").unwrap_or_else(|| "epmd".into());
    let mut command = Command::new(program);
    command.args(["-port", &port.to_string(), "-address", "127.0.0.1"]);
    if relaxed {
        command.arg("-relaxed_command_check");
    }
    let quiet = command.env_remove("ERL_EPMD_ADDRESS").stderr(Stdio::null());
    let child = quiet
        .stdin(Stdio::piped())
        .spawn()
        .expect("epmd of OTP must be on PATH, or OTP_EPMD must name it");
    Peer::new(port, Server::Otp(child))
}

pub(crate) fn our_epmd(relaxed: bool) -> Peer {
    // One thread, as in the program: what is closed first is heard of first.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let commands = match relaxed {
        true => Commands::Relaxed,
        false => Commands::Safe,
    };
    let config = ServerConfig {
        commands,
        ..ServerConfig::default()
    };
    let loopback = pgmesh_epmd::parse_addresses("127.0.0.1").unwrap();
    let listeners = {
        let _entered = runtime.enter();
        pgmesh_epmd::bind(&loopback, 0).unwrap()
    };
    let port = listeners[0].local_addr().unwrap().port();
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                served = pgmesh_epmd::serve(listeners, config) => served.unwrap(),
                _ = ended => {}
            }
        });
    });
    Peer::new(port, Server::Ours { _end: end })
}

/// OTP's EPMD takes no port 0.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Peer {
    /// Waits until it answers. One name is held from the beginning, so that nobody
    /// may end it.
    fn new(port: u16, server: Server) -> Self {
        let mut peer = Self {
            port,
            held: Vec::new(),
            last: None,
            _server: server,
        };
        let give_up = Instant::now() + START_LIMIT;
        while peer.names().is_err() {
            assert!(Instant::now() < give_up, "no EPMD answers at {port}");
            std::thread::yield_now();
        }
        peer.hold_first();
        peer
    }

    pub(crate) fn close_all(&mut self) {
        self.keep_last();
        // One by one: the order in which names go is shown by dumps.
        while self.held.pop().is_some() {
            self.settle();
        }
        self.hold_first();
    }

    fn hold_first(&mut self) {
        let request = b"\0\x12x\x12\x34M\0\0\x06\0\x05\0\x05first\0\0";
        let mut stream = self.connect(Ipv4Addr::LOCALHOST.into()).unwrap();
        stream.set_read_timeout(Some(START_LIMIT)).unwrap();
        stream.write_all(request).unwrap();
        let mut reply = [0; 6];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply[..2], [118, 0]);
        self.held.push(stream);
    }

    /// What comes of it.
    pub(crate) fn play(&mut self, step: &Step) -> Outcome {
        self.keep_last();
        let mut outcome = match step {
            Step::Ask {
                pieces,
                then_shut,
                over_ipv6,
            } => {
                let ip = match over_ipv6 {
                    true => Ipv6Addr::LOCALHOST.into(),
                    false => Ipv4Addr::LOCALHOST.into(),
                };
                self.ask(ip, pieces, *then_shut)
            }
            Step::Speak { held, bytes } => match self.take_held(*held) {
                Some(mut stream) => {
                    let _ = stream.write_all(bytes);
                    self.outcome_of(stream)
                }
                None => Outcome::nothing(),
            },
            Step::Close { held } => {
                drop(self.take_held(*held));
                self.settle();
                Outcome::nothing()
            }
            Step::Reset { held } => {
                if let Some(stream) = self.take_held(*held) {
                    SockRef::from(&stream)
                        .set_linger(Some(Duration::ZERO))
                        .unwrap();
                }
                self.settle();
                Outcome::nothing()
            }
        };
        outcome.mask(self.port);
        outcome
    }

    /// Gives a connection that was still open the time to be closed.
    pub(crate) fn look_again(&mut self, outcome: &mut Outcome, patience: Duration) {
        if let Some(stream) = &mut self.last {
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(patience)).unwrap();
            let mut more = Outcome::nothing();
            more.read_on(stream);
            outcome.said.extend(more.said);
            outcome.end = more.end;
            outcome.mask(self.port);
        }
        if outcome.end != End::Open {
            self.last = None;
        }
    }

    fn ask(&mut self, ip: IpAddr, pieces: &[Vec<u8>], then_shut: bool) -> Outcome {
        let mut stream = self.connect(ip).unwrap();
        for piece in pieces {
            // It may be closed already: that shows at the end.
            let _ = stream.write_all(piece);
            self.settle();
        }
        if then_shut {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        self.outcome_of(stream)
    }

    fn outcome_of(&mut self, mut stream: TcpStream) -> Outcome {
        self.settle();
        stream.set_nonblocking(true).unwrap();
        let mut outcome = Outcome::nothing();
        outcome.read_on(&mut stream);
        self.last = (outcome.end == End::Open).then_some(stream);
        outcome
    }

    fn keep_last(&mut self) {
        self.held.extend(self.last.take());
    }

    /// Never the first.
    fn take_held(&mut self, number: usize) -> Option<TcpStream> {
        let others = self.held.len() - 1;
        (others > 0).then(|| self.held.swap_remove(1 + number % others))
    }

    /// Whatever was sent before has been read: OTP's EPMD serves a connection that it
    /// accepts after all others that have something to say.
    fn settle(&self) {
        for _ in 0..2 {
            self.names().unwrap();
        }
    }

    /// The names, without the own port before them.
    pub(crate) fn listing(&self) -> Vec<u8> {
        self.names().unwrap().split_off(4)
    }

    fn names(&self) -> std::io::Result<Vec<u8>> {
        let mut stream = self.connect(Ipv4Addr::LOCALHOST.into())?;
        stream.write_all(b"\0\x01n")?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        Ok(reply)
    }

    fn connect(&self, ip: IpAddr) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(SocketAddr::new(ip, self.port))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
