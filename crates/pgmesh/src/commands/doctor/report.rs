//! What was found out, for people as it is found out, for machines at the end.

use serde::Serialize;

use super::check::{Check, Group, Outcome, counted};
use crate::commands::print;

/// The longest line for people.
const WIDTH: usize = 100;
/// Of a group's checks with the same outcome and kind, how many are shown to people.
const SHOWN_ALIKE: usize = 12;

/// Collects checks, and shows them.
pub(super) struct Report {
    json: bool,
    node: Option<String>,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Json<'a> {
    /// Our own name; `null` where the settings give none.
    node: Option<&'a str>,
    /// How many checks came to this.
    ok: usize,
    warnings: usize,
    failed: usize,
    unchecked: usize,
    checks: &'a [Check],
}

impl Report {
    pub(super) fn new(json: bool, node: Option<String>) -> Self {
        Self {
            json,
            node,
            checks: Vec::new(),
        }
    }

    /// Adds a group, and shows it to people at once.
    pub(super) fn add(&mut self, checks: Vec<Check>) -> anyhow::Result<()> {
        if !self.json && !checks.is_empty() {
            print(text_of(&checks))?;
        }
        self.checks.extend(checks);
        Ok(())
    }

    /// Shows the rest; whether nothing failed.
    pub(super) fn finish(self) -> anyhow::Result<bool> {
        if self.json {
            print(serde_json::to_string_pretty(&self.as_json())?)?;
        } else {
            print(format!("\n{}", self.summary()))?;
        }
        Ok(self.count(Outcome::Failed) == 0)
    }

    fn as_json(&self) -> Json<'_> {
        Json {
            node: self.node.as_deref(),
            ok: self.count(Outcome::Ok),
            warnings: self.count(Outcome::Warning),
            failed: self.count(Outcome::Failed),
            unchecked: self.count(Outcome::Unchecked),
            checks: &self.checks,
        }
    }

    fn summary(&self) -> String {
        let parts = [
            format!("{} failed", self.count(Outcome::Failed)),
            counted(self.count(Outcome::Warning), "warning"),
            format!("{} ok", self.count(Outcome::Ok)),
            format!("{} not checked", self.count(Outcome::Unchecked)),
        ];
        parts.join(", ")
    }

    fn count(&self, outcome: Outcome) -> usize {
        let same = |check: &&Check| check.outcome == outcome;
        self.checks.iter().filter(same).count()
    }
}

/// One or more groups, one under the other.
fn text_of(checks: &[Check]) -> String {
    let groups = checks.chunk_by(|a, b| a.group == b.group);
    let texts: Vec<_> = groups.map(text_of_group).collect();
    texts.join("\n")
}

fn text_of_group(checks: &[Check]) -> String {
    let title = checks.first().map_or("", |check| Group::title(check.group));
    let mut lines = vec![title.to_owned()];
    for (index, check) in checks.iter().enumerate() {
        let alike = |other: &&Check| other.outcome == check.outcome && other.kind == check.kind;
        let before = checks[..index].iter().filter(alike).count();
        if before < SHOWN_ALIKE {
            lines.extend(lines_of(check));
        } else if before == SHOWN_ALIKE {
            let more = checks[index..].iter().filter(alike).count();
            lines.push(format!(
                "  {} and {more} more like these",
                check.outcome.mark()
            ));
        }
    }
    lines.join("\n")
}

/// The cause, and below it the remedy.
fn lines_of(check: &Check) -> Vec<String> {
    let kind = check.kind.as_ref().map(|kind| format!(" [{kind}]"));
    let cause = format!("{}{}", check.message, kind.unwrap_or_default());
    let mut lines = wrapped(&cause, &format!("  {} ", check.outcome.mark()));
    if let Some(remedy) = &check.remedy {
        lines.extend(wrapped(remedy, "    → "));
    }
    lines
}

/// Broken at blanks where it gets too wide; further lines begin below the text.
fn wrapped(text: &str, first: &str) -> Vec<String> {
    let indent = " ".repeat(first.chars().count());
    let mut lines = vec![first.to_owned()];
    for word in text.split(' ') {
        let line = lines.last().map_or("", String::as_str);
        let is_fresh = line == first || *line == indent;
        let needed = line.chars().count() + usize::from(!is_fresh) + word.chars().count();
        if needed > WIDTH && !is_fresh {
            lines.push(indent.clone());
        } else if !is_fresh {
            push(&mut lines, " ");
        }
        push(&mut lines, word);
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedy_stands_below_the_cause() {
        let checks = [
            Group::Epmd.ok("answers", "EPMD answers"),
            Group::Epmd
                .failed("name", "the name is taken", "choose another --name")
                .kind("name_taken"),
            Group::Nodes.unchecked("nodes", "nobody was heard"),
        ];
        let expected = "EPMD of this host\n  ✓ EPMD answers\n  ✗ the name is taken [name_taken]\n    \
                        → choose another --name\nnodes\n  – nobody was heard";
        assert_eq!(text_of(&checks), expected);
    }

    #[test]
    fn wide_lines_are_broken_and_nothing_is_lost() {
        let text = "word ".repeat(60);
        let lines = wrapped(text.trim(), "  ✗ ");
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(lines[1].starts_with("    word"));
        assert_eq!(lines.join(" ").matches("word").count(), 60);
        let unbreakable = "x".repeat(150);
        assert_eq!(
            wrapped(&unbreakable, "  ✗ "),
            [format!("  ✗ {unbreakable}")]
        );
    }

    #[test]
    fn many_alike_are_summed_up_for_people_only() {
        let node = |number| Group::Nodes.ok("link", format!("n{number}"));
        let mut checks: Vec<_> = (0..50).map(node).collect();
        checks.push(Group::Nodes.failed("link", "other", "remedy"));
        let text = text_of(&checks);
        assert!(
            text.contains("✓ and 38 more like these") && text.contains("✗ other"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1 + SHOWN_ALIKE + 1 + 2);
        let mut report = Report::new(true, None);
        report.checks = checks;
        assert_eq!(report.as_json().checks.len(), 51);
        let summary = "1 failed, 0 warnings, 50 ok, 0 not checked";
        assert_eq!(report.summary(), summary);
    }
}
