//! The servers, homes and files that the rows are about.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use pgmesh_testkit::{Certificates, PASSPHRASE, ScratchPostgres, ServerCertificate, this_user};
use tempfile::TempDir;

/// Who may come in how. The last lines are for all that are not named before.
const HBA: &str = r#"
hostssl   all only_tls   all trust
host      all only_tls   all reject
hostnossl all only_plain all trust
host      all only_plain all reject
hostssl   all app        all cert
host      all app        all reject
hostssl   all half       all scram-sha-256 clientcert=verify-ca
host      all half       all reject
hostssl   all stranger   all scram-sha-256 clientcert=verify-full
host      all stranger   all reject
host      all rejected   all reject
host      all scram,half,"co:lon",prepared,"us er@x" all scram-sha-256
host      all hashed     all md5
host      all cleartext  all password
local     all scram      scram-sha-256
host      all all        all trust
local     all all        trust
"#;

const ROLES: &str = r#"
CREATE ROLE open LOGIN;
CREATE ROLE only_tls LOGIN;
CREATE ROLE only_plain LOGIN;
CREATE ROLE app LOGIN;
CREATE ROLE rejected LOGIN;
CREATE ROLE nologin NOLOGIN;
CREATE ROLE reader LOGIN;
ALTER ROLE reader SET default_transaction_read_only = on;
CREATE ROLE scram LOGIN PASSWORD 'secret';
CREATE ROLE half LOGIN PASSWORD 'secret';
CREATE ROLE stranger LOGIN PASSWORD 'secret';
CREATE ROLE cleartext LOGIN PASSWORD 'secret';
CREATE ROLE "co:lon" LOGIN PASSWORD 'pa:ss\word';
CREATE ROLE "us er@x" LOGIN PASSWORD 'p@ss:/%';
CREATE ROLE prepared LOGIN PASSWORD U&'\FB01x\00E4';
SET password_encryption = 'md5';
CREATE ROLE hashed LOGIN PASSWORD 'secret';
"#;

const SERVICES: &str = "
# a comment
[mesh]
host=localhost
port={tls}
user=open
dbname=postgres
application_name=from the service

   [not a group]
[secret]
host=localhost
port={tls}
user=scram
password=secret
dbname=postgres
sslmode=verify-full
sslrootcert={root}
[nested]
user=open
service=mesh
[unknown]
user=open
nosuch=1
[spaces]
application_name = x
[no_equals]
user=open
host
[user_only]
user=open
";

/// Three servers, and the folder of what a client may find.
pub(crate) struct World {
    tls: ScratchPostgres,
    plain: ScratchPostgres,
    standby: ScratchPostgres,
    certificates: Certificates,
    folder: TempDir,
    user: String,
}

impl World {
    pub(crate) fn make() -> Self {
        let certificates = Certificates::make();
        let tls = ScratchPostgres::builder()
            .tls(&certificates, ServerCertificate::Good)
            .hba(HBA)
            .ipv6()
            .start();
        let plain = ScratchPostgres::builder().hba(HBA).start();
        let user = this_user();
        for server in [&tls, &plain] {
            create_all(server, &user);
        }
        let world = Self {
            standby: tls.start_standby(),
            tls,
            plain,
            certificates,
            folder: tempfile::tempdir().unwrap(),
            user,
        };
        world.write_password_files();
        world.write_homes();
        world
    }

    pub(crate) fn use_certificate(&self, which: ServerCertificate) {
        self.tls.use_certificate(&self.certificates, which);
    }

