//! We connect where psql connects, as whom it connects, and refuse what it refuses.
//!
//! Every row of the tables goes through the real psql and through us, with the
//! same variables and the same home. Where both connect, the server must say the
//! same of both sessions.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod addresses;
mod compare;
mod on_purpose;
mod passwords;
mod row;
mod syntax;
mod tls;
mod world;

use std::sync::Arc;

use pgmesh_testkit::ServerCertificate;

use compare::Tally;
use world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connects_where_psql_connects() {
    let world = Arc::new(World::make());
    let mut tally = Tally::default();
    let tables = [
        addresses::ROWS,
        addresses::SESSIONS,
        passwords::ROWS,
        syntax::URLS,
        syntax::KEY_VALUES,
        syntax::PARAMETERS,
        tls::CLIENTS,
        tls::PARAMETERS,
        tls::RULES,
    ];
    for table in tables {
        tally.compare("tables", &world, table.to_vec()).await;
    }
    for which in ServerCertificate::ALL {
        world.use_certificate(which);
        let rows = tls::verification(which);
        tally.compare(which.stem(), &world, rows).await;
    }
    tally.finish();
}

#[tokio::test]
async fn differs_from_psql_only_on_purpose() {
    let world = World::make();
    let mut wrong = Vec::new();
    for (row, expected, reason) in on_purpose::ROWS {
        let ours = compare::ours(&world, row).await;
        if ours.is_ok() != matches!(expected, on_purpose::Expected::Connects) {
            wrong.push(format!(
                "{row}\n  {expected:?}, because {reason}\n  ours: {ours:?}"
            ));
        }
    }
    for (certificate, host) in on_purpose::STRICTER {
        world.use_certificate(*certificate);
        let ours = compare::ours(&world, &tls::by_name(host).into()).await;
        if ours.is_ok() {
            wrong.push(format!("{certificate:?} proves {host} to us"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
