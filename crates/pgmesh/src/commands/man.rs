//! `pgmesh man`: a page for pgmesh, and one for each command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgMatches, Command};
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::cli;

const SOURCE: &str = concat!("pgmesh ", env!("CARGO_PKG_VERSION"));

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let folder = flags.get_one::<PathBuf>("folder").cloned();
    let folder = folder.unwrap_or_default();
    let cannot = || format!("cannot write the pages into {}", folder.display());
    fs::create_dir_all(&folder).with_context(cannot)?;
    let mut whole = cli::command().disable_help_subcommand(true);
    whole.build();
    let shown = whole.get_subcommands().filter(|it| !it.is_hide_set());
    for command in std::iter::once(&whole).chain(shown) {
        write(command, &folder).with_context(cannot)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(command: &Command, folder: &Path) -> io::Result<()> {
    let man = Man::new(command.clone()).source(SOURCE).manual("pgmesh");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(help) = command.get_after_help() {
        notes(&help.to_string()).to_writer(&mut page)?;
    }
    fs::write(folder.join(man.get_filename()), page)
}

/// What stands below the flags in the help, the examples last.
fn notes(help: &str) -> Roff {
    let mut roff = Roff::default();
    let (text, examples) = help.split_once("Examples:\n").unwrap_or((help, ""));
    let paragraphs = text.split("\n\n").filter(|text| !text.is_empty());
    for (place, paragraph) in paragraphs.enumerate() {
        match place {
            0 => roff.control("SH", ["NOTES"]),
            _ => roff.control("PP", []),
        };
        // Columns, aligned by blanks.
        if paragraph.contains("  ") {
            verbatim(&mut roff, paragraph);
        } else {
            roff.text([roman(paragraph)]);
        }
    }
    roff.control("SH", ["EXAMPLES"]);
    verbatim(&mut roff, examples);
    roff
}

fn verbatim(roff: &mut Roff, text: &str) {
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line.trim_start())]);
    }
    roff.control("fi", []);
}
