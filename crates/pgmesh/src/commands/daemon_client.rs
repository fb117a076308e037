//! Asks the daemon over its control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ArgMatches;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use pgmesh_name::NodeName;
use tokio::net::UnixStream;

use super::UsageError;
use crate::settings::{default_socket, short_host};

const LIMIT: Duration = Duration::from_secs(5);

/// What the daemon answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }
}

/// Asks for a page, within five seconds.
pub(super) fn get(flags: &ArgMatches, page: &str) -> anyhow::Result<Answer> {
    let socket = socket(flags)?;
    super::block_on(async {
        match tokio::time::timeout(LIMIT, exchange(&socket, page)).await {
            Ok(answer) => answer,
            Err(_) => bail!("the daemon at {} does not answer", socket.display()),
        }
    })
}

/// Asks for a page that is JSON.
pub(super) fn get_json(flags: &ArgMatches, page: &str) -> anyhow::Result<Answer> {
    let answer = get(flags, page)?;
    if answer.status != StatusCode::OK {
        bail!("the daemon answers {}: {}", answer.status, answer.text());
    }
    Ok(answer)
}

fn socket(flags: &ArgMatches) -> Result<PathBuf, UsageError> {
    let given = |flag: &str, variable: &str| {
        let flag = flags.get_one::<String>(flag).cloned();
        flag.or_else(|| std::env::var(variable).ok())
    };
    if let Some(path) = given("socket", "PGMESH_SOCKET") {
        return Ok(PathBuf::from(path));
    }
    let name = given("name", "PGMESH_NAME");
    let name = name.unwrap_or_else(|| format!("pgmesh@{}", short_host()));
    match name.parse::<NodeName>() {
        Ok(name) => Ok(default_socket(&name)),
        Err(error) => Err(UsageError {
            argument: "--name",
            value: name,
            problem: error.to_string(),
        }),
    }
}

async fn exchange(socket: &Path, page: &str) -> anyhow::Result<Answer> {
    let stream = UnixStream::connect(socket)
        .await
        .with_context(|| no_daemon(socket))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(page)
        .header("host", "pgmesh")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, body })
}

/// What to say where no daemon answers; another name's socket is the usual cause.
fn no_daemon(socket: &Path) -> String {
    let found = others(socket).join(", ");
    let hint = if found.is_empty() {
        "is `pgmesh run` running? give its --name or --socket".to_owned()
    } else {
        format!("running here: {found}; give its --name")
    };
    format!("no daemon answers at {} ({hint})", socket.display())
}

/// The names of the daemons whose sockets lie beside this one.
fn others(socket: &Path) -> Vec<String> {
    let folder = socket.parent().and_then(|folder| folder.read_dir().ok());
    let names = folder.into_iter().flatten().filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        name.strip_suffix(".sock").map(str::to_owned)
    });
    names.collect()
}
