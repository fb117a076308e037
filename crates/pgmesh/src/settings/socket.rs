//! Where control sockets are, unless `--socket` says otherwise.

use std::path::{Path, PathBuf};

use pgmesh_name::NodeName;

/// Where services have theirs, which are of no user's session.
pub(crate) const SERVICE_FOLDER: &str = "/run/pgmesh";

/// Where this node's is.
pub(crate) fn default_socket(name: &NodeName) -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) => socket_in(&Path::new(&runtime).join("pgmesh"), name),
        None => service_socket(name),
    }
}

/// Where it is if a service runs the node.
pub(crate) fn service_socket(name: &NodeName) -> PathBuf {
    socket_in(Path::new(SERVICE_FOLDER), name)
}

fn socket_in(folder: &Path, name: &NodeName) -> PathBuf {
    folder.join(format!("{name}.sock"))
}
