//! Settings: where they come from, what they mean, what is wrong with them.
//!
//! Everything is read in one place and every mistake is reported at once. No
//! value of a secret setting is ever printed.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZero;

mod cookie;
mod duration;
mod error;
#[cfg(test)]
mod examples;
mod file;
mod file_values;
mod raw;
mod reload;
mod run;
mod socket;
mod table;
mod tls;
mod tls_optfile;
mod warning;

pub(crate) use cookie::{CookieSource, read_cookie};
pub(crate) use duration::parse_duration;
pub(crate) use error::{ConfigError, ConfigErrors};
pub(crate) use raw::RawValue;
pub(crate) use reload::Change;
pub(crate) use run::{Database, EpmdMode, LogFormat, RunSettings, short_host};
pub(crate) use socket::{SERVICE_FOLDER, default_socket, service_socket};
pub(crate) use table::{Setting, TABLE, variable_of};
pub(crate) use tls::{TLS_SETTINGS, tls_config};
pub(crate) use warning::Warning;

/// A variable of the environment. One that is empty was not set: so say templates that
/// leave a value out.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// EPMD's port, as `erl` finds it.
pub(crate) fn epmd_port() -> Result<u16, ConfigError> {
    match std::env::var("ERL_EPMD_PORT") {
        Ok(text) => text
            .parse()
            .map_err(|_| ConfigError::new("ERL_EPMD_PORT", &text, "is no port", "give 1 to 65535")),
        Err(_) => Ok(pgmesh_dist::epmd::DEFAULT_PORT),
    }
}

/// The port at which every peer listens, if a command was given one: by its flag, or as
/// the daemon's settings have it.
pub(crate) fn given_dist_port(flag: Option<&str>) -> Result<Option<u16>, ConfigError> {
    let of_settings = variable_of("dist-port");
    match (flag, variable(&of_settings)) {
        (Some(text), _) => parse_port("--dist-port", text).map(Some),
        (None, Some(text)) => parse_port(&of_settings, &text).map(Some),
        (None, None) => Ok(None),
    }
}

/// A port that can be dialled.
fn parse_port(shown: &str, text: &str) -> Result<u16, ConfigError> {
    let wrong = |_| ConfigError::new(shown, text, "is no port", "write a port, 1 to 65535");
    let port: NonZero<u16> = text.parse().map_err(wrong)?;
    Ok(port.get())
}

/// Where this host's EPMD is asked: at the first of the addresses that it was given.
/// And where one of our own listens.
pub(crate) fn epmd_addresses() -> Result<(IpAddr, Vec<IpAddr>), ConfigError> {
    let given = std::env::var("ERL_EPMD_ADDRESS").unwrap_or_default();
    let wrong = |word: String| {
        let problem = format!("holds {word:?}, which is no address");
        let remedy = "give addresses, with commas between";
        ConfigError::new("ERL_EPMD_ADDRESS", &given, &problem, remedy)
    };
    let all = pgmesh_epmd::parse_addresses(&given).map_err(wrong)?;
    let first = given.split([',', ' ']).find_map(|word| word.parse().ok());
    Ok((first.unwrap_or(Ipv4Addr::LOCALHOST.into()), all))
}
