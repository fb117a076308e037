//! A real Postgres server in a folder of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A server on a free port of 127.0.0.1, ended and removed when dropped.
pub struct ScratchPostgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl ScratchPostgres {
    /// Makes a server and starts it. Blocks for a second or two.
    pub fn start() -> Self {
        let postgres = Self {
            folder: tempfile::tempdir().unwrap(),
            programs: find_programs(),
            port: free_port(),
        };
        own_by_postgres(postgres.folder.path());
        let data = postgres.data();
        postgres.run(
            "initdb",
            &["-D", &data, "-A", "trust", "-U", "postgres", "--no-sync"],
        );
        postgres.resume();
        postgres
    }

    /// Where to connect to.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops the server as a crash would; its port stays ours.
    pub fn stop(&self) {
        let data = self.data();
        self.run("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"]);
    }

    /// Starts a stopped server.
    pub fn resume(&self) {
        let data = self.data();
        let folder = self.folder.path().display();
        let options = format!("-p {} -k {folder} -h 127.0.0.1 -F", self.port);
        let log = format!("{folder}/log");
        self.run(
            "pg_ctl",
            &["-D", &data, "-o", &options, "-l", &log, "-w", "start"],
        );
    }

    /// Runs statements as the superuser.
    pub fn execute(&self, statements: &str) {
        self.run(
            "psql",
            &[
                "-qX",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                statements,
                &self.url(),
            ],
        );
    }

    fn data(&self) -> String {
        format!("{}/data", self.folder.path().display())
    }

    fn run(&self, program: &str, args: &[&str]) {
        let path = self.programs.join(program);
        let mut command = as_postgres(&path);
        // Postgres keeps the output of pg_ctl open; waiting for its end would hang.
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let status = command
            .status()
            .unwrap_or_else(|e| panic!("{program}: {e}"));
        assert!(status.success(), "{program} {args:?} ended with {status}");
    }
}

impl Drop for ScratchPostgres {
    fn drop(&mut self) {
        let data = self.data();
        let mut command = as_postgres(&self.programs.join("pg_ctl"));
        command.args(["-D", &data, "-m", "immediate", "stop"]);
        // It may be stopped already.
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// initdb refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command.current_dir("/");
    command
}

fn own_by_postgres(folder: &Path) {
    if is_root() {
        let status = Command::new("chown").arg("postgres").arg(folder).status();
        assert!(status.unwrap().success(), "chown postgres");
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// `PG_BIN`, else Debian's folder of the newest version.
fn find_programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("PG_BIN") {
        return PathBuf::from(folder);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("install postgresql");
    let folders = versions.map(|version| version.unwrap().path().join("bin"));
    let usable = folders.filter(|folder| folder.join("initdb").exists());
    usable.max().expect("install postgresql, or set PG_BIN")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
