//! Running a row through psql and through us, and what came of it.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use pgmesh_discovery::{Conninfo, Environment, identify};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::row::Row;
use crate::world::World;

/// The rows are about connecting, not about waiting.
const LIMIT: Duration = Duration::from_secs(10);

/// Rows at once: more than there are cores, since they wait for servers.
const AT_A_TIME: usize = 4;

/// What psql is called by default, and we for once.
const APPLICATION: &str = "psql";

const SEPARATOR: char = '\x1f';

const QUESTION: &str = "SELECT current_user, current_database(), \
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false), \
    inet_server_port(), current_setting('application_name'), \
    current_setting('search_path'), pg_is_in_recovery()";

/// What the server says of a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Session {
    user: String,
    database: String,
    tls: bool,
    port: Option<u16>,
    application_name: String,
    search_path: String,
    standby: bool,
}

/// A session, or why there is none.
pub(crate) type Outcome = Result<Session, String>;

/// How many rows agreed, and what those that did not were.
#[derive(Default)]
pub(crate) struct Tally {
    connected: usize,
    refused: usize,
    differing: Vec<String>,
}

impl Tally {
    /// Runs rows, a few at a time. `heading` is what they have in common.
    pub(crate) async fn compare(&mut self, heading: &str, world: &Arc<World>, rows: Vec<Row>) {
        let free = Arc::new(Semaphore::new(AT_A_TIME));
        let compare = |row: Row| {
            let (world, free) = (world.clone(), free.clone());
            tokio::spawn(async move {
                let _place = free.acquire_owned().await;
                let (theirs, ours) = tokio::join!(psql(&world, &row), ours(&world, &row));
                (row, theirs, ours)
            })
        };
        let running: Vec<_> = rows.into_iter().map(compare).collect();
        for task in running {
            let (row, theirs, ours) = task.await.unwrap();
            let row = format!("{heading}: {}", world.fill(&row.to_string()));
            self.count(&row, &theirs, &ours);
        }
    }

    fn count(&mut self, row: &str, theirs: &Outcome, ours: &Outcome) {
        // Their texts for a refusal are their own.
        match (theirs, ours) {
            (Ok(theirs), Ok(ours)) if theirs == ours => self.connected += 1,
            (Err(_), Err(error)) if !is_hanging(error) => self.refused += 1,
            _ => self.differing.push(format!(
                "{row}\n  psql: {}\n  ours: {}",
                show(theirs),
                show(ours)
            )),
        }
    }

    /// Says how it went.
    pub(crate) fn finish(self) {
        let agreed = self.connected + self.refused;
        let all = agreed + self.differing.len();
        let Self {
            connected, refused, ..
        } = self;
        for differing in &self.differing {
            println!("{differing}");
        }
        println!("{agreed} of {all} rows agreed: {connected} connected, {refused} refused");
        assert!(self.differing.is_empty(), "{} rows differ", all - agreed);
        // Else they would only agree that nothing works here.
        assert!(connected > all / 3, "psql hardly connects at all");
    }
}

fn show(outcome: &Outcome) -> String {
    match outcome {
        Ok(session) => format!("connects: {session:?}"),
        Err(error) => format!("refuses: {error}"),
    }
}

/// A refusal that takes too long is none.
fn is_hanging(error: &str) -> bool {
    error.starts_with("hangs")
}

async fn in_time<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let hangs = Err(format!("hangs for {LIMIT:?}"));
    tokio::time::timeout(LIMIT, work).await.unwrap_or(hangs)
}

/// What a row's process has in its environment.
fn variables(world: &World, row: &Row) -> Vec<(String, String)> {
    let common = [
        ("PATH", "/usr/bin:/bin"),
        ("LC_ALL", "C"),
        ("HOME", "{home}"),
        ("PGCONNECT_TIMEOUT", "5"),
    ];
    let all = common.iter().chain(row.variables);
    all.map(|(name, value)| ((*name).to_owned(), world.fill(value)))
        .collect()
}

async fn psql(world: &World, row: &Row) -> Outcome {
    in_time(async {
        let separator = SEPARATOR.to_string();
        let mut command = Command::new(world.psql());
        command
            .args(["-X", "-w", "-At", "-F", &separator, "-c", QUESTION])
            .args(["-d", &world.fill(&row.text)])
            .env_clear()
            .envs(variables(world, row))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.unwrap();
        if output.status.success() {
            return Ok(session(&String::from_utf8(output.stdout).unwrap()));
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(error.trim().replace('\n', " | "))
    })
    .await
}

fn session(line: &str) -> Session {
    let columns: Vec<&str> = line.trim_end_matches('\n').split(SEPARATOR).collect();
    let [user, database, tls, port, name, path, standby] = columns[..] else {
        panic!("psql printed {line:?}");
    };
    Session {
        user: user.to_owned(),
        database: database.to_owned(),
        tls: tls == "t",
        port: port.parse().ok(),
        application_name: name.to_owned(),
        search_path: path.to_owned(),
        standby: standby == "t",
    }
}

/// What we make of a row.
pub(crate) async fn ours(world: &World, row: &Row) -> Outcome {
    in_time(async {
        let variables = variables(world, row);
        let home = variables.iter().rfind(|(name, _)| name == "HOME");
        let home = home.map(|(_, home)| home.into());
        let environment = Environment::new(variables, home, Some(world.user().to_owned()));
        let conninfo = Conninfo::parse(&world.fill(&row.text), &environment);
        let conninfo = conninfo.map_err(|errors| errors.to_string())?;
        let identity = identify(&conninfo, APPLICATION).await;
        let identity = identity.map_err(|error| error.to_string())?;
        Ok(Session {
            user: identity.user,
            database: identity.database,
            tls: identity.tls,
            port: identity.port,
            application_name: identity.application_name,
            search_path: identity.search_path,
            standby: identity.standby,
        })
    })
    .await
}
