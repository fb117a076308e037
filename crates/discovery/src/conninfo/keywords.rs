//! Every parameter that a connection string may have, and what becomes of it.
//!
//! The names and variables are libpq's ("Parameter Key Words", "Environment
//! Variables"), and a few that Ecto and Prisma put into the same URLs.

/// Where a value comes from, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The connection string itself.
    Text,
    /// The service file.
    Service,
    /// The variable of that keyword.
    Variable,
}

/// What becomes of a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meaning {
    /// It is read.
    Read,
    /// It changes nothing for us, and need not be mentioned.
    Passed,
    /// It is meant for something else, which deserves a warning.
    Warned(&'static str),
    /// It asks for what we do not do, unless it has one of these values.
    Unsupported {
        harmless: &'static [&'static str],
        remedy: &'static str,
    },
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyword {
    pub(super) name: &'static str,
    pub(super) variable: Option<&'static str>,
    pub(super) meaning: Meaning,
}

const fn read(name: &'static str, variable: &'static str) -> Keyword {
    keyword(name, Some(variable), Meaning::Read)
}

const fn keyword(name: &'static str, variable: Option<&'static str>, meaning: Meaning) -> Keyword {
    Keyword {
        name,
        variable,
        meaning,
    }
}

/// Of a setting of Ecto's or Prisma's connection pool.
const POOL: Meaning = Meaning::Warned("it is about a connection pool, and pgmesh has one session");

const NO_REVOCATION: Meaning = Meaning::Unsupported {
    harmless: &[""],
    remedy: "leave it out: revocation lists are not checked here",
};

const NO_SCRAM_KEYS: Meaning = Meaning::Unsupported {
    harmless: &[""],
    remedy: "leave it out, and give a password",
};

/// All of them.
pub(super) const KEYWORDS: &[Keyword] = &[
    read("service", "PGSERVICE"),
    read("user", "PGUSER"),
    read("password", "PGPASSWORD"),
    read("passfile", "PGPASSFILE"),
    read("dbname", "PGDATABASE"),
    read("host", "PGHOST"),
    read("hostaddr", "PGHOSTADDR"),
    read("port", "PGPORT"),
    read("connect_timeout", "PGCONNECT_TIMEOUT"),
    read("options", "PGOPTIONS"),
    read("application_name", "PGAPPNAME"),
    keyword("fallback_application_name", None, Meaning::Read),
    keyword("keepalives", None, Meaning::Read),
    keyword("keepalives_idle", None, Meaning::Read),
    keyword("keepalives_interval", None, Meaning::Read),
    keyword("keepalives_count", None, Meaning::Read),
    keyword("tcp_user_timeout", None, Meaning::Read),
    read("sslmode", "PGSSLMODE"),
    read("requiressl", "PGREQUIRESSL"),
    keyword("ssl", None, Meaning::Read),
    read("sslcert", "PGSSLCERT"),
    read("sslkey", "PGSSLKEY"),
    keyword("sslpassword", None, Meaning::Read),
    read("sslrootcert", "PGSSLROOTCERT"),
    read("sslcertmode", "PGSSLCERTMODE"),
    read("sslsni", "PGSSLSNI"),
    read("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    read("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    read("channel_binding", "PGCHANNELBINDING"),
    read("target_session_attrs", "PGTARGETSESSIONATTRS"),
    read("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    keyword("pgbouncer", None, Meaning::Read),
    // Names are UTF-8, whatever the database has.
    keyword("client_encoding", Some("PGCLIENTENCODING"), Meaning::Passed),
    keyword("sslcompression", Some("PGSSLCOMPRESSION"), Meaning::Passed),
    keyword("krbsrvname", Some("PGKRBSRVNAME"), Meaning::Passed),
    keyword("gsslib", Some("PGGSSLIB"), Meaning::Passed),
    keyword("gssdelegation", Some("PGGSSDELEGATION"), Meaning::Passed),
    keyword(
        "min_protocol_version",
        Some("PGMINPROTOCOLVERSION"),
        Meaning::Passed,
    ),
    keyword(
        "max_protocol_version",
        Some("PGMAXPROTOCOLVERSION"),
        Meaning::Passed,
    ),
    keyword(
        "gssencmode",
        Some("PGGSSENCMODE"),
        Meaning::Unsupported {
            harmless: &["", "disable", "prefer"],
            remedy: "leave it out: there is no GSSAPI here; sslmode=require encrypts as well",
        },
    ),
    keyword(
        "sslnegotiation",
        Some("PGSSLNEGOTIATION"),
        Meaning::Unsupported {
            harmless: &["", "postgres"],
            remedy: "leave it out: TLS is negotiated, which every server understands",
        },
    ),
    keyword(
        "require_auth",
        Some("PGREQUIREAUTH"),
        Meaning::Unsupported {
            harmless: &[""],
            remedy: "leave it out; channel_binding=require keeps a password from a wrong server",
        },
    ),
    keyword(
        "requirepeer",
        Some("PGREQUIREPEER"),
        Meaning::Unsupported {
            harmless: &[""],
            remedy: "leave it out, and protect the socket's folder",
        },
    ),
    keyword(
        "replication",
        None,
        Meaning::Unsupported {
            harmless: &["", "0", "false", "off", "no"],
            remedy: "leave it out: a replication session cannot listen",
        },
    ),
    keyword("sslcrl", Some("PGSSLCRL"), NO_REVOCATION),
    keyword("sslcrldir", Some("PGSSLCRLDIR"), NO_REVOCATION),
    keyword("scram_client_key", None, NO_SCRAM_KEYS),
    keyword("scram_server_key", None, NO_SCRAM_KEYS),
    keyword("pool_size", None, POOL),
    keyword("pool_count", None, POOL),
    keyword("pool_timeout", None, POOL),
    keyword("pool", None, POOL),
    keyword("connection_limit", None, POOL),
    keyword("timeout", None, POOL),
    keyword("idle_interval", None, POOL),
    keyword("queue_target", None, POOL),
    keyword("queue_interval", None, POOL),
    keyword(
        "prepare",
        None,
        Meaning::Warned("no statement is prepared here"),
    ),
    keyword(
        "statement_cache_size",
        None,
        Meaning::Warned("no statement is prepared here"),
    ),
    keyword(
        "socket_timeout",
        None,
        Meaning::Warned("connect_timeout bounds the set-up"),
    ),
    keyword("schema", None, Meaning::Warned("no table is read here")),
];

pub(super) fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// The known keyword that was probably meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    crate::nearest(name, KEYWORDS.iter().map(|keyword| keyword.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_drivers_are_recognised() {
        assert_eq!(nearest("targetSessionAttrs"), Some("target_session_attrs"));
    }

    #[test]
    fn no_keyword_stands_twice() {
        let mut names: Vec<_> = KEYWORDS.iter().map(|keyword| keyword.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KEYWORDS.len());
    }
}
