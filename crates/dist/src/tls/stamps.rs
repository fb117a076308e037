//! Whether files are as they were.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

/// What tells one state of a file from another without reading it. A file that is
/// not there has one, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    changed_at: Option<SystemTime>,
    size: u64,
    inode: u64,
}

impl Stamps {
    pub(super) fn of<'a>(files: impl IntoIterator<Item = Option<&'a Path>>) -> Self {
        Self(files.into_iter().map(|file| stamp(file?)).collect())
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some(Stamp {
        changed_at: metadata.modified().ok(),
        size: metadata.size(),
        inode: metadata.ino(),
    })
}
