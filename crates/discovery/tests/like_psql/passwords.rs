//! Passwords: where they come from, and how they are proven.

use crate::row::{Row, row};

/// All rows about them.
pub(crate) const ROWS: &[Row] = &[
    row("postgres://scram:secret@localhost:{tls}/postgres"),
    row("postgres://scram:wrong@localhost:{tls}/postgres"),
    row("postgres://scram@localhost:{tls}/postgres"),
    row("postgres://scram:@localhost:{tls}/postgres"),
    row("postgres://scram:secret@localhost:{plain}/postgres"),
    row("postgres://scram:wrong@localhost:{plain}/postgres"),
    row("postgres://hashed:secret@localhost:{tls}/postgres"),
    row("postgres://hashed:wrong@localhost:{tls}/postgres"),
    row("postgres://hashed@localhost:{tls}/postgres"),
    row("postgres://cleartext:secret@localhost:{tls}/postgres"),
    row("postgres://cleartext:wrong@localhost:{plain}/postgres"),
    row("postgres://open:needless@localhost:{tls}/postgres"),
    row("postgres://localhost:{tls}/postgres?user=scram&password=secret"),
    row("host=localhost port={tls} user=scram dbname=postgres password=secret"),
    // Odd ones.
    row("postgres://co%3Alon:pa%3Ass%5Cword@localhost:{tls}/postgres"),
    row("postgres://co%3Alon:pa:ss%5Cword@localhost:{tls}/postgres"),
    row("postgres://us%20er%40x:p%40ss%3A%2F%25@localhost:{tls}/postgres"),
    row("postgres://us%20er%40x:p%40ss:/%25@localhost:{tls}/postgres"),
    row(r"host=localhost port={tls} user='us er@x' dbname=postgres password=p@ss:/%"),
    row(r"host=localhost port={tls} user=co:lon dbname=postgres password='pa:ss\\word'"),
    row(r"host=localhost port={tls} user=co:lon dbname=postgres password='pa:ss\word'"),
    row("postgres://prepared:%EF%AC%81x%C3%A4@localhost:{tls}/postgres"),
    row("postgres://prepared:fix%C3%A4@localhost:{tls}/postgres"),
    row("postgres://prepared:fixa%CC%88@localhost:{tls}/postgres"),
    row("postgres://prepared:ﬁxä@localhost:{tls}/postgres"),
    row("postgres://prepared:fixa@localhost:{tls}/postgres"),
    row("postgres://scram:secret%C2%AD@localhost:{tls}/postgres"),
    // Bound to the server's certificate.
    row("postgres://scram:secret@localhost:{tls}/postgres?channel_binding=disable"),
    row("postgres://scram:secret@localhost:{tls}/postgres?channel_binding=prefer"),
    row("postgres://scram:secret@localhost:{tls}/postgres?channel_binding=require"),
    row("postgres://scram:secret@localhost:{tls}/postgres?channel_binding=nonsense"),
    row("postgres://scram:secret@localhost:{tls}/postgres?channel_binding=require&sslmode=require"),
    row("postgres://scram:secret@localhost:{tls}/postgres?channel_binding=require&sslmode=disable"),
    row("postgres://scram:secret@localhost:{tls}/postgres?channel_binding=disable&sslmode=disable"),
    row(
        "postgres://scram:secret@localhost:{tls}/postgres?channel_binding=require&ssl_max_protocol_version=TLSv1.2",
    ),
    row("postgres://scram:wrong@localhost:{tls}/postgres?channel_binding=require"),
    row("postgres://scram:secret@localhost:{plain}/postgres?channel_binding=prefer"),
    row("postgres://scram:secret@localhost:{plain}/postgres?channel_binding=require"),
    row("postgres://hashed:secret@localhost:{tls}/postgres?channel_binding=require"),
    row("postgres://cleartext:secret@localhost:{tls}/postgres?channel_binding=require"),
    row("postgres://open@localhost:{tls}/postgres?channel_binding=require"),
    row("postgres://open@localhost:{tls}/postgres?channel_binding=require&sslmode=require"),
    row(
        "postgres://app@localhost:{tls}/postgres?channel_binding=require&sslcert={app.crt}&sslkey={app_pkcs8.key}",
    ),
    row(
        "host={socket} port={tls} user=scram password=secret dbname=postgres channel_binding=require",
    ),
    row(
        "host={socket} port={tls} user=scram password=secret dbname=postgres channel_binding=prefer",
    ),
    row("postgres://scram:secret@localhost:{tls}/postgres")
        .with(&[("PGCHANNELBINDING", "require")]),
    row("postgres://scram:secret@localhost:{plain}/postgres")
        .with(&[("PGCHANNELBINDING", "require")]),
    // From the variable.
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSWORD", "secret")]),
    row("postgres://scram:@localhost:{tls}/postgres").with(&[("PGPASSWORD", "secret")]),
    row("postgres://scram:secret@localhost:{tls}/postgres").with(&[("PGPASSWORD", "wrong")]),
    row("postgres://scram:wrong@localhost:{tls}/postgres").with(&[("PGPASSWORD", "secret")]),
    row("host=localhost port={tls} user=scram dbname=postgres password=''")
        .with(&[("PGPASSWORD", "secret")]),
    row("host=localhost port={tls} user=scram dbname=postgres password=''")
        .with(&[("PGPASSFILE", "{pass_all}")]),
    row("postgres://scram@localhost:{tls}/postgres")
        .with(&[("PGPASSWORD", "wrong"), ("PGPASSFILE", "{pass_all}")]),
    // From a file.
    row("postgres://scram@localhost:{tls}/postgres").with(&[("HOME", "{home_pass}")]),
    row("postgres://scram:wrong@localhost:{tls}/postgres").with(&[("HOME", "{home_pass}")]),
    row("postgres://hashed@localhost:{tls}/postgres").with(&[("HOME", "{home_pass}")]),
    row("postgres://scram@localhost:{tls}/postgres")
        .with(&[("HOME", "{home_pass}"), ("PGPASSFILE", "/nonexistent")]),
    row("postgres://scram@localhost:{tls}/postgres?passfile={pass_all}"),
    row("postgres://scram@localhost:{tls}/postgres?passfile={pass_all}")
        .with(&[("PGPASSFILE", "{pass_empty}")]),
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_open}")]),
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_group}")]),
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{folder}")]),
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_wrong_first}")]),
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_exact}")]),
    row("postgres://scram@127.0.0.1:{tls}/postgres").with(&[("PGPASSFILE", "{pass_exact}")]),
    row("postgres://scram@localhost:{plain}/postgres").with(&[("PGPASSFILE", "{pass_exact}")]),
    row("postgres://scram@localhost:{tls}/scram").with(&[("PGPASSFILE", "{pass_exact}")]),
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_other_port}")]),
    row("postgres://scram@localhost:{tls}/postgres")
        .with(&[("PGPASSFILE", "{pass_other_database}")]),
    row("postgres://scram@localhost:{tls}/scram").with(&[("PGPASSFILE", "{pass_other_database}")]),
    row("postgres://scram@localhost:{tls}").with(&[("PGPASSFILE", "{pass_other_database}")]),
    row("postgres://co%3Alon@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_escaped}")]),
    row("postgres://co%3Alon@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_unescaped}")]),
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_windows}")]),
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_short}")]),
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_spaces}")]),
    row("postgres://scram@localhost:{tls}/postgres").with(&[("PGPASSFILE", "{pass_empty}")]),
    // By which name the file knows a server.
    row("postgres://scram@127.0.0.1:{tls}/postgres").with(&[("PGPASSFILE", "{pass_localhost}")]),
    row("postgres://scram@localhost:{tls}/postgres?hostaddr=127.0.0.1")
        .with(&[("PGPASSFILE", "{pass_localhost}")]),
    row("postgres://scram@localhost:{tls}/postgres?hostaddr=127.0.0.1")
        .with(&[("PGPASSFILE", "{pass_address}")]),
    row("hostaddr=127.0.0.1 port={tls} user=scram dbname=postgres")
        .with(&[("PGPASSFILE", "{pass_address}")]),
    row("hostaddr=127.0.0.1 port={tls} user=scram dbname=postgres")
        .with(&[("PGPASSFILE", "{pass_localhost}")]),
    row("host={socket} port={tls} user=scram dbname=postgres")
        .with(&[("PGPASSFILE", "{pass_socket}")]),
    row("host={socket} port={tls} user=scram dbname=postgres")
        .with(&[("PGPASSFILE", "{pass_localhost}")]),
    row("host={socket} port={tls} user=scram dbname=postgres")
        .with(&[("PGPASSFILE", "{pass_all}")]),
    row("postgres://scram@localhost:{dead},127.0.0.1:{tls}/postgres")
        .with(&[("PGPASSFILE", "{pass_address}")]),
    row("postgres://scram@127.0.0.1:{dead},localhost:{tls}/postgres")
        .with(&[("PGPASSFILE", "{pass_address}")]),
];
