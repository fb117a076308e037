//! Asks the daemon over its control socket.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::ArgMatches;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::request;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pgmesh_name::NodeName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::UsageError;
use crate::api::shapes::Failed;
use crate::settings::{SERVICE_FOLDER, default_socket, service_socket, short_host, variable};

/// How long the daemon may take to answer.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// What the daemon answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }

    /// The same, unless the daemon could not answer.
    pub(super) fn expect_ok(self) -> anyhow::Result<Self> {
        match self.status {
            StatusCode::OK => Ok(self),
            _ => Err(self.refused()),
        }
    }

    async fn read(response: Response<Incoming>) -> anyhow::Result<Self> {
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Self { status, body })
    }

    fn refused(&self) -> anyhow::Error {
        anyhow!("the daemon answers {}: {}", self.status, self.text())
    }
}

/// Asks for a page, within five seconds.
pub(super) fn get(flags: &ArgMatches, page: &str) -> anyhow::Result<Answer> {
    let client = DaemonClient::to_look(flags)?;
    super::block_on(client.within(LIMIT, client.get(page)))
}

/// Asks for a page that is JSON.
pub(super) fn get_json(flags: &ArgMatches, page: &str) -> anyhow::Result<Answer> {
    get(flags, page)?.expect_ok()
}

/// Asks for a change, which may take this long, and reads the answer.
pub(super) fn post<T: DeserializeOwned>(
    flags: &ArgMatches,
    page: &str,
    wanted: &impl Serialize,
    limit: Duration,
) -> anyhow::Result<T> {
    let client = DaemonClient::new(flags)?;
    let body = Bytes::from(serde_json::to_vec(wanted)?);
    let request = client.request(Request::post(page), body);
    let answer = super::block_on(client.within(limit, request))?;
    if let Ok(Failed { error }) = serde_json::from_slice(&answer.body) {
        bail!("{}", error.message);
    }
    Ok(serde_json::from_slice(&answer.expect_ok()?.body)?)
}

/// Where the daemon is to be asked.
pub(super) struct DaemonClient {
    socket: PathBuf,
}

impl DaemonClient {
    /// The daemon that the flags name, or that has the usual name.
    ///
    /// # Errors
    ///
    /// When the flags name no node.
    pub(super) fn new(flags: &ArgMatches) -> Result<Self, UsageError> {
        let (Named::Exactly(socket) | Named::ByDefault(socket)) = named(flags)?;
        Ok(Self::at(socket))
    }

    /// The same; where none has the usual name, the only one that there is. To look, and not
    /// to change anything or to wait for a daemon to come.
    ///
    /// # Errors
    ///
    /// When the flags name no node.
    pub(super) fn to_look(flags: &ArgMatches) -> Result<Self, UsageError> {
        Ok(Self::at(match named(flags)? {
            Named::Exactly(socket) => socket,
            Named::ByDefault(socket) => only_one_or(socket),
        }))
    }

    /// The daemon whose control socket this is.
    pub(super) fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The page, however long it takes.
    pub(super) async fn get(&self, page: &str) -> anyhow::Result<Answer> {
        self.request(Request::get(page), Bytes::new()).await
    }

    /// The beginning of a page that may have no end.
    pub(super) async fn open(&self, page: &str) -> anyhow::Result<Incoming> {
        let response = self.exchange(Request::get(page), Bytes::new()).await?;
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            _ => Err(Answer::read(response).await?.refused()),
        }
    }

    /// Waits for an answer, but not for ever.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        match timeout(limit, answer).await {
            Ok(answer) => answer,
            Err(_) => bail!("the daemon at {} does not answer", self.socket.display()),
        }
    }

    async fn request(&self, request: request::Builder, body: Bytes) -> anyhow::Result<Answer> {
        Answer::read(self.exchange(request, body).await?).await
    }

    async fn exchange(
        &self,
        request: request::Builder,
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| unreachable(error, &self.socket))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = request.header("host", "pgmesh").body(Full::new(body))?;
        Ok(sender.send_request(request).await?)
    }
}

/// A daemon's socket.
enum Named {
    Exactly(PathBuf),
    ByDefault(PathBuf),
}

