//! Postgres' own programs, run as the user that they accept.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `PG_BIN`, else Debian's folder of the newest version.
pub(super) fn find_programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("PG_BIN") {
        return PathBuf::from(folder);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("install postgresql");
    let folders = versions.map(|version| version.unwrap().path().join("bin"));
    let usable = folders.filter(|folder| folder.join("initdb").exists());
    usable.max().expect("install postgresql, or set PG_BIN")
}

/// initdb refuses to run as root.
pub(super) fn as_postgres(program: &Path) -> Command {
    if this_user() != "root" {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command.current_dir("/");
    command
}

pub(super) fn own_by_postgres(path: &Path) {
    if this_user() == "root" {
        let status = Command::new("chown").arg("postgres").arg(path).status();
        assert!(status.unwrap().success(), "chown postgres");
    }
}

/// The name of the user that runs the test: whom Postgres' clients take for the
/// role when nothing names one.
pub fn this_user() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}
