//! Where to connect: hosts, ports, sockets, several of them, and which one will do.

use crate::row::{Row, row};

/// Addresses.
pub(crate) const ROWS: &[Row] = &[
    row("postgres://open@127.0.0.1:{tls}/postgres"),
    row("postgres://open@LOCALHOST:{tls}/postgres"),
    row("postgres://open@127.1:{tls}/postgres"),
    row("postgres://open@localhost:{dead}/postgres"),
    row("postgres://open@nosuch.invalid:{tls}/postgres"),
    row("postgres://open@[::1]:{tls}/postgres"),
    row("host=::1 port={tls} user=open dbname=postgres"),
    row("host=[::1] port={tls} user=open dbname=postgres"),
    row("postgres://open@%3A%3A1:{tls}/postgres"),
    row("postgres://open@[::1]:{plain}/postgres"),
    row("postgres://open@[::1/postgres"),
    row("postgres://open@[]:{tls}/postgres"),
    row("postgres://open@[::1]x:{tls}/postgres"),
    row("postgres://open@[::1],localhost:{tls}/postgres"),
    // Ports.
    row("postgres://open@localhost:0/postgres"),
    row("postgres://open@localhost:65536/postgres"),
    row("postgres://open@localhost:-1/postgres"),
    row("postgres://open@localhost:port/postgres"),
    row("postgres://open@localhost:{tls}x/postgres"),
    row("postgres://open@localhost/postgres?port={tls}"),
    row("postgres://open@localhost:{dead}/postgres?port={tls}"),
    row("postgres://open@localhost:/postgres").with(&[("PGPORT", "{tls}")]),
    row("postgres://open@localhost/postgres").with(&[("PGPORT", "{tls}")]),
    row("postgres://open@localhost/postgres").with(&[("PGPORT", "nonsense")]),
    row("host=localhost port=' {tls} ' user=open dbname=postgres"),
    row("host=localhost port=+{tls} user=open dbname=postgres"),
    row("host=localhost port='{tls} x' user=open dbname=postgres"),
    // Sockets.
    row("host={socket} port={tls} user=open dbname=postgres"),
    row("postgres://open@{socket%}:{tls}/postgres"),
    row("postgres://open@/postgres?host={socket}&port={tls}"),
    row("postgres:///postgres?host={socket}&port={tls}&user=open"),
    row("postgres://open@localhost/postgres?host={socket%}&port={tls}"),
    row("postgres://open@:{tls}/postgres?host={socket}"),
    row("postgres://open@/postgres?host={socket}&port={dead}"),
    row("postgres://open@/postgres?host=/nonexistent&port={tls}"),
    row("postgres://open@/postgres").with(&[("PGHOST", "{socket}"), ("PGPORT", "{tls}")]),
    row("host=/nonexistent,{socket} port={tls} user=open dbname=postgres"),
    row("host={socket},localhost port={dead},{tls} user=open dbname=postgres"),
    row("host={socket} hostaddr=127.0.0.1 port={tls} user=open dbname=postgres"),
    row("host=relative/folder port={tls} user=open dbname=postgres"),
    row("host=@nosuch port={tls} user=open dbname=postgres"),
    // An address beside the name, or alone.
    row("hostaddr=127.0.0.1 port={tls} user=open dbname=postgres"),
    row("host=nosuch.invalid hostaddr=127.0.0.1 port={tls} user=open dbname=postgres"),
    row("postgres://open@nosuch.invalid:{tls}/postgres?hostaddr=127.0.0.1"),
    row("hostaddr=localhost port={tls} user=open dbname=postgres"),
    row("hostaddr=::1 port={tls} user=open dbname=postgres"),
    row("hostaddr=[::1] port={tls} user=open dbname=postgres"),
    row("host=localhost hostaddr= port={tls} user=open dbname=postgres"),
    row("host=localhost hostaddr='' port={tls} user=open dbname=postgres"),
    row("hostaddr=127.0.0.1,::1 port={dead},{tls} user=open dbname=postgres"),
    row("host=a,b hostaddr=127.0.0.1 port={tls} user=open dbname=postgres"),
    row("host=a,b hostaddr=127.0.0.1,127.0.0.1 port={dead},{tls} user=open dbname=postgres"),
    row("host=localhost,localhost hostaddr=,127.0.0.1 port={dead},{tls} user=open dbname=postgres"),
    row("dbname=postgres user=open").with(&[("PGHOSTADDR", "127.0.0.1"), ("PGPORT", "{tls}")]),
    row("dbname=postgres user=open host=localhost")
        .with(&[("PGHOSTADDR", "127.0.0.1"), ("PGPORT", "{tls}")]),
    // Several.
    row("postgres://open@localhost:{dead},localhost:{tls}/postgres"),
    row("postgres://open@localhost:{tls},localhost:{dead}/postgres"),
    row("postgres://open@localhost:{tls},localhost:{plain}/postgres"),
    row("postgres://open@localhost:{plain},localhost:{tls}/postgres"),
    row("postgres://open@localhost:{dead},localhost:{dead}/postgres"),
    row("postgres://open@nosuch.invalid,localhost:{tls}/postgres"),
    row("postgres://open@nosuch.invalid:{tls},localhost:{tls}/postgres"),
    row("postgres://open@localhost,localhost:{tls}/postgres").with(&[("PGPORT", "{dead}")]),
    row("postgres://open@localhost:{dead},[::1]:{tls}/postgres"),
    row("postgres://open@,localhost:{tls}/postgres"),
    row("postgres://open@localhost:{dead},:{tls}/postgres"),
    row("host=localhost,127.0.0.1 port={dead},{tls} user=open dbname=postgres"),
    row("host=localhost,127.0.0.1 port={tls} user=open dbname=postgres"),
    row("host=localhost,127.0.0.1 port=,{tls} user=open dbname=postgres"),
    row("host=localhost,127.0.0.1 port={dead},{tls},{tls} user=open dbname=postgres"),
    row("host=localhost port={dead},{tls} user=open dbname=postgres"),
    row("host=localhost,localhost,localhost port={dead},{tls} user=open dbname=postgres"),
    row("host='localhost, localhost' port='{dead}, {tls}' user=open dbname=postgres"),
    row("host=,localhost port={dead},{tls} user=open dbname=postgres"),
    row("host=localhost, port={tls} user=open dbname=postgres"),
    row("port={dead},{tls} user=open dbname=postgres"),
    row("postgres://open@localhost,localhost/postgres?port={dead},{tls}"),
    row("dbname=postgres user=open").with(&[
        ("PGHOST", "localhost,127.0.0.1"),
        ("PGPORT", "{dead},{tls}"),
    ]),
    row("dbname=postgres user=open").with(&[
        ("PGHOST", "localhost,127.0.0.1"),
        ("PGPORT", "{dead},{tls},{tls}"),
    ]),
    // What the first one says counts, if it is there.
    row("postgres://open@localhost:{tls},localhost:{plain}/postgres?sslmode=require"),
    row("postgres://scram:wrong@localhost:{tls},localhost:{plain}/postgres"),
    row("postgres://app@localhost:{tls},localhost:{plain}/postgres"),
    row("postgres://open@localhost:{tls},localhost:{plain}/nosuch"),
    row(
        "host=localhost,other.test hostaddr=127.0.0.1,127.0.0.1 port={tls} user=open dbname=postgres sslmode=verify-full sslrootcert={root}",
    ),
    row(
        "host={socket},localhost port={dead},{tls} user=open dbname=postgres sslmode=verify-full sslrootcert={root}",
    ),
];

