//! The page, the dashboard and the alert rules say what the table says.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use super::*;

const PAGE: &str = include_str!("../../../../../../docs/METRICS.md");
const DASHBOARD: &str = include_str!("../../../../../../packaging/grafana/pgmesh.json");
const RULES: &str = include_str!("../../../../../../packaging/prometheus/alerts.yml");

fn labels(metric: &Metric) -> String {
    match &metric.label {
        None => "–".to_owned(),
        Some(Label::Node) => "`node`".to_owned(),
        Some(Label::Closed("version", _)) => "`version`".to_owned(),
        Some(Label::Closed(name, values)) if values().len() <= 7 => {
            format!("`{name}`: {}", values().join(", "))
        }
        Some(Label::Closed(name, _)) => format!("`{name}`"),
    }
}

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let (name, labels, help) = (metric.name, labels(metric), metric.help);
    format!("| `{name}` | {kind} | {labels} | {help} |")
}

#[test]
fn page_shows_every_metric_as_it_is() {
    let missing: Vec<_> = TABLE.iter().map(|metric| row(metric)).collect();
    let missing: Vec<_> = missing.iter().filter(|row| !PAGE.contains(*row)).collect();
    assert!(missing.is_empty(), "docs/METRICS.md lacks: {missing:#?}");
    let rows = PAGE.lines().filter(|line| line.starts_with("| `pgmesh_"));
    assert_eq!(rows.count(), TABLE.len(), "rows of metrics that are gone");
    assert!(PAGE.contains(&MAX_LABELLED_NODES.to_string()));
}

#[test]
fn names_and_texts_follow_the_customs() {
    let names: BTreeSet<_> = TABLE.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), TABLE.len(), "a name is there twice");
    for Metric {
        name, kind, help, ..
    } in TABLE
    {
        assert!(name.starts_with("pgmesh_"), "{name}");
        let is_counter = matches!(kind, Kind::Counter);
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        if matches!(kind, Kind::Histogram(_)) {
            assert!(name.ends_with("_seconds"), "{name}");
        }
        assert!(!help.is_empty() && !help.ends_with('.'), "{name}: {help}");
    }
}

#[test]
fn closed_sets_have_no_value_twice() {
    for metric in TABLE {
        if let Some(Label::Closed(_, values)) = &metric.label {
            let distinct: BTreeSet<_> = values().into_iter().collect();
            assert_eq!(distinct.len(), values().len(), "{}", metric.name);
        }
    }
}

/// The metrics that an expression names, each with what stands in its braces.
fn selectors(expression: &str) -> Vec<(&str, &str)> {
    let starts = expression.match_indices("pgmesh_");
    let selector = |(start, _)| {
        let rest = &expression[start..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let braces = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        (name, braces.map_or("", |(inside, _)| inside))
    };
    starts.map(selector).collect()
}

fn find(name: &str) -> Option<&'static Metric> {
    TABLE.iter().copied().find(|metric| match metric.kind {
        Kind::Histogram(_) => {
            let parts = ["_bucket", "_sum", "_count"];
            let base = parts.iter().find_map(|part| name.strip_suffix(part));
            base == Some(metric.name)
        }
        Kind::Counter | Kind::Gauge => metric.name == name,
    })
}

/// Every metric is one of ours, and every value of a closed label one of its set.
fn check(expression: &str) {
    for (name, inside) in selectors(expression) {
        let metric = find(name).unwrap_or_else(|| panic!("{name} is no metric: {expression}"));
        let Some(Label::Closed(label, values)) = &metric.label else {
            continue;
        };
        let matchers = inside.split(", ").filter_map(|m| m.split_once('='));
        for (_, value) in matchers.filter(|(name, _)| name == label) {
            let value = value.trim_matches(|c| c == '~' || c == '"');
            for one in value.split('|') {
                assert!(values().contains(&one), "{name} has no {label} {one:?}");
            }
        }
    }
}

#[test]
fn dashboard_asks_for_metrics_that_exist() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked = BTreeSet::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            check(expression);
            let names = selectors(expression);
            asked.extend(names.iter().filter_map(|(name, _)| Some(find(name)?.name)));
        }
    }
    let all: BTreeSet<_> = TABLE.iter().map(|metric| metric.name).collect();
    let not_shown: Vec<_> = all.difference(&asked).collect();
    assert!(not_shown.is_empty(), "on no panel: {not_shown:?}");
}

#[test]
fn alert_rules_ask_for_metrics_that_exist() {
    check(RULES);
    let count = |key| RULES.matches(key).count();
    assert_eq!(count("- alert:"), count(" summary:"));
    assert_eq!(count("- alert:"), count(" description:"));
}

/// Debian's package `prometheus` has it.
fn promtool(arguments: &[&str]) -> Output {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/prometheus");
    let mut promtool = Command::new("promtool");
    let promtool = promtool.args(arguments).current_dir(folder);
    promtool
        .output()
        .expect("cannot run promtool (install Debian's prometheus)")
}

#[test]
fn each_alert_fires_in_its_story_and_none_in_a_healthy_mesh() {
    let stories = include_str!("../../../../../../packaging/prometheus/alerts_test.yml");
    let alerts = RULES
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for alert in alerts {
        let fires = format!("alertname=\"{alert}\"");
        assert!(stories.contains(&fires), "no story makes {alert} fire");
        let row = format!("| `{alert}` |");
        assert!(PAGE.contains(&row), "docs/METRICS.md has no row {row}");
    }
    let output = promtool(&["test", "rules", "alerts_test.yml"]);
    assert!(output.status.success(), "{output:?}");
}
