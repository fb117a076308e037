//! `-daemon`: another process that goes on in the background.
//!
//! It is this program again, under a flag of its own, since a process with a runtime
//! cannot fork. It is awaited until it listens: whoever starts a daemon may ask it at
//! once.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context as _;

/// Tells the other process what it is; nobody else gives it.
pub(super) const FLAG: &str = "-detached";
/// What that process says when it listens.
const READY: &[u8] = b"ready";
const FIRST_INHERITED: i32 = 3;

/// Starts the daemon with the same words, and waits until it listens or is over.
pub(super) fn start(words: &[String]) -> anyhow::Result<ExitCode> {
    // Somebody may wait for the end of a pipe that we happen to have.
    close_fds::set_fds_cloexec(FIRST_INHERITED, &[]);
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = Command::new(program)
        .arg0("epmd")
        .arg(FLAG)
        .args(words)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the daemon")?;
    let mut said = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut said)?;
    }
    if said == READY {
        return Ok(ExitCode::SUCCESS);
    }
    let code = child
        .wait()?
        .code()
        .and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// For the daemon: leaves the session of whoever started it.
pub(super) fn leave_session() -> anyhow::Result<()> {
    rustix::process::setsid().context("cannot leave the session")?;
    Ok(())
}

/// For the daemon, once it listens: tells so, and lets go of stdout and stderr.
pub(super) fn let_go() -> anyhow::Result<()> {
    std::io::stdout().write_all(READY)?;
    std::io::stdout().flush()?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    Ok(())
}
