//! The control socket: HTTP over a unix socket that only its owner may open.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::net::UnixListener;

/// A bound control socket; its file goes when this is dropped, unless another daemon has put
/// its own there.
pub(crate) struct ControlSocket {
    path: PathBuf,
    file: Option<FileId>,
}

/// Device and inode.
type FileId = (u64, u64);

impl ControlSocket {
    /// Binds the socket, taking the place of one that a dead daemon left behind.
    ///
    /// # Errors
    ///
    /// When a living daemon has it, or the folder cannot be written.
    pub(crate) fn bind(path: &Path) -> anyhow::Result<(Self, UnixListener)> {
        if UnixStream::connect(path).is_ok() {
            bail!(
                "another pgmesh is running under this name: it answers at {} \
                 (choose another --name, or another --socket)",
                path.display()
            );
        }
        let cannot = || {
            let path = path.display();
            format!("cannot make the control socket {path} (give --socket, or set XDG_RUNTIME_DIR)")
        };
        make_folder(path).with_context(cannot)?;
        let listener = bind_private(path).with_context(cannot)?;
        let (path, file) = (path.to_owned(), file_at(path));
        Ok((Self { path, file }, listener))
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // A successor may have come while the last answers were given.
        if file_at(&self.path) == self.file {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn file_at(path: &Path) -> Option<FileId> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder),
        _ => Ok(()),
    }
}

/// Nobody else can open the socket at any moment: it gets its mode under another
/// name first.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let listener = UnixListener::bind(&unfinished)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600))?;
    fs::rename(&unfinished, path)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_owner_may_open_it_and_it_goes_with_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper").join("a.sock");
        let (socket, listener) = ControlSocket::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = ControlSocket::bind(&path).map(|_| ()).unwrap_err();
        assert!(second.to_string().contains("another pgmesh is running"));
        drop(listener);
        let (successor, _listener) = ControlSocket::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists(), "it is the successor's");
        drop(successor);
        assert!(!path.exists());
    }
}
