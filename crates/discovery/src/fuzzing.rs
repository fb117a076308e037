//! What reads texts from outside, as functions of bytes.
//!
//! The targets in `fuzz/` call these; their corpora are replayed by the test below.
//! No function here may panic or hang.

use crate::conninfo::passfile::fuzz_line;
use crate::payload::{self, Dialect, Hearing, Payload};
use crate::{Conninfo, Environment};

/// What a name of a target stands for.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[("payload", payload), ("conninfo", conninfo)];

/// Payloads of the channel, one in each line: what is understood is what would be said.
pub fn payload(bytes: &[u8]) {
    let mut hearing = Hearing::default();
    for text in String::from_utf8_lossy(bytes).split('\n') {
        payload::note(&mut hearing, text);
        match payload::parse(text) {
            Ok(Payload::Name(name)) => {
                let said = [Dialect::Libcluster, Dialect::Heartbeat]
                    .map(|dialect| dialect.announcement(&name));
                assert!(said.iter().any(|said| said == text));
            }
            Ok(Payload::Goodbye(name)) => {
                assert_eq!(Dialect::Heartbeat.goodbye(&name).as_deref(), Some(text));
            }
            Err(_) => {}
        }
    }
}

/// A connection string, in surroundings that say nothing, and a line of `~/.pgpass`.
pub fn conninfo(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // No file of this machine is read.
    let nowhere = [("PGSYSCONFDIR", "/nonexistent")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let environment = Environment::new(nowhere, None, Some("me".to_owned()));
    match Conninfo::parse(&text, &environment) {
        Ok(conninfo) => assert!(!conninfo.servers.is_empty()),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
    fuzz_line(&text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn corpora_are_replayed() {
        for (name, target) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
            let files = std::fs::read_dir(folder.join(name)).unwrap();
            let inputs: Vec<_> = files
                .map(|file| std::fs::read(file.unwrap().path()).unwrap())
                .collect();
            assert!(inputs.len() >= 3, "the corpus of {name} is gone");
            inputs.iter().for_each(|input| target(input));
        }
    }

    #[test]
    fn every_target_has_its_program() {
        for (name, _) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
            assert!(folder.join(format!("{name}.rs")).exists(), "{name}");
        }
    }
}