    pub(crate) fn psql(&self) -> std::path::PathBuf {
        self.tls.program("psql")
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Puts in what is between braces: a port, a folder, or a file of the
    /// certificates' or our own folder.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').expect("a brace is not closed");
            filled += before;
            filled += &self.value(name);
            rest = after;
        }
        filled + rest
    }

    fn value(&self, name: &str) -> String {
        match name {
            "tls" => self.tls.port().to_string(),
            "plain" => self.plain.port().to_string(),
            "standby" => self.standby.port().to_string(),
            // Nobody listens on the port of tcpmux any more.
            "dead" => "1".to_owned(),
            "user" => self.user.clone(),
            "socket" => self.tls.socket_folder(),
            "socket%" => self.tls.socket_folder().replace('/', "%2F"),
            "root" => self.certificates.path("root.crt"),
            "other_root" => self.certificates.path("other_root.crt"),
            "passphrase" => PASSPHRASE.to_owned(),
            "passphrase%" => PASSPHRASE.replace(' ', "%20"),
            _ if name.ends_with(".crt") || name.ends_with(".key") => self.certificates.path(name),
            _ => self.own_file(name),
        }
    }

    fn own_file(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        assert!(path.exists(), "nothing is called {{{name}}}");
        path.to_str().unwrap().to_owned()
    }

    fn write_password_files(&self) {
        self.write("pass_all", "*:*:*:*:secret\n", 0o600);
        self.write("pass_open", "*:*:*:*:secret\n", 0o644);
        self.write("pass_group", "*:*:*:*:secret\n", 0o640);
        self.write(
            "pass_wrong_first",
            "*:*:*:scram:wrong\n*:*:*:*:secret\n",
            0o600,
        );
        self.write("pass_localhost", "localhost:*:*:*:secret\n", 0o600);
        self.write("pass_address", "127.0.0.1:*:*:*:secret\n", 0o600);
        self.write("pass_socket", "{socket}:*:*:*:secret\n", 0o600);
        self.write("pass_other_port", "*:1:*:*:secret\n", 0o600);
        self.write("pass_other_database", "*:*:scram:*:secret\n", 0o600);
        self.write("pass_exact", "localhost:{tls}:postgres:scram:secret", 0o600);
        self.write("pass_escaped", "*:*:*:co\\:lon:pa\\:ss\\\\word\n", 0o600);
        self.write("pass_unescaped", "*:*:*:co\\:lon:pa:ss\\word\n", 0o600);
        self.write("pass_windows", "# comment\r\n\r\n*:*:*:*:secret\r\n", 0o600);
        self.write("pass_short", "*:*:*\nlocalhost\n*:*:*:*:secret\n", 0o600);
        self.write("pass_spaces", " *:*:*:*:secret\n*:*:*:* :secret\n", 0o600);
        self.write("pass_empty", "*:*:*:*:\n", 0o600);
    }

    fn write_homes(&self) {
        for home in [
            "home",
            "home_pass",
            "home_service",
            "home_root",
            "home_other_root",
        ] {
            self.make_folder(home);
        }
        self.make_folder("folder");
        self.write("services", SERVICES, 0o644);
        self.write("home_pass/.pgpass", "*:*:*:*:secret\n", 0o600);
        self.write(
            "home_service/.pg_service.conf",
            "[home]\nhost=localhost\nport={tls}\nuser=open\ndbname=postgres\n",
            0o644,
        );
        self.make_folder("sysconf");
        self.write("sysconf/pg_service.conf", "[system]\nhost=localhost\nport={tls}\nuser=open\ndbname=postgres\n[home]\nuser=nosuch\n", 0o644);
        self.copy("root.crt", "home_root/.postgresql/root.crt");
        self.copy("other_root.crt", "home_other_root/.postgresql/root.crt");
        for (home, key) in [
            ("home_client", "app_pkcs8.key"),
            ("home_open_key", "app_open.key"),
            ("home_other_key", "stranger.key"),
        ] {
            self.make_folder(home);
            self.copy("root.crt", &format!("{home}/.postgresql/root.crt"));
            self.copy("app.crt", &format!("{home}/.postgresql/postgresql.crt"));
            self.copy(key, &format!("{home}/.postgresql/postgresql.key"));
        }
        self.make_folder("home_no_key");
        self.copy("app.crt", "home_no_key/.postgresql/postgresql.crt");
        self.write("nonsense.pem", "nonsense\n", 0o600);
        self.write("empty.pem", "", 0o600);
        let roots = ["other_root.crt", "root.crt"].map(|name| self.read(name));
        self.write("both_roots.pem", &roots.concat(), 0o644);
    }

    fn make_folder(&self, name: &str) {
        fs::create_dir_all(self.folder.path().join(name)).unwrap();
    }

    fn write(&self, name: &str, content: &str, mode: u32) {
        let path = self.folder.path().join(name);
        fs::write(&path, self.fill(content)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(&self, certificate: &str) -> String {
        fs::read_to_string(self.certificates.path(certificate)).unwrap()
    }

    /// With its mode.
    fn copy(&self, from: &str, to: &str) {
        let to = self.folder.path().join(to);
        fs::create_dir_all(Path::parent(&to).unwrap()).unwrap();
        fs::copy(self.certificates.path(from), to).unwrap();
    }
}

fn create_all(server: &ScratchPostgres, user: &str) {
    server.execute(ROLES);
    server.execute("CREATE DATABASE scram");
    server.execute("CREATE DATABASE \"d b/ä\"");
    // Whom clients take for the role when nothing names one.
    if user != "postgres" {
        server.execute(&format!("CREATE ROLE \"{user}\" LOGIN"));
        server.execute(&format!("CREATE DATABASE \"{user}\""));
    }
}
