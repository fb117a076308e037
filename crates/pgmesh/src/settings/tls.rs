//! TLS between nodes: by files of our own, or by the file that OTP's nodes have for it.

use std::path::PathBuf;

use pgmesh_dist::{TlsConfig, TlsRole};

use super::{ConfigError, tls_optfile};

/// The settings that make links go over TLS, in the table's order.
pub(crate) const TLS_SETTINGS: [&str; 5] =
    ["tls-optfile", "tls-cert", "tls-key", "tls-ca", "tls-verify"];

/// Whose certificates are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verify {
    Mutual,
    /// Of who is dialled only.
    Server,
    None,
}

/// Without any of the settings there is no TLS. `text` gives a setting's value, `shown`
/// its name as a person gave it. Certificates are not read yet.
pub(crate) fn tls_config(
    text: impl Fn(&str) -> Option<String>,
    shown: impl Fn(&str) -> String,
) -> Result<Option<TlsConfig>, ConfigError> {
    let [optfile, cert, key, ca, verify] = TLS_SETTINGS.map(&text);
    let beside = [
        ("tls-cert", &cert),
        ("tls-key", &key),
        ("tls-ca", &ca),
        ("tls-verify", &verify),
    ];
    let beside = beside.into_iter().find(|(_, value)| value.is_some());
    match (optfile, cert.as_ref(), beside) {
        (Some(_), _, Some((setting, _))) => {
            let problem = "given beside the optfile";
            let remedy = "leave one of the two out: the file says it all";
            Err(ConfigError::without_value(&shown(setting), problem, remedy))
        }
        (Some(file), _, None) => {
            let wrong = |problem: String| {
                let remedy = "give the file that the nodes have as -ssl_dist_optfile";
                ConfigError::new(&shown("tls-optfile"), &file, &problem, remedy)
            };
            tls_optfile::read(&file).map(Some).map_err(wrong)
        }
        (None, Some(cert), _) => {
            let verify = verify_word(verify.as_deref().unwrap_or("mutual"), &shown)?;
            if verify != Verify::None && ca.is_none() {
                let problem = "not given, and certificates are to be verified";
                let remedy = "give the authority that signed the nodes' certificates";
                return Err(ConfigError::without_value(
                    &shown("tls-ca"),
                    problem,
                    remedy,
                ));
            }
            Ok(Some(of_files(cert.into(), key, ca, verify)))
        }
        // Alone it would leave links without the TLS that somebody expects.
        (None, None, Some((setting, _))) => {
            let problem = "given without --tls-cert";
            let remedy = "give our certificate, too, or --tls-optfile";
            Err(ConfigError::without_value(&shown(setting), problem, remedy))
        }
        (None, None, None) => Ok(None),
    }
}

fn of_files(cert: PathBuf, key: Option<String>, ca: Option<String>, verify: Verify) -> TlsConfig {
    let role = TlsRole {
        certificate: Some(cert),
        key: key.map(PathBuf::from),
        authorities: ca.map(PathBuf::from),
        ..TlsRole::default()
    };
    TlsConfig {
        server: TlsRole {
            verifies: verify == Verify::Mutual,
            demands_certificate: verify == Verify::Mutual,
            ..role.clone()
        },
        client: TlsRole {
            verifies: verify != Verify::None,
            ..role
        },
    }
}

fn verify_word(word: &str, shown: &impl Fn(&str) -> String) -> Result<Verify, ConfigError> {
    match word {
        "mutual" => Ok(Verify::Mutual),
        "server" => Ok(Verify::Server),
        "none" => Ok(Verify::None),
        _ => {
            let remedy = "write mutual, server or none";
            Err(ConfigError::new(
                &shown("tls-verify"),
                word,
                "is not usable",
                remedy,
            ))
        }
    }
}
