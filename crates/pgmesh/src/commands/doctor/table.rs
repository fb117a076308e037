//! Every text side by side, in docs/DOCTOR.md.

use super::check::{Check, Group, Outcome};
use super::{channel, daemon, distribution, epmd, mesh, nodes, postgres, settings};
use crate::settings::RunSettings;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/DOCTOR.md");
const BEGIN: &str =
    "<!-- The tables below are made by the tests: UPDATE_DOCS=1 cargo test -p pgmesh -->\n";

/// Those of an ordinary daemon.
fn ordinary_settings() -> RunSettings {
    settings_with(&[])
}

/// The same with these flags, too.
pub(super) fn settings_with(flags: &[&str]) -> RunSettings {
    let folder = tempfile::tempdir().unwrap();
    let cookie = folder.path().join("cookie").display().to_string();
    std::fs::write(&cookie, "secret").unwrap();
    let args = [
        "pgmesh",
        "doctor",
        "--name=pgmesh@10.0.0.9",
        "--socket=/run/pgmesh/pgmesh.sock",
        "--database-url=postgres://app@db/app_prod",
        "--channel=cluster",
        "--cookie-file",
        &cookie,
    ];
    let args = args.iter().chain(flags);
    let matches = crate::cli::command().try_get_matches_from(args).unwrap();
    let (_, flags) = matches.subcommand().unwrap();
    RunSettings::read(flags).unwrap()
}

/// What every group has to say, once each.
fn samples() -> Vec<Check> {
    let settings = ordinary_settings();
    let all = [
        settings::samples(),
        daemon::tests::samples(&settings),
        epmd::samples(),
        distribution::samples(),
        postgres::tests::samples(),
        channel::tests::samples(&settings),
        nodes::tests::samples(),
        mesh::tests::samples(),
    ];
    let mut samples: Vec<Check> = Vec::new();
    for sample in all.concat() {
        if !samples.contains(&sample) {
            samples.push(sample);
        }
    }
    samples
}

fn tables() -> String {
    let samples = samples();
    let table = |group: Group| {
        let rows = samples.iter().filter(|check| check.group == group);
        let rows: String = rows.map(row).collect();
        let title = group.title();
        format!(
            "\n### {title}\n\n| | kind | what is said | what to do |\n|---|---|---|---|\n{rows}"
        )
    };
    Group::ALL.map(table).concat()
}

fn row(check: &Check) -> String {
    let mark = check.outcome.mark();
    let kind = check.kind.as_ref().map(|kind| format!("`{kind}`"));
    let (kind, remedy) = (kind.unwrap_or_default(), check.remedy.as_deref());
    let message = check.message.replace('|', "\\|");
    format!(
        "| {mark} | {kind} | {message} | {} |\n",
        remedy.unwrap_or_default()
    )
}

#[test]
fn page_shows_every_text() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (prose, shown) = page.split_once(BEGIN).unwrap();
    let made = tables();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, format!("{prose}{BEGIN}{made}")).unwrap();
    } else {
        assert!(
            shown == made,
            "docs/DOCTOR.md is out of date: {BEGIN}{made}"
        );
    }
}

#[test]
fn whatever_is_wrong_has_a_remedy_and_each_text_is_short() {
    for check in samples() {
        let wrong = matches!(check.outcome, Outcome::Failed | Outcome::Warning);
        assert_eq!(check.remedy.is_some(), wrong, "{check:?}");
        let remedy = check.remedy.iter();
        for text in remedy.chain([&check.message]) {
            assert!(!text.is_empty() && text.chars().count() <= 180, "{text}");
            assert!(!text.contains('\n') && !text.contains("  "), "{text}");
        }
    }
}

#[test]
fn every_group_is_shown_with_something_wrong() {
    for group in Group::ALL {
        let wrong = |check: &Check| {
            check.group == group && matches!(check.outcome, Outcome::Failed | Outcome::Warning)
        };
        assert!(samples().iter().any(wrong), "{group:?}");
    }
}
