//! `/etc/hosts` and `/etc/resolv.conf`, read again when they have changed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

/// A file, and what was last made of it.
pub(super) struct Watched<T> {
    path: PathBuf,
    read: Option<(Stamp, T)>,
}

/// Tells one state of a file from the next; `None` while there is none.
type Stamp = Option<(SystemTime, u64)>;

impl<T> Watched<T> {
    /// Nothing is read before the first call of `get`.
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            read: None,
        }
    }

    /// What `make` makes of the file as it is now. Called for each lookup: it costs a
    /// look at the file's date.
    pub(super) fn get(&mut self, make: impl FnOnce(io::Result<Vec<u8>>) -> T) -> &T {
        // Before it is read: what changes in between is read again.
        let now = self.stamp();
        let kept = self.read.take().filter(|(then, _)| *then == now);
        let (_, made) = self.read.insert(match kept {
            Some(kept) => kept,
            None => (now, make(fs::read(&self.path))),
        });
        made
    }

    fn stamp(&self) -> Stamp {
        let metadata = fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}

/// What a hosts file says.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<Box<str>, Vec<IpAddr>>);

impl Hosts {
    /// Lines that make no sense are passed over.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut hosts = Self::default();
        for line in String::from_utf8_lossy(text).lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
                continue;
            };
            for name in words {
                let name = name.to_ascii_lowercase().into_boxed_str();
                hosts.0.entry(name).or_default().push(address);
            }
        }
        hosts
    }

    /// The addresses of a host, if it is there.
    pub(super) fn find(&self, host: &str) -> Option<Vec<IpAddr>> {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.0.get(host.to_ascii_lowercase().as_str()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_file_is_read_as_the_system_reads_it() {
        let text = b"127.0.0.1 localhost # not.this\n\n# 10.0.0.9 nor.this\n\
            ::1 localhost ip6-localhost\nnonsense here\n10.0.0.7\tA.Test b.test\r\n";
        let hosts = Hosts::parse(text);
        let found = |host: &str| {
            let found = hosts.find(host).unwrap_or_default();
            let words: Vec<_> = found.iter().map(ToString::to_string).collect();
            words.join(" ")
        };
        assert_eq!(found("localhost"), "127.0.0.1 ::1");
        assert_eq!(found("LOCALHOST."), "127.0.0.1 ::1");
        assert_eq!(found("a.test"), "10.0.0.7");
        assert_eq!(found("b.test"), "10.0.0.7");
        assert_eq!(found("not.this") + &found("nor.this") + &found("here"), "");
    }

    #[test]
    fn file_is_made_anew_only_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut made = 0;
        let mut file = Watched::new(&path);
        let mut get = || file.get(|text| (text.ok(), made += 1)).0.clone();
        assert_eq!(get(), None);
        assert_eq!(get(), None);
        fs::write(&path, "first").unwrap();
        assert_eq!(get(), Some(b"first".to_vec()));
        assert_eq!(get(), Some(b"first".to_vec()));
        fs::write(&path, "second").unwrap();
        assert_eq!(get(), Some(b"second".to_vec()));
        fs::remove_file(&path).unwrap();
        assert_eq!(get(), None);
        assert_eq!(made, 4);
    }
}
