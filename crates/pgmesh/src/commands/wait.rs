//! `pgmesh wait`.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ArgMatches;
use hyper::StatusCode;
use tokio::time::{Instant, sleep, timeout_at};

use super::daemon_client::{DaemonClient, LIMIT};
use super::matrix::summary;
use super::{duration, print};
use crate::api::shapes::{Matrix, Status};

/// The daemon answers in less than a millisecond.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let client = DaemonClient::new(flags)?;
    let size = flags.get_one::<usize>("size").copied().unwrap_or_default();
    let limit = duration(flags, "timeout", "--timeout")?.unwrap_or_default();
    let summary = super::block_on(wait(&client, size, limit))?;
    let mut words = flags.get_many::<OsString>("command").into_iter().flatten();
    let Some(program) = words.next() else {
        print(summary)?;
        return Ok(ExitCode::SUCCESS);
    };
    // Returns only if it fails.
    let error = Command::new(program).args(words).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// Until the mesh is full; what it then looks like.
async fn wait(client: &DaemonClient, size: usize, limit: Duration) -> anyhow::Result<String> {
    let started_at = Instant::now();
    let mut last = "the daemon has not answered".to_owned();
    // A time that no clock has room for is no limit.
    let give_up = started_at.checked_add(limit);
    loop {
        let look = look(client, size);
        let seen = match give_up {
            Some(at) => timeout_at(at, look).await.ok(),
            None => Some(look.await),
        };
        match seen.transpose()? {
            Some(Seen::Full(summary)) => return Ok(summary),
            Some(Seen::NotYet(what)) => last = what,
            // In the middle of a question.
            None => {}
        }
        if give_up.is_some_and(|at| Instant::now() + LOOK_AGAIN >= at) {
            bail!("--size {size} was not reached in {limit:?}: {last}");
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// What one look has shown.
#[derive(Debug, PartialEq)]
enum Seen {
    Full(String),
    NotYet(String),
}

/// # Errors
///
/// What waiting does not mend.
async fn look(client: &DaemonClient, size: usize) -> anyhow::Result<Seen> {
    match client.within(LIMIT, ask(client, size)).await {
        Err(error) if is_denied(&error) => Err(error),
        Err(error) => Ok(Seen::NotYet(format!("{error:#}"))),
        seen => seen,
    }
}

/// The counts are cheap for the daemon, the matrix of many nodes is not: it is asked
/// for only where the counts promise that all is well.
async fn ask(client: &DaemonClient, size: usize) -> anyhow::Result<Seen> {
    let answer = client.get("/api/v1/status").await?;
    if answer.status == StatusCode::SERVICE_UNAVAILABLE {
        return Ok(Seen::NotYet("the daemon is stopping".to_owned()));
    }
    let status: Status = serde_json::from_slice(&answer.expect_ok()?.body)?;
    let counts = &status.counts;
    if counts.up < size {
        return Ok(Seen::NotYet(format!("nodes linked: {}", counts.up)));
    }
    if counts.has_gaps() {
        let (up, verdict) = (counts.up, counts.verdict());
        let what = format!("nodes linked: {up}, {verdict} (see pgmesh matrix)");
        return Ok(Seen::NotYet(what));
    }
    let answer = client.get("/api/v1/matrix").await?.expect_ok()?;
    Ok(judge(&serde_json::from_slice(&answer.body)?, size))
}

fn judge(matrix: &Matrix, size: usize) -> Seen {
    let gaps = matrix.missing.len() + matrix.one_way.len() + matrix.unknown.len();
    if matrix.nodes.len() >= size && gaps == 0 {
        Seen::Full(summary(matrix))
    } else {
        Seen::NotYet(summary(matrix))
    }
}

/// A socket of another user does not become ours.
fn is_denied(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(nodes: usize) -> Matrix {
        Matrix {
            nodes: (0..nodes).map(|n| format!("n{n}@h")).collect(),
            linked: nodes * nodes.saturating_sub(1) / 2,
            missing: vec![],
            one_way: vec![],
            one_way_seen_by: vec![],
            unknown: vec![],
            excluded: vec![],
            age_s: 0.0,
            links: None,
        }
    }

    #[test]
    fn full_is_enough_nodes_and_no_gap_of_any_kind() {
        let full = |matrix: &Matrix, size| matches!(judge(matrix, size), Seen::Full(_));
        assert!(full(&matrix(3), 3));
        assert!(full(&matrix(4), 3), "more are welcome");
        assert!(!full(&matrix(2), 3));
        let gap = vec![(0, 1)];
        let missing = Matrix {
            missing: gap.clone(),
            ..matrix(3)
        };
        let one_way = Matrix {
            one_way: gap.clone(),
            ..matrix(3)
        };
        let unknown = Matrix {
            unknown: gap.clone(),
            ..matrix(3)
        };
        for matrix in [missing, one_way, unknown] {
            assert!(!full(&matrix, 3), "{matrix:?}");
        }
        let excluded = Matrix {
            excluded: gap,
            ..matrix(3)
        };
        assert!(full(&excluded, 3), "apart on purpose");
    }
}