fn named(flags: &ArgMatches) -> Result<Named, UsageError> {
    let given = |flag: &str, of_settings: &str| {
        let flag = flags.get_one::<String>(flag).cloned();
        flag.or_else(|| variable(of_settings))
    };
    if let Some(path) = given("socket", "PGMESH_SOCKET") {
        return Ok(Named::Exactly(PathBuf::from(path)));
    }
    let name = given("name", "PGMESH_NAME");
    let named = match name {
        Some(_) => Named::Exactly,
        None => Named::ByDefault,
    };
    let name = name.unwrap_or_else(|| format!("pgmesh@{}", short_host()));
    match name.parse::<NodeName>() {
        Ok(name) => Ok(named(socket_of(&name))),
        Err(error) => Err(UsageError {
            argument: "--name",
            value: name,
            problem: error.to_string(),
        }),
    }
}

/// Where no daemon has the usual name, the only one that there is, whose name may stand in
/// its configuration file.
fn only_one_or(usual: PathBuf) -> PathBuf {
    if has_daemon(&usual) {
        return usual;
    }
    match <[PathBuf; 1]>::try_from(daemons_near(&usual)) {
        Ok([only]) => only,
        Err(_) => usual,
    }
}

/// Where the daemon of this name is to be asked, unless a socket was given. Looks at
/// those that there are.
pub(super) fn socket_of(name: &NodeName) -> PathBuf {
    nearest(default_socket(name), service_socket(name))
}

/// That of our own session, unless only the service's has a daemon: the superuser has
/// a session, too.
fn nearest(own: PathBuf, service: PathBuf) -> PathBuf {
    if !has_daemon(&own) && has_daemon(&service) {
        service
    } else {
        own
    }
}

/// One that was killed leaves its socket behind, and another user's is not to be asked.
fn has_daemon(socket: &Path) -> bool {
    match std::os::unix::net::UnixStream::connect(socket) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

fn unreachable(error: io::Error, socket: &Path) -> anyhow::Error {
    let what = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!(
                "the socket {} is another user's (try sudo)",
                socket.display()
            )
        }
        _ => no_daemon(socket),
    };
    anyhow::Error::new(error).context(what)
}

/// What to say where no daemon answers; another name's socket is the usual cause.
fn no_daemon(socket: &Path) -> String {
    let found: Vec<_> = daemons_near(socket)
        .iter()
        .filter_map(|s| name_at(s))
        .collect();
    let hint = if found.is_empty() {
        "is `pgmesh run` running? give its --name or --socket".to_owned()
    } else {
        format!("running here: {}; give its --name", found.join(", "))
    };
    format!("no daemon answers at {} ({hint})", socket.display())
}

/// The sockets of the daemons in the same folder, and in that of services.
fn daemons_near(socket: &Path) -> Vec<PathBuf> {
    let service = Path::new(SERVICE_FOLDER);
    let folders = BTreeSet::from([socket.parent().unwrap_or(service), service]);
    folders.into_iter().flat_map(daemons_in).collect()
}

fn daemons_in(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten();
    let sockets = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_daemon = |path: &PathBuf| path.extension() == Some("sock".as_ref()) && has_daemon(path);
    let mut daemons: Vec<_> = sockets.filter(is_daemon).collect();
    daemons.sort();
    daemons
}

/// The daemon's name, after which its socket is called.
fn name_at(socket: &Path) -> Option<String> {
    Some(socket.file_stem()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn service_is_asked_where_the_own_session_has_no_living_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let [own, service] = ["own.sock", "service.sock"].map(|name| folder.path().join(name));
        let asked = || nearest(own.clone(), service.clone());
        assert_eq!(asked(), own);
        let _service = UnixListener::bind(&service).unwrap();
        assert_eq!(asked(), service);
        let killed = UnixListener::bind(&own).unwrap();
        assert_eq!(asked(), own);
        drop(killed);
        assert!(own.exists(), "it is left behind");
        assert_eq!(asked(), service);
        assert_eq!(daemons_in(folder.path()), [service]);
    }

    #[test]
    fn only_daemon_is_asked_where_none_has_the_usual_name() {
        let folder = tempfile::tempdir().unwrap();
        let [usual, a, b] =
            ["usual", "a@h", "b@h"].map(|n| folder.path().join(format!("{n}.sock")));
        let asked = || only_one_or(usual.clone());
        assert_eq!(asked(), usual, "nobody is there");
        let _a = UnixListener::bind(&a).unwrap();
        assert_eq!(asked(), a);
        let _b = UnixListener::bind(&b).unwrap();
        assert_eq!(asked(), usual, "either may be meant");
        assert!(no_daemon(&usual).contains("running here: a@h, b@h;"));
        let _usual = UnixListener::bind(&usual).unwrap();
        assert_eq!(asked(), usual);
    }
}
