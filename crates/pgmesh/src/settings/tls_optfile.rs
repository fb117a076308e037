//! The file of `-ssl_dist_optfile`: `[{server, [{certfile, "…"}, …]}, {client, […]}].`
//!
//! An option that changes who is let in and is not known here is an error: to pass it
//! over would let in others. What is left out is as OTP 26 and later have it, which is
//! the stricter of the two. Source: OTP's "Using TLS for Erlang Distribution".

use std::path::PathBuf;

use eetf::{List, Term};
use pgmesh_dist::{KeyPassword, TlsConfig, TlsRole, TlsVersions};
use zeroize::Zeroizing;

use crate::terms::parse_args;

/// Options of speed and habit, of no matter to who is let in.
const OF_NO_MATTER: &[&str] = &[
    "ciphers",
    "client_renegotiation",
    "dh",
    "dhfile",
    "eccs",
    "hibernate_after",
    "honor_cipher_order",
    "honor_ecc_order",
    "ktls",
    "log_level",
    "reuse_sessions",
    "secure_renegotiate",
    "session_tickets",
    "signature_algs",
    "supported_groups",
];

/// What the file says, for a person if it cannot be used.
pub(super) fn read(file: &str) -> Result<TlsConfig, String> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|cause| format!("cannot be read: {cause}"))?;
    parse(&text)
}

fn parse(text: &str) -> Result<TlsConfig, String> {
    let is_code = |line: &&str| !line.trim_start().starts_with('%');
    let text: Vec<_> = text.lines().filter(is_code).collect();
    let text = Zeroizing::new(text.join("\n"));
    let text = text.trim_end();
    let list = text
        .strip_suffix('.')
        .ok_or("does not end with ']' and a full stop")?;
    let nothing = Term::from(List::nil());
    let mut config = TlsConfig {
        server: role("server", &nothing)?,
        client: role("client", &nothing)?,
    };
    for term in parse_args(list).map_err(|error| format!("is no list of Erlang terms: {error}"))? {
        match pair(&term) {
            Some(("server", options)) => config.server = role("server", options)?,
            Some(("client", options)) => config.client = role("client", options)?,
            _ => return Err("holds something besides {server, […]} and {client, […]}".to_owned()),
        }
    }
    Ok(config)
}

fn role(side: &str, options: &Term) -> Result<TlsRole, String> {
    let Term::List(options) = options else {
        return Err(format!("{side}: its options are no list"));
    };
    let mut said = Said::default();
    for option in &options.elements {
        let (name, value) = pair(option).ok_or_else(|| format!("{side}: an option is no pair"))?;
        set(&mut said, name, value).map_err(|problem| format!("{side}: {name} {problem}"))?;
    }
    let Said { mut role, .. } = said;
    role.verifies = said.verifies.unwrap_or(side == "client");
    role.demands_certificate = said.demands_certificate.unwrap_or(role.verifies);
    if role.demands_certificate && !role.verifies {
        return Err(format!(
            "{side}: fail_if_no_peer_cert needs {{verify, verify_peer}}"
        ));
    }
    Ok(role)
}

/// The options of one side, as far as they are there.
#[derive(Default)]
struct Said {
    role: TlsRole,
    verifies: Option<bool>,
    demands_certificate: Option<bool>,
}

fn set(said: &mut Said, name: &str, value: &Term) -> Result<(), &'static str> {
    let role = &mut said.role;
    match name {
        "certfile" => role.certificate = Some(path(value)?),
        "keyfile" => role.key = Some(path(value)?),
        "cacertfile" => role.authorities = Some(path(value)?),
        "password" => role.key_password = Some(KeyPassword::new(text(value)?)),
        "fail_if_no_peer_cert" => {
            said.demands_certificate = match word(value)? {
                "true" => Some(true),
                "false" => Some(false),
                _ => return Err("is neither true nor false"),
            }
        }
        "depth" => role.depth = Some(number(value)?),
        "versions" => role.versions = versions(value)?,
        "verify" => {
            said.verifies = match word(value)? {
                "verify_peer" => Some(true),
                "verify_none" => Some(false),
                _ => return Err("is neither verify_peer nor verify_none"),
            }
        }
        "server_name_indication" => {
            role.any_host = word(value).is_ok_and(|word| word == "disable");
            if !role.any_host {
                return Err("can only be disable here: else it is the host that is dialled");
            }
        }
        name if OF_NO_MATTER.contains(&name) => {}
        _ => return Err("is not known here (with the --tls-* settings there is no need of it)"),
    }
    Ok(())
}

/// `{name, Value}`
fn pair(term: &Term) -> Option<(&str, &Term)> {
    let Term::Tuple(tuple) = term else {
        return None;
    };
    match tuple.elements.as_slice() {
        [Term::Atom(name), value] => Some((&name.name, value)),
        _ => None,
    }
}

