//! Certificates of servers and clients, and who insists on TLS.

use pgmesh_testkit::ServerCertificate;

use crate::on_purpose::STRICTER;
use crate::row::{Row, row};

const MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// Names of the server, all of which lead to it.
const HOSTS: [&str; 9] = [
    "localhost",
    "LocalHost",
    "127.0.0.1",
    "db.test",
    "DB.test",
    "a.db.test",
    "a.b.db.test",
    ".db.test",
    "other.test",
];

/// How a server with this certificate is verified.
pub(crate) fn verification(which: ServerCertificate) -> Vec<Row> {
    let same = |host: &&str| {
        !STRICTER
            .iter()
            .any(|(other, stricter)| (*other, *stricter) == (which, *host))
    };
    let mut texts: Vec<_> = HOSTS.into_iter().filter(same).map(by_name).collect();
    if trust_matters(which) {
        texts.extend(in_every_mode());
        texts.extend(by_other_roots(which));
    }
    // A session must be bound to the certificate that it has.
    texts.push("postgres://scram:secret@localhost:{tls}/postgres?channel_binding=require".into());
    texts.into_iter().map(Row::from).collect()
}

/// Not only by which name it is known.
fn trust_matters(which: ServerCertificate) -> bool {
    use ServerCertificate::{Chain, Expired, Good, NameOnly, SelfSigned, Wildcard, WrongHost};
    let those = [
        Good, WrongHost, Expired, SelfSigned, NameOnly, Wildcard, Chain,
    ];
    those.contains(&which)
}

/// Verified under this name.
pub(crate) fn by_name(host: &str) -> String {
    format!(
        "host={host} hostaddr=127.0.0.1 port={{tls}} user=open dbname=postgres \
         sslmode=verify-full sslrootcert={{root}}"
    )
}

fn in_every_mode() -> impl Iterator<Item = String> {
    let text =
        |mode, root| format!("postgres://open@localhost:{{tls}}/postgres?sslmode={mode}{root}");
    let roots = ["", "&sslrootcert={root}"];
    MODES
        .into_iter()
        .flat_map(move |mode| roots.map(|root| text(mode, root)))
}

fn by_other_roots(which: ServerCertificate) -> Vec<String> {
    let own = format!("{}.crt", which.stem());
    let text = |root: &str| {
        format!(
            "postgres://open@localhost:{{tls}}/postgres?sslmode=verify-ca&sslrootcert={{{root}}}"
        )
    };
    let roots = ["other_root.crt", "intermediate.crt", "both_roots.pem", &own];
    roots.map(text).into()
}

