//! How the examples begin.

use std::env;
use std::error::Error;

use pgmesh_dist::{Cookie, NodeConfig, epmd};

/// Settings of a node of this name: the cookie is in `PGMESH_COOKIE`, EPMD's port in
/// `ERL_EPMD_PORT` if it is not the usual one.
pub(crate) fn config(name: &str) -> Result<NodeConfig, Box<dyn Error>> {
    let cookie = env::var("PGMESH_COOKIE").map_err(|_| "PGMESH_COOKIE is not set")?;
    Ok(NodeConfig {
        epmd_port: match env::var("ERL_EPMD_PORT") {
            Ok(port) => port.parse()?,
            Err(_) => epmd::DEFAULT_PORT,
        },
        ..NodeConfig::new(name.parse()?, Cookie::new(&cookie))
    })
}