fn word(term: &Term) -> Result<&str, &'static str> {
    match term {
        Term::Atom(atom) => Ok(&atom.name),
        _ => Err("is no atom"),
    }
}

fn number(term: &Term) -> Result<u32, &'static str> {
    match term {
        Term::FixInteger(number) => u32::try_from(number.value).map_err(|_| "is negative"),
        _ => Err("is no number"),
    }
}

fn path(term: &Term) -> Result<PathBuf, &'static str> {
    text(term).map(PathBuf::from)
}

/// A string or a binary.
fn text(term: &Term) -> Result<String, &'static str> {
    let no_text = "is no string";
    match term {
        Term::ByteList(list) => Ok(list.bytes.iter().map(|byte| char::from(*byte)).collect()),
        Term::Binary(binary) => String::from_utf8(binary.bytes.clone()).map_err(|_| no_text),
        Term::List(list) => {
            let characters = list.elements.iter().map(|element| match element {
                Term::FixInteger(number) => {
                    u32::try_from(number.value).ok().and_then(char::from_u32)
                }
                _ => None,
            });
            characters.collect::<Option<String>>().ok_or(no_text)
        }
        _ => Err(no_text),
    }
}

fn versions(term: &Term) -> Result<TlsVersions, &'static str> {
    let Term::List(list) = term else {
        return Err("is no list");
    };
    let has = |version: &str| {
        let is_it = |term: &Term| word(term).is_ok_and(|word| word == version);
        list.elements.iter().any(is_it)
    };
    match (has("tlsv1.2"), has("tlsv1.3")) {
        (true, true) => Ok(TlsVersions::Both),
        (true, false) => Ok(TlsVersions::V1_2),
        (false, true) => Ok(TlsVersions::V1_3),
        (false, false) => Err("has neither 'tlsv1.2' nor 'tlsv1.3'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_of_a_node_says_it_all() {
        let text = r#"
            %% Both sides show a certificate.
            [{server, [{certfile, "/etc/tls/node.pem"}, {keyfile, "/etc/tls/node.key"},
                       {password, <<"öffne"/utf8>>},
                       {cacertfile, "/etc/tls/ca.pem"}, {verify, verify_peer},
                       {fail_if_no_peer_cert, true}, {secure_renegotiate, true}]},
             {client, [{cacertfile, "/etc/tls/ca.pem"}, {verify, verify_peer}, {depth, 2},
                       {versions, ['tlsv1.3']}, {server_name_indication, disable}]}].
        "#;
        let text = text.replace("<<\"öffne\"/utf8>>", "\"sesame\"");
        let config = parse(&text).unwrap();
        assert_eq!(config.server.certificate, Some("/etc/tls/node.pem".into()));
        assert_eq!(
            config.server.key_password,
            Some(KeyPassword::new("sesame".to_owned()))
        );
        assert!(config.server.verifies && config.server.demands_certificate);
        assert!(!config.server.any_host && config.client.any_host);
        assert_eq!(config.client.depth, Some(2));
        assert_eq!(config.client.versions, TlsVersions::V1_3);
        assert_eq!(config.client.certificate, None);
    }

    #[test]
    fn what_is_left_out_is_the_stricter() {
        let config = parse("[{server, [{verify, verify_peer}]}].\n%% Both.\n").unwrap();
        assert!(config.server.verifies && config.server.demands_certificate);
        assert!(config.client.verifies);
        let text = "[{server, [{verify, verify_peer}, {fail_if_no_peer_cert, false}]}, \
                    {client, [{verify, verify_none}]}].";
        let config = parse(text).unwrap();
        assert!(config.server.verifies && !config.server.demands_certificate);
        assert!(!config.client.verifies && !config.client.demands_certificate);
        assert!(!parse("[].").unwrap().server.verifies);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, problem) in [
            ("[]", "does not end with ']' and a full stop"),
            (
                "[{both, []}].",
                "holds something besides {server, […]} and {client, […]}",
            ),
            ("[{server, x}].", "server: its options are no list"),
            ("[{server, [x]}].", "server: an option is no pair"),
            (
                "[{client, [{certfile, 1}]}].",
                "client: certfile is no string",
            ),
            (
                "[{server, [{fail_if_no_peer_cert, true}]}].",
                "server: fail_if_no_peer_cert needs {verify, verify_peer}",
            ),
            (
                "[{server, [{fail_if_no_peer_cert, yes}]}].",
                "server: fail_if_no_peer_cert is neither true nor false",
            ),
            (
                "[{client, [{verify, x}]}].",
                "client: verify is neither verify_peer nor verify_none",
            ),
            (
                "[{client, [{versions, [sslv3]}]}].",
                "client: versions has neither 'tlsv1.2' nor 'tlsv1.3'",
            ),
            (
                "[{server, [{verify_fun, x}]}].",
                "server: verify_fun is not known here (with the --tls-* settings there is no need of it)",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), problem, "{text}");
        }
    }
}
