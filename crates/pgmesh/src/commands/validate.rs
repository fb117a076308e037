//! `pgmesh validate`: the configuration, without a daemon and without the network.

use std::process::ExitCode;

use clap::ArgMatches;
use pgmesh_dist::TlsFileError;

use super::{print, table};
use crate::settings::{ConfigError, ConfigErrors, RawValue, RunSettings, Setting, Warning};

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let settings = RunSettings::read(flags)?;
    if let Some(tls) = &settings.tls {
        tls.check().map_err(|error| unusable(&error))?;
    }
    print(describe(&settings))?;
    Ok(ExitCode::SUCCESS)
}

/// For a daemon it is no bad setting: whoever makes the files may come after it.
fn unusable(error: &TlsFileError) -> ConfigErrors {
    let remedy = "see that it is there, whole, and ours to read";
    ConfigError::without_value("TLS between nodes", &error.to_string(), remedy).into()
}

fn describe(settings: &RunSettings) -> String {
    let file = settings.raw.file_name();
    let what = file.unwrap_or_else(|| "the configuration".to_owned());
    let head = ["SETTING", "VALUE", "FROM"].map(str::to_owned);
    let rows = settings.raw.rows();
    // The file is named above.
    let rows = rows.filter(|(setting, _)| setting.name != "config");
    let rows = rows.map(|(setting, value)| match value {
        Some(value) => given(setting, value),
        None => derived(setting, settings),
    });
    let table = table::aligned(std::iter::once(head).chain(rows));
    let warnings: String = settings.warnings.iter().map(line).collect();
    format!("{what} is good\n\n{table}{warnings}")
}

fn given(setting: &Setting, value: &RawValue) -> [String; 3] {
    let shown = setting.shown(value).to_owned();
    [setting.name.to_owned(), shown, value.source.to_string()]
}

/// What is made of other settings, or of this host.
fn derived(setting: &Setting, settings: &RunSettings) -> [String; 3] {
    let made = match setting.name {
        "name" => settings.name.to_string(),
        "expiry" => format!("{:?}", settings.expiry),
        "socket" => settings.socket.display().to_string(),
        _ => "-".to_owned(),
    };
    [setting.name.to_owned(), made, "default".to_owned()]
}

fn line(warning: &Warning) -> String {
    format!("\nwarning: {} ({})", warning.message, warning.kind)
}
