//! The example files are good, and the full one says what the code does.

use std::fs;
use std::path::{Path, PathBuf};

use super::{RunSettings, Setting, TABLE};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/config")
}

fn full_example() -> String {
    fs::read_to_string(folder().join("pgmesh.toml")).unwrap()
}

/// What a daemon with this file would do; only its cookie is another one.
fn read(file: &Path) -> RunSettings {
    let scratch = tempfile::tempdir().unwrap();
    let cookie = scratch.path().join("cookie");
    fs::write(&cookie, "c").unwrap();
    let line = ["pgmesh", "run", "--config", file.to_str().unwrap()];
    let flags = ["--cookie-file", cookie.to_str().unwrap()];
    let matches = crate::cli::command().get_matches_from(line.into_iter().chain(flags));
    RunSettings::read(matches.subcommand().unwrap().1)
        .unwrap_or_else(|errors| panic!("{}: {errors}", file.display()))
}

#[test]
fn every_example_file_is_good() {
    let files = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path());
    let files: Vec<_> = files
        .filter(|path| path.extension() == Some("toml".as_ref()))
        .collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        read(&file);
    }
}

#[test]
fn all_of_the_full_example_is_good_when_it_counts() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("pgmesh.toml");
    let text = full_example();
    // It says what other settings of the file say.
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("#tls-optfile"));
    let lines = lines.map(|line| match line.strip_prefix('#') {
        Some(pair) if !pair.starts_with(' ') => pair,
        _ => line,
    });
    fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let raw = read(&file).raw;
    let missing = raw.rows().filter(|(_, value)| value.is_none());
    let missing: Vec<_> = missing.map(|(setting, _)| setting.name).collect();
    assert_eq!(missing, ["tls-optfile"]);
}

#[test]
fn full_example_has_each_setting_as_the_help_has_it() {
    let text = full_example();
    let (_, text) = text.split_once("\n\n").unwrap();
    let blocks: Vec<_> = text.trim_end().split("\n\n").map(str::to_owned).collect();
    let settings = TABLE.iter().filter(|setting| setting.name != "config");
    let expected: Vec<_> = settings.map(|setting| setting.name).collect();
    let names = blocks.iter().map(|block| {
        let pair = block.lines().last().unwrap();
        pair.trim_start_matches('#').split(' ').next().unwrap()
    });
    assert_eq!(
        names.collect::<Vec<_>>(),
        expected,
        "another order, or another set"
    );
    for block in &blocks {
        check(block);
    }
}

fn check(block: &str) {
    let (comment, pair) = block.rsplit_once('\n').unwrap();
    let (name, value) = pair.strip_prefix('#').unwrap().split_once(" = ").unwrap();
    let setting = TABLE.iter().find(|setting| setting.name == name).unwrap();
    if let Some(default) = setting.default {
        assert_eq!(
            value.trim_matches('"'),
            default,
            "{name} has another default"
        );
    }
    let comment: Vec<_> = comment
        .lines()
        .map(|line| line.trim_start_matches("# "))
        .collect();
    assert_eq!(
        comment.join(" "),
        described(setting),
        "{name} is explained otherwise"
    );
}

fn described(setting: &Setting) -> String {
    let restart = if setting.reloads { "" } else { " [restart]" };
    match setting.help.split_once(" [default: ") {
        Some((help, default)) => {
            let default = default.trim_end_matches(']');
            format!("{help}.{restart} Unless given: {default}.")
        }
        None => format!("{}.{restart}", setting.help),
    }
}
