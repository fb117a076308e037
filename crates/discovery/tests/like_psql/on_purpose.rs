//! Where we differ from psql on purpose, or psql's versions from each other.

use pgmesh_testkit::ServerCertificate;

use crate::row::{Row, row};

/// What becomes of a row with us.
#[derive(Debug)]
pub(crate) enum Expected {
    Connects,
    Refuses,
}

use Expected::{Connects, Refuses};

/// A row, what becomes of it, and why.
pub(crate) const ROWS: &[(Row, Expected, &str)] = &[
    (
        row("ecto://open@localhost:{tls}/postgres"),
        Connects,
        "Ecto's URLs are used as they are",
    ),
    (
        row("ecto://open@localhost:{tls}/postgres?pool_size=10"),
        Connects,
        "Ecto's own parameters are not about the session",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?pool_size=10"),
        Connects,
        "the same, in a URL with the other scheme",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?pgbouncer=true"),
        Connects,
        "Prisma's own parameter; the session notices itself when it is deaf",
    ),
    (
        row("postgres://open@localhost:{plain}/postgres?ssl=false"),
        Connects,
        "Ecto's way of saying sslmode=disable",
    ),
    (
        row("postgres://open@localhost:{plain}/postgres?ssl=true"),
        Refuses,
        "Ecto's and libpq's way of saying sslmode=require",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?sslcrl={root}"),
        Refuses,
        "revocation lists are not checked here, and whoever gives one expects it",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?sslcrldir={folder}"),
        Refuses,
        "the same",
    ),
    (
        row("host={socket} port={tls} user=open dbname=postgres requirepeer=nosuch"),
        Refuses,
        "the server's user is not checked here, and whoever gives one expects it",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?sslmode=verify-full&sslrootcert=system"),
        Refuses,
        "since 16: no authority of the system has signed this certificate",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?sslmode=require&sslrootcert=system"),
        Refuses,
        "since 16: weak modes are refused with the system's authorities",
    ),
    (
        row("postgres://open@localhost:{dead},localhost:{tls}/postgres?load_balance_hosts=random"),
        Connects,
        "since 16",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?load_balance_hosts=nonsense"),
        Refuses,
        "since 16",
    ),
    (
        row("postgres://scram:secret@localhost:{tls}/postgres?require_auth=scram-sha-256"),
        Refuses,
        "since 16; the way of proving a password is not chosen here",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?sslmode=require&sslnegotiation=postgres"),
        Connects,
        "since 17: as ever",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?sslmode=require&sslnegotiation=direct"),
        Refuses,
        "since 17: TLS is negotiated here",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?sslcertmode=disable"),
        Connects,
        "since 16",
    ),
    (
        row(
            "postgres://app@localhost:{tls}/postgres?sslcertmode=disable&sslcert={app.crt}&sslkey={app_pkcs8.key}",
        ),
        Refuses,
        "since 16: the certificate that the server asks for stays here",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?fallback_application_name=x"),
        Connects,
        "psql always gives its own",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres").with(&[("PGSSLMODE", ""), ("PGUSER", "")]),
        Connects,
        "an empty variable counts as not set: containers are full of them",
    ),
    (
        row(" postgres://open@localhost:{tls}/postgres\n"),
        Connects,
        "blanks around a URL come from files; psql takes it for a database's name",
    ),
    (
        row("postgres://open@localhost:%20{tls}/postgres"),
        Refuses,
        "psql lets blanks pass in a port",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?application_name="),
        Connects,
        "with a name all the same; psql then has none",
    ),
    (
        row("host=localhost port={tls} user=open dbname=postgres ssl=true"),
        Connects,
        "psql knows ssl=true in URLs only",
    ),
    (
        row(
            "postgres://scram:secret@localhost:{tls}/postgres?channel_binding=require&sslmode=allow",
        ),
        Connects,
        "what fails for want of TLS is tried with TLS; psql gives up",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?sslmode=REQUIRE"),
        Connects,
        "it can mean nothing else",
    ),
    (
        row("postgres://open@localhost:{tls}/postgres?keepalives_idle=0&keepalives_interval=-1"),
        Connects,
        "0 is the system's default, as libpq's manual says; psql hands it to the kernel",
    ),
    (
        row("postgres://open@localhost:{plain},localhost:{tls}/postgres?sslmode=require"),
        Connects,
        "a server that will not do is passed over; psql stops at whichever answers",
    ),
    (
        row("postgres://only_tls@localhost:{plain},localhost:{tls}/postgres"),
        Connects,
        "the same for one that rejects the user; only a wrong password is final",
    ),
    (
        row(
            "host=other.test,localhost hostaddr=127.0.0.1,127.0.0.1 port={tls} user=open \
             dbname=postgres sslmode=verify-full sslrootcert={root}",
        ),
        Connects,
        "the same for one that cannot prove its name",
    ),
    (
        row("hostaddr=127.0.0.1 port={tls} user=open dbname=postgres \
             sslmode=verify-full sslrootcert={root}"),
        Connects,
        "the address is in the certificate; psql wants a name beside it",
    ),
    (
        row("hostaddr=::1 port={tls} user=open dbname=postgres \
             sslmode=verify-full sslrootcert={root}"),
        Refuses,
        "this address is not",
    ),
    (
        row(
            "host=127.1 port={tls} user=open dbname=postgres sslmode=verify-full sslrootcert={root}",
        ),
        Refuses,
        "an address is verified in its usual form only",
    ),
    (
        row("postgres://app@localhost:{tls}/postgres?sslcert={app.crt}&sslkey={app_encrypted.key}"),
        Refuses,
        "psql asks for the passphrase at the terminal",
    ),
    (
        row(
            "postgres://app@localhost:{tls}/postgres?sslcert={app_rsa.crt}&sslkey={app_pkcs1_encrypted.key}",
        ),
        Refuses,
        "the same",
    ),
];

/// Certificates and names that libpq takes for a match and OpenSSL does not: an
/// address that is no address in the certificate, and a star for a top level.
pub(crate) const STRICTER: &[(ServerCertificate, &str)] = &[
    (ServerCertificate::AddressInName, "127.0.0.1"),
    (ServerCertificate::AddressAsName, "127.0.0.1"),
    (ServerCertificate::TopWildcard, "db.test"),
    (ServerCertificate::TopWildcard, "DB.test"),
    (ServerCertificate::TopWildcard, "other.test"),
];
