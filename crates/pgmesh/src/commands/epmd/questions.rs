//! `-names`, `-kill` and `-stop`: what they print is read by scripts, so the words
//! are those of OTP's epmd.

use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use pgmesh_epmd::codec::Request;
use pgmesh_epmd::{EpmdError, ask};

use super::options::Question;

/// As long as OTP's nodes wait.
const LIMIT: Duration = Duration::from_secs(10);
/// The bytes that `-stop` reads.
const STOP_REPLY: usize = 7;

pub(super) fn run(question: &Question, port: u16, silent: bool) -> anyhow::Result<ExitCode> {
    let reply = crate::commands::block_on(async { Ok(ask_local(question, port).await) })?;
    let Some(reply) = reply else {
        if !silent {
            writeln!(std::io::stderr(), "epmd: Cannot connect to local epmd")?;
        }
        return Ok(ExitCode::FAILURE);
    };
    let (text, code) = match question {
        Question::Names | Question::Dump => listed(&reply),
        Question::Kill => killed(&reply),
        Question::Stop(_) => stopped(&reply),
    };
    if !silent {
        std::io::stdout().write_all(&text)?;
    }
    Ok(code)
}

/// What the EPMD of this host says, which may be nothing; `None` if there is none.
async fn ask_local(question: &Question, port: u16) -> Option<Vec<u8>> {
    let request = match question {
        Question::Names => Request::Names,
        Question::Dump => Request::Dump,
        Question::Kill => Request::Kill,
        Question::Stop(name) => Request::Stop(name.as_bytes()),
    };
    let loopback = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
    for ip in loopback {
        match ask(SocketAddr::new(ip, port), request, LIMIT).await {
            Ok(reply) => return Some(reply),
            Err(EpmdError::Io { cause, .. }) if is_nobody(cause.kind()) => {}
            Err(_) => return Some(Vec::new()),
        }
    }
    None
}

fn is_nobody(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::AddrNotAvailable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::Unsupported
    )
}

fn listed(reply: &[u8]) -> (Vec<u8>, ExitCode) {
    let Some((port, text)) = reply.split_first_chunk::<4>() else {
        let text = b"epmd: no response from local epmd\n";
        return (text.into(), ExitCode::FAILURE);
    };
    let port = u32::from_be_bytes(*port);
    let head = format!("epmd: up and running on port {port} with data:\n");
    ([head.as_bytes(), text].concat(), ExitCode::SUCCESS)
}

fn killed(reply: &[u8]) -> (Vec<u8>, ExitCode) {
    match reply {
        b"OK" => (b"Killed\n".into(), ExitCode::SUCCESS),
        b"NO" => {
            let text = b"Killing not allowed - living nodes in database.\n";
            (text.into(), ExitCode::FAILURE)
        }
        _ => not_understood(reply),
    }
}

/// That there is no such name is a success, too.
fn stopped(reply: &[u8]) -> (Vec<u8>, ExitCode) {
    match reply.get(..STOP_REPLY) {
        Some(word) => ([word, b"\n"].concat(), ExitCode::SUCCESS),
        None => not_understood(reply),
    }
}

fn not_understood(reply: &[u8]) -> (Vec<u8>, ExitCode) {
    let text = String::from_utf8_lossy(reply);
    let text = format!("epmd: local epmd responded with <{text}>\n");
    (text.into_bytes(), ExitCode::FAILURE)
}
