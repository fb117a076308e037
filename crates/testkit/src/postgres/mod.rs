//! A real Postgres server in a folder of its own.

mod builder;
mod programs;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;

use crate::certificates::set_mode;
use crate::{Certificates, ServerCertificate};
pub use builder::PostgresBuilder;
pub use programs::this_user;
use programs::{as_postgres, find_programs, own_by_postgres};

/// So that a server can always be told what to do, and be copied from.
const SUPERUSER_HBA: &str = "\
local all,replication postgres trust
host all postgres 127.0.0.1/32 trust
";

/// More than a server takes to reload: each try starts a program.
const RELOAD_TRIES: usize = 200;

/// A server on a free port of 127.0.0.1, ended and removed when dropped.
pub struct ScratchPostgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    addresses: &'static str,
}

impl ScratchPostgres {
    /// Makes a server and starts it. Blocks for a second or two.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Makes a server that is not the plain one: with TLS, say.
    pub fn builder<'a>() -> PostgresBuilder<'a> {
        PostgresBuilder::default()
    }

    /// Makes a standby that follows this server, and starts it. It has this
    /// server's settings, access rules and certificate, as they are now.
    pub fn start_standby(&self) -> Self {
        let standby = Self::new(false);
        let (from, port, data) = (self.socket_folder(), self.port.to_string(), standby.data());
        let args = ["-h", &from, "-p", &port, "-U", "postgres", "-D", &data];
        let how = ["-R", "-c", "fast", "--no-sync"];
        self.run("pg_basebackup", &[&args[..], &how].concat());
        standby.resume();
        standby
    }

    /// Makes a standby a primary.
    pub fn promote(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "promote"]);
    }

    /// Where to connect to.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The port that it listens on, and that its socket is named after.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its Unix socket is.
    pub fn socket_folder(&self) -> String {
        self.folder.path().to_str().unwrap().to_owned()
    }

    /// Where Postgres' own programs are: of the version that the server has.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Stops the server as a crash would; its port stays ours.
    pub fn stop(&self) {
        let data = self.data();
        self.run("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"]);
    }

    /// Starts a stopped server.
    pub fn resume(&self) {
        let (data, folder) = (self.data(), self.socket_folder());
        let options = format!("-p {} -k {folder} -h {} -F", self.port, self.addresses);
        let log = format!("{folder}/log");
        self.run(
            "pg_ctl",
            &["-D", &data, "-o", &options, "-l", &log, "-w", "start"],
        );
    }

    /// Runs statements as the superuser.
    pub fn execute(&self, statements: &str) {
        self.query(statements);
    }

    /// Runs statements as the superuser, and gives what they print: a row a
    /// line, columns between bars.
    pub fn query(&self, statements: &str) -> String {
        let quietly = ["-qXAt", "-v", "ON_ERROR_STOP=1", "-c", statements];
        let mut command = as_postgres(&self.program("psql"));
        command
            .args(quietly)
            .arg(self.url())
            .stderr(Stdio::inherit());
        let output = command.output().unwrap_or_else(|e| panic!("psql: {e}"));
        assert!(
            output.status.success(),
            "psql: {statements}: {}",
            output.status
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Shows another certificate from now on.
    pub fn use_certificate(&self, certificates: &Certificates, which: ServerCertificate) {
        self.copy_certificate(certificates, which);
        self.reload();
    }

    /// Has other lines in pg_hba.conf from now on; the superuser is always let in.
    pub fn use_hba(&self, lines: &str) {
        self.write_hba(lines);
        self.reload();
    }

    /// Sets a parameter from now on. Some count only after a restart.
    pub fn set(&self, name: &str, value: &str) {
        let value = value.replace('\'', "''");
        self.execute(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        self.reload();
    }

    /// Returns when sessions that start now see the new files.
    fn reload(&self) {
        let loaded = || self.query("SELECT pg_conf_load_time()");
        let before = loaded();
        self.run("pg_ctl", &["-D", &self.data(), "reload"]);
        let is_new = (0..RELOAD_TRIES).any(|_| loaded() != before);
        assert!(is_new, "Postgres did not reload");
    }

    fn new(ipv6: bool) -> Self {
        let postgres = Self {
            folder: tempfile::tempdir().unwrap(),
            programs: find_programs(),
            port: free_port(),
            addresses: if ipv6 { "127.0.0.1,::1" } else { "127.0.0.1" },
        };
        own_by_postgres(postgres.folder.path());
        postgres
    }

    fn initialize(&self) {
        let data = self.data();
        self.run(
            "initdb",
            &["-D", &data, "-A", "trust", "-U", "postgres", "--no-sync"],
        );
    }

    fn data(&self) -> String {
        format!("{}/data", self.socket_folder())
    }

    fn data_file(&self, name: &str) -> PathBuf {
        Path::new(&self.data()).join(name)
    }

    fn append(&self, name: &str, lines: &str) {
        let path = self.data_file(name);
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{before}\n{lines}")).unwrap();
    }

    fn write_hba(&self, lines: &str) {
        let lines = format!("{SUPERUSER_HBA}{lines}");
        fs::write(self.data_file("pg_hba.conf"), lines).unwrap();
    }

    fn copy_certificate(&self, certificates: &Certificates, which: ServerCertificate) {
        let stem = which.stem();
        // These are Postgres' names for them, so that a standby finds its own.
        self.copy(&certificates.path(&format!("{stem}.crt")), "server.crt");
        self.copy(&certificates.path(&format!("{stem}.key")), "server.key");
    }

    /// Into the folder of the data, for the server to read and nobody else.
    fn copy(&self, from: &str, name: &str) {
        let path = self.data_file(name);
        fs::copy(from, &path).unwrap();
        set_mode(&path, 0o600);
        own_by_postgres(&path);
    }

    fn run(&self, program: &str, args: &[&str]) {
        let mut command = as_postgres(&self.program(program));
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
        let mut command = as_postgres(&self.program("pg_ctl"));
        command.args(["-D", &data, "-m", "immediate", "stop"]);
        // It may be stopped already.
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TLS: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

    #[test]
    fn server_with_tls_is_reconfigured_followed_and_succeeded() {
        let certificates = Certificates::make();
        let builder = ScratchPostgres::builder().tls(&certificates, ServerCertificate::Good);
        let primary = builder.ipv6().setting("application_name", "it's").start();
        assert_eq!(primary.query(TLS), "t");
        assert_eq!(primary.query("SHOW listen_addresses"), "127.0.0.1,::1");
        for which in ServerCertificate::ALL {
            primary.use_certificate(&certificates, which);
            assert_eq!(primary.query(TLS), "t", "{which:?}");
        }
        primary.use_hba("host all all all reject");
        let rules = primary.query("SELECT count(*) FROM pg_hba_file_rules");
        assert_eq!(rules, "3");

        let standby = primary.start_standby();
        assert_eq!(standby.query("SELECT pg_is_in_recovery()"), "t");
        assert_eq!(standby.query(TLS), "t");
        standby.promote();
        assert_eq!(standby.query("SELECT pg_is_in_recovery()"), "f");
        standby.set("ssl", "off");
        assert_eq!(standby.query(TLS), "f");
    }
}
