//! Settings: where they come from, what they mean, what is wrong with them.
//!
//! Everything is read in one place and every mistake is reported at once. No
//! value of a secret setting is ever printed.

use std::net::{IpAddr, Ipv4Addr};

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
mod warning;

pub(crate) use cookie::{CookieSource, read_cookie};
pub(crate) use duration::parse_duration;
pub(crate) use error::{ConfigError, ConfigErrors};
pub(crate) use raw::RawValue;
pub(crate) use reload::Change;
pub(crate) use run::{Database, EpmdMode, LogFormat, RunSettings, short_host};
pub(crate) use socket::{SERVICE_FOLDER, default_socket, service_socket};
pub(crate) use table::{Setting, TABLE};
pub(crate) use warning::Warning;

/// EPMD's port, as `erl` finds it.
pub(crate) fn epmd_port() -> Result<u16, ConfigError> {
    match std::env::var("ERL_EPMD_PORT") {
        Ok(text) => text
            .parse()
            .map_err(|_| ConfigError::new("ERL_EPMD_PORT", &text, "is no port", "give 1 to 65535")),
        Err(_) => Ok(pgmesh_dist::epmd::DEFAULT_PORT),
    }
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
