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

use pgmesh_testkit::ServerCertificate;

use compare::Tally;
use world::World;

#[tokio::test]
async fn connects_where_psql_connects() {
    let world = World::make();
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
    for row in tables.into_iter().flatten() {
        tally.compare(&world, row).await;
    }
    for which in ServerCertificate::ALL {
        world.use_certificate(which);
        for row in tls::verification(which) {
            tally.compare(&world, &row).await;
        }
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
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