/// Clients' certificates, from parameters, variables and the home.
pub(crate) const CLIENTS: &[Row] = &[
    // Keys in all forms.
    row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_pkcs8.key}"),
    row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_sec1.key}"),
    row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_der.key}"),
    row("postgres://app@localhost:{tls}/postgres?sslcert={app_rsa.crt}&sslkey={app_pkcs1.key}"),
    row(
        "postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_encrypted.key}&sslpassword={passphrase%}",
    ),
    row(
        "postgres://app@localhost:{tls}/postgres?sslcert={app_rsa.crt}&sslkey={app_pkcs1_encrypted.key}&sslpassword={passphrase%}",
    ),
    row(
        "host=localhost port={tls} user=app dbname=postgres sslcert={app.crt} sslkey={app_encrypted.key} sslpassword='{passphrase}'",
    ),
    row(
        "postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_encrypted.key}&sslpassword=wrong",
    ),
    row(
        "postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_pkcs8.key}&sslpassword=needless",
    ),
    // Keys that are for others too, missing, or of another certificate.
    row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_open.key}"),
    row(
        "postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_open.key}&sslmode=require",
    ),
    row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_group.key}"),
    row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={folder}"),
    row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey=/nonexistent/app.key"),
    row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}"),
    row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={stranger.key}"),
    row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={nonsense.pem}"),
    row("postgres://app@localhost:{tls}/postgres?sslkey={app_pkcs8.key}"),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&sslcert={app.crt}&sslkey={app_open.key}",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=prefer&sslcert={app.crt}&sslkey={app_open.key}",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=disable&sslcert={app.crt}&sslkey={app_open.key}",
    ),
    row("postgres://open@localhost:{plain}/postgres?sslcert={app.crt}&sslkey={app_open.key}"),
    // Certificates that the server does not take, are missing, or are none.
    row("postgres://app@localhost:{tls}/postgres?sslcert={expired.crt}&sslkey={expired.key}"),
    row("postgres://app@localhost:{tls}/postgres?sslcert={unknown.crt}&sslkey={unknown.key}"),
    row("postgres://app@localhost:{tls}/postgres?sslcert={stranger.crt}&sslkey={stranger.key}"),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&sslcert={stranger.crt}&sslkey={stranger.key}",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&sslcert={unknown.crt}&sslkey={unknown.key}",
    ),
    // Up to TLS 1.2: later, the refusal comes after the handshake, and what psql makes of
    // it depends on which of two reads it reaches.
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=prefer&sslcert={unknown.crt}&sslkey={unknown.key}&ssl_max_protocol_version=TLSv1.2",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=prefer&sslcert={expired.crt}&sslkey={expired.key}&ssl_max_protocol_version=TLSv1.2",
    ),
    row("postgres://app@localhost:{tls}/postgres"),
    row(
        "postgres://app@localhost:{tls}/postgres?sslmode=disable&sslcert={app.crt}&sslkey={app_pkcs8.key}",
    ),
    row("postgres://app@localhost:{tls}/postgres?sslcert=/nonexistent/app.crt"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require&sslcert=/nonexistent/app.crt"),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&sslcert=/nonexistent/app.crt&sslkey=/nonexistent/app.key",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&sslcert={nonsense.pem}&sslkey={app_pkcs8.key}",
    ),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require&sslcert={app.crt}/x"),
    // A certificate beside a password.
    row(
        "postgres://half:secret@localhost:{tls}/postgres?sslcert={stranger.crt}&sslkey={stranger.key}",
    ),
    row("postgres://half:secret@localhost:{tls}/postgres"),
    row(
        "postgres://half:wrong@localhost:{tls}/postgres?sslcert={stranger.crt}&sslkey={stranger.key}",
    ),
    row(
        "postgres://stranger:secret@localhost:{tls}/postgres?sslcert={stranger.crt}&sslkey={stranger.key}",
    ),
    row(
        "postgres://stranger:wrong@localhost:{tls}/postgres?sslcert={stranger.crt}&sslkey={stranger.key}",
    ),
    row(
        "postgres://stranger:secret@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_pkcs8.key}",
    ),
    row(
        "postgres://stranger:secret@localhost:{tls}/postgres?channel_binding=require&sslcert={stranger.crt}&sslkey={stranger.key}",
    ),
    // The home's own.
    row("postgres://app@localhost:{tls}/postgres").with(&[("HOME", "{home_client}")]),
    row("postgres://app@localhost:{tls}/postgres?sslmode=verify-full")
        .with(&[("HOME", "{home_client}")]),
    row("postgres://app@127.0.0.1:{tls}/postgres?sslmode=verify-ca")
        .with(&[("HOME", "{home_client}")]),
    row("postgres://app@localhost:{tls}/postgres?sslcert=").with(&[("HOME", "{home_client}")]),
    row("postgres://app@localhost:{tls}/postgres?sslcert={stranger.crt}&sslkey={stranger.key}")
        .with(&[("HOME", "{home_client}")]),
    row("postgres://app@localhost:{tls}/postgres?sslkey={app_sec1.key}")
        .with(&[("HOME", "{home_client}")]),
    row("postgres://app@localhost:{tls}/postgres").with(&[("HOME", "{home_open_key}")]),
    row("postgres://open@localhost:{tls}/postgres").with(&[("HOME", "{home_open_key}")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require")
        .with(&[("HOME", "{home_open_key}")]),
    row("postgres://open@localhost:{tls}/postgres").with(&[("HOME", "{home_other_key}")]),
    row("postgres://open@localhost:{tls}/postgres").with(&[("HOME", "{home_no_key}")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require")
        .with(&[("HOME", "{home_no_key}")]),
    row("postgres://open@localhost:{tls}/postgres").with(&[("HOME", "{home_root}")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require")
        .with(&[("HOME", "{home_root}")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=verify-full")
        .with(&[("HOME", "{home_root}")]),
    row("postgres://open@127.0.0.1:{tls}/postgres?sslmode=verify-full")
        .with(&[("HOME", "{home_root}")]),
    row("postgres://open@localhost:{tls}/postgres").with(&[("HOME", "{home_other_root}")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=allow")
        .with(&[("HOME", "{home_other_root}")]),
    row("postgres://only_tls@localhost:{tls}/postgres?sslmode=allow")
        .with(&[("HOME", "{home_other_root}")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require")
        .with(&[("HOME", "{home_other_root}")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=verify-ca")
        .with(&[("HOME", "{home_other_root}")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=verify-ca&sslrootcert={root}")
        .with(&[("HOME", "{home_other_root}")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=verify-ca").with(&[("HOME", "{home}")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require")
        .with(&[("HOME", "/nonexistent")]),
    // The variables.
    row("postgres://app@localhost:{tls}/postgres")
        .with(&[("PGSSLCERT", "{app.crt}"), ("PGSSLKEY", "{app_pkcs8.key}")]),
    row("postgres://open@localhost:{tls}/postgres")
        .with(&[("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", "{root}")]),
    row("postgres://open@localhost:{tls}/postgres").with(&[
        ("PGSSLMODE", "verify-ca"),
        ("PGSSLROOTCERT", "{other_root}"),
    ]),
    row("postgres://open@localhost:{tls}/postgres?sslrootcert={root}").with(&[
        ("PGSSLMODE", "verify-ca"),
        ("PGSSLROOTCERT", "{other_root}"),
    ]),
    row("postgres://open@localhost:{tls}/postgres").with(&[("PGSSLMODE", "disable")]),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require")
        .with(&[("PGSSLMODE", "disable")]),
    row("postgres://open@localhost:{tls}/postgres").with(&[("PGSSLMODE", "nonsense")]),
    row("postgres://open@localhost:{plain}/postgres").with(&[("PGREQUIRESSL", "1")]),
    row("postgres://open@localhost:{tls}/postgres").with(&[("PGREQUIRESSL", "1")]),
    row("postgres://open@localhost:{plain}/postgres").with(&[("PGREQUIRESSL", "0")]),
    row("postgres://open@localhost:{plain}/postgres?sslmode=prefer").with(&[("PGREQUIRESSL", "1")]),
    row("postgres://open@localhost:{plain}/postgres")
        .with(&[("PGREQUIRESSL", "1"), ("PGSSLMODE", "prefer")]),
    row("postgres://open@localhost:{tls}/postgres").with(&[
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.3"),
        ("PGSSLMODE", "require"),
    ]),
    row("postgres://open@localhost:{tls}/postgres").with(&[
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1.1"),
        ("PGSSLMODE", "require"),
    ]),
    row("postgres://open@localhost:{tls}/postgres")
        .with(&[("PGSSLSNI", "0"), ("PGSSLMODE", "require")]),
];

/// Other parameters about TLS.
pub(crate) const PARAMETERS: &[Row] = &[
    row("postgres://open@localhost:{tls}/postgres?sslmode=nonsense"),
    row("postgres://open@localhost:{tls}/postgres?sslmode="),
    row("postgres://open@localhost:{tls}/postgres?ssl=true"),
    row("postgres://open@localhost:{plain}/postgres?ssl=true"),
    row("postgres://open@localhost:{tls}/postgres?ssl=nonsense"),
    row("postgres://open@localhost:{tls}/postgres?requiressl=1"),
    row("postgres://open@localhost:{plain}/postgres?requiressl=1"),
    row("postgres://open@localhost:{plain}/postgres?requiressl=0"),
    row("host=localhost port={plain} user=open dbname=postgres requiressl=1"),
    row("postgres://open@localhost:{tls}/postgres?sslcompression=0"),
    row("postgres://open@localhost:{tls}/postgres?sslcompression=1"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require&sslsni=0"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require&sslsni=1"),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&ssl_min_protocol_version=TLSv1.2",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&ssl_min_protocol_version=TLSv1.3",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&ssl_max_protocol_version=TLSv1.2",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&ssl_min_protocol_version=tlsv1.3",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&ssl_min_protocol_version=TLSv1&ssl_max_protocol_version=TLSv1.1",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=prefer&ssl_min_protocol_version=TLSv1&ssl_max_protocol_version=TLSv1.1",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2",
    ),
    row("postgres://open@localhost:{tls}/postgres?ssl_min_protocol_version=TLSv9"),
    row("postgres://open@localhost:{tls}/postgres?ssl_max_protocol_version=SSLv3"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=disable&ssl_min_protocol_version=TLSv9"),
    row(
        "postgres://open@localhost:{tls}/postgres?ssl_min_protocol_version=&ssl_max_protocol_version=",
    ),
    // Roots that are missing, or none.
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=require&sslrootcert=/nonexistent/root.crt",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=prefer&sslrootcert=/nonexistent/root.crt",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=verify-ca&sslrootcert=/nonexistent/root.crt",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?sslmode=verify-full&sslrootcert=/nonexistent/root.crt",
    ),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require&sslrootcert={nonsense.pem}"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=prefer&sslrootcert={nonsense.pem}"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=disable&sslrootcert={nonsense.pem}"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=verify-ca&sslrootcert={empty.pem}"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=verify-ca&sslrootcert={folder}"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=prefer&sslrootcert={other_root}"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=allow&sslrootcert={other_root}"),
    row("postgres://open@localhost:{tls}/postgres?sslmode=require&sslrootcert={other_root}"),
    row("postgres://open@localhost:{plain}/postgres?sslmode=prefer&sslrootcert={nonsense.pem}"),
    // Names that are not to be verified.
    row("postgres://open@[::1]:{tls}/postgres?sslmode=verify-full&sslrootcert={root}"),
    row("postgres://open@[::1]:{tls}/postgres?sslmode=verify-ca&sslrootcert={root}"),
    row(
        "hostaddr=127.0.0.1 port={tls} user=open dbname=postgres sslmode=verify-ca sslrootcert={root}",
    ),
    row(
        "host=127.0.0.1 hostaddr=127.0.0.1 port={tls} user=open dbname=postgres sslmode=verify-full sslrootcert={root}",
    ),
    row(
        "host=localhost. hostaddr=127.0.0.1 port={tls} user=open dbname=postgres sslmode=verify-full sslrootcert={root}",
    ),
    row(
        "postgres://open@[::1]:{tls}/postgres?host=localhost&hostaddr=::1&sslmode=verify-full&sslrootcert={root}",
    ),
    // TLS is not for sockets.
    row("host={socket} port={tls} user=open dbname=postgres sslmode=require"),
    row("host={socket} port={tls} user=open dbname=postgres sslmode=verify-full"),
    row(
        "host={socket} port={tls} user=open dbname=postgres sslmode=verify-full sslrootcert={root}",
    ),
    row("host={socket} port={tls} user=open dbname=postgres sslmode=nonsense"),
    row("host={socket} port={tls} user=only_tls dbname=postgres sslmode=require"),
    // The other encryption. `require` is for a table of its own.
    row("postgres://open@localhost:{tls}/postgres?gssencmode=disable"),
    row("postgres://open@localhost:{tls}/postgres?gssencmode=prefer"),
    row("postgres://open@localhost:{tls}/postgres?gssencmode=require"),
    row("postgres://open@localhost:{tls}/postgres?gssencmode=nonsense"),
    row("postgres://open@localhost:{tls}/postgres").with(&[("PGGSSENCMODE", "require")]),
    row("postgres://open@localhost:{tls}/postgres?krbsrvname=postgres"),
    row("postgres://open@localhost:{tls}/postgres?gsslib=gssapi"),
];

/// Servers without TLS, and users with access rules about TLS, in every mode.
pub(crate) const RULES: &[Row] = &[
    row("postgres://open@localhost:{plain}/postgres?sslmode=disable"),
    row("postgres://open@localhost:{plain}/postgres?sslmode=allow"),
    row("postgres://open@localhost:{plain}/postgres?sslmode=prefer"),
    row("postgres://open@localhost:{plain}/postgres?sslmode=require"),
    row("postgres://open@localhost:{plain}/postgres?sslmode=verify-ca&sslrootcert={root}"),
    row("postgres://open@localhost:{plain}/postgres?sslmode=verify-full&sslrootcert={root}"),
    row("postgres://only_tls@localhost:{plain}/postgres"),
    row("postgres://only_tls@localhost:{plain}/postgres?sslmode=allow"),
    row("postgres://only_tls@localhost:{tls}/postgres"),
    row("postgres://only_tls@localhost:{tls}/postgres?sslmode=disable"),
    row("postgres://only_tls@localhost:{tls}/postgres?sslmode=allow"),
    row("postgres://only_tls@localhost:{tls}/postgres?sslmode=prefer"),
    row("postgres://only_tls@localhost:{tls}/postgres?sslmode=require"),
    row("postgres://only_tls@localhost:{tls}/postgres?sslmode=verify-ca&sslrootcert={root}"),
    row("postgres://only_tls@localhost:{tls}/postgres?sslmode=verify-full&sslrootcert={root}"),
    row("postgres://only_tls@localhost:{tls}/postgres?sslmode=prefer&sslrootcert={other_root}"),
    row("postgres://only_tls@localhost:{tls}/postgres?sslmode=allow&sslrootcert={other_root}"),
    row("postgres://only_plain@localhost:{tls}/postgres"),
    row("postgres://only_plain@localhost:{tls}/postgres?sslmode=disable"),
    row("postgres://only_plain@localhost:{tls}/postgres?sslmode=allow"),
    row("postgres://only_plain@localhost:{tls}/postgres?sslmode=prefer"),
    row("postgres://only_plain@localhost:{tls}/postgres?sslmode=require"),
    row("postgres://only_plain@localhost:{tls}/postgres?sslmode=verify-ca&sslrootcert={root}"),
    row("postgres://only_plain@localhost:{tls}/postgres?sslmode=verify-full&sslrootcert={root}"),
    row("postgres://rejected@localhost:{tls}/postgres"),
    row("postgres://rejected@localhost:{tls}/postgres?sslmode=allow"),
    row("postgres://nologin@localhost:{tls}/postgres"),
    row("postgres://nosuch@localhost:{tls}/postgres"),
    row("postgres://open@localhost:{tls}/nosuch"),
    row("postgres://open@localhost:{tls}/nosuch?sslmode=allow"),
];