/// Which of several servers will do.
pub(crate) const SESSIONS: &[Row] = &[
    row("postgres://open@localhost:{tls},localhost:{standby}/postgres?target_session_attrs=any"),
    row("postgres://open@localhost:{standby},localhost:{tls}/postgres?target_session_attrs=any"),
    row("postgres://open@localhost:{standby}/postgres"),
    row(
        "postgres://open@localhost:{tls},localhost:{standby}/postgres?target_session_attrs=read-write",
    ),
    row(
        "postgres://open@localhost:{standby},localhost:{tls}/postgres?target_session_attrs=read-write",
    ),
    row("postgres://open@localhost:{standby}/postgres?target_session_attrs=read-write"),
    row(
        "postgres://open@localhost:{tls},localhost:{standby}/postgres?target_session_attrs=read-only",
    ),
    row(
        "postgres://open@localhost:{standby},localhost:{tls}/postgres?target_session_attrs=read-only",
    ),
    row("postgres://open@localhost:{tls}/postgres?target_session_attrs=read-only"),
    row(
        "postgres://open@localhost:{tls},localhost:{standby}/postgres?target_session_attrs=primary",
    ),
    row(
        "postgres://open@localhost:{standby},localhost:{tls}/postgres?target_session_attrs=primary",
    ),
    row("postgres://open@localhost:{standby}/postgres?target_session_attrs=primary"),
    row(
        "postgres://open@localhost:{tls},localhost:{standby}/postgres?target_session_attrs=standby",
    ),
    row(
        "postgres://open@localhost:{standby},localhost:{tls}/postgres?target_session_attrs=standby",
    ),
    row("postgres://open@localhost:{tls}/postgres?target_session_attrs=standby"),
    row(
        "postgres://open@localhost:{tls},localhost:{standby}/postgres?target_session_attrs=prefer-standby",
    ),
    row(
        "postgres://open@localhost:{standby},localhost:{tls}/postgres?target_session_attrs=prefer-standby",
    ),
    row("postgres://open@localhost:{tls}/postgres?target_session_attrs=prefer-standby"),
    row(
        "postgres://open@localhost:{tls},localhost:{dead}/postgres?target_session_attrs=prefer-standby",
    ),
    row(
        "postgres://open@localhost:{dead},localhost:{tls},localhost:{standby}/postgres?target_session_attrs=prefer-standby",
    ),
    row(
        "postgres://open@localhost:{dead},localhost:{standby},localhost:{tls}/postgres?target_session_attrs=primary",
    ),
    row(
        "postgres://open@localhost:{standby},localhost:{dead}/postgres?target_session_attrs=primary",
    ),
    row("postgres://open@localhost:{tls}/postgres?target_session_attrs=nonsense"),
    row("postgres://open@localhost:{tls}/postgres?target_session_attrs="),
    row("postgres://open@localhost:{standby},localhost:{tls}/postgres")
        .with(&[("PGTARGETSESSIONATTRS", "read-write")]),
    row("postgres://reader@localhost:{tls}/postgres?target_session_attrs=read-write"),
    row("postgres://reader@localhost:{tls}/postgres?target_session_attrs=read-only"),
    row("postgres://reader@localhost:{tls}/postgres?target_session_attrs=primary"),
    row(
        "postgres://reader@localhost:{tls},localhost:{standby}/postgres?target_session_attrs=standby",
    ),
    row(
        "postgres://open@localhost:{tls}/postgres?target_session_attrs=read-write&options=-cdefault_transaction_read_only%3Don",
    ),
    row(
        "postgres://only_plain@localhost:{standby},localhost:{tls}/postgres?target_session_attrs=primary",
    ),
    row(
        "postgres://only_tls@localhost:{standby},localhost:{tls}/postgres?target_session_attrs=primary&sslmode=allow",
    ),
    row(
        "postgres://scram:secret@localhost:{standby},localhost:{tls}/postgres?target_session_attrs=read-write&channel_binding=require",
    ),
    row(
        "host={socket},localhost port={tls},{standby} user=open dbname=postgres target_session_attrs=standby",
    ),
];
