//! `pgmesh matrix`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::ArgMatches;

use super::daemon_client::get_json;
use super::{print, table};
use crate::api::shapes::Matrix;

/// A larger grid is wider than a terminal.
const MAX_GRID: usize = 30;
/// Pairs of one kind that are listed, unless all are wanted.
const MAX_LISTED: usize = 20;
/// Pairs that the last line names.
const MAX_NAMED: usize = 3;

type Pairs<'a> = &'a [(usize, usize)];

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let full = flags.get_flag("full");
    let page = if full {
        "/api/v1/matrix?full=1"
    } else {
        "/api/v1/matrix"
    };
    let answer = get_json(flags, page)?;
    if flags.get_flag("json") {
        print(answer.text())?;
    } else {
        print(describe(&serde_json::from_slice(&answer.body)?, full))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(matrix: &Matrix, full: bool) -> String {
    let is_small = matrix.nodes.len() <= MAX_GRID;
    let mut text = String::new();
    if is_small && !matrix.nodes.is_empty() {
        text.push_str(&grid(matrix));
    }
    if full || !is_small {
        text.push_str(&lists(matrix, full));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text + &summary(matrix)
}

/// One line: `5 nodes, 9 of 10 pairs linked, 1 missing: a@h – b@h (…)`.
pub(super) fn summary(matrix: &Matrix) -> String {
    let nodes = matrix.nodes.len();
    let plural = if nodes == 1 { "" } else { "s" };
    let pairs = nodes * nodes.saturating_sub(1) / 2;
    let linked = matrix.linked;
    let mut text = format!("{nodes} node{plural}, {linked} of {pairs} pairs linked");
    let missing = matrix.missing.len();
    if missing > 0 {
        let named = matrix.missing.iter().take(MAX_NAMED);
        let named: Vec<_> = named.map(|pair| shown(matrix, *pair)).collect();
        let _ = write!(text, ", {missing} missing: {}", named.join(", "));
        if missing > MAX_NAMED {
            let _ = write!(text, " and {} more", missing - MAX_NAMED);
        }
    }
    for (count, what) in [
        (matrix.one_way.len(), "one-way"),
        (matrix.unknown.len(), "unknown"),
        (matrix.excluded.len(), "excluded"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if nodes > 0 {
        let age = table::age(Some(matrix.age_s));
        let _ = write!(text, " (as seen in the last {age})");
    }
    text
}

/// Numbered rows and columns; the names stand at the end, where long ones disturb
/// nothing.
fn grid(matrix: &Matrix) -> String {
    let nodes = matrix.nodes.len();
    let marks = Marks::of(matrix);
    let mut text = header(nodes);
    for (row, name) in matrix.nodes.iter().enumerate() {
        let cells: String = (0..nodes)
            .flat_map(|column| [' ', marks.at(row, column)])
            .collect();
        let _ = writeln!(text, "{:>3} {cells}   {name}", row + 1);
    }
    let legend = marks.legend();
    if !legend.is_empty() {
        let _ = writeln!(text, "\n    {legend}");
    }
    text
}

/// The columns' numbers, tens above ones.
fn header(nodes: usize) -> String {
    let line = |digit: &dyn Fn(usize) -> String| {
        let digits: String = (1..=nodes).map(|n| format!(" {}", digit(n))).collect();
        format!("    {digits}").trim_end().to_owned() + "\n"
    };
    let tens = |n: usize| match n {
        n if n % 10 == 0 => (n / 10).to_string(),
        _ => " ".to_owned(),
    };
    let ones = line(&|n| (n % 10).to_string());
    if nodes < 10 {
        ones
    } else {
        line(&tens) + &ones
    }
}

const LINKED: char = '.';
const ITSELF: char = '-';

/// One character for each pair, row by row.
struct Marks {
    nodes: usize,
    cells: Vec<char>,
}

impl Marks {
    /// Whatever is none of the gaps is linked.
    fn of(matrix: &Matrix) -> Self {
        let nodes = matrix.nodes.len();
        let mut marks = Self {
            nodes,
            cells: vec![LINKED; nodes * nodes],
        };
        for node in 0..nodes {
            marks.set((node, node), ITSELF);
        }
        for (_, mark, pairs) in gaps(matrix) {
            for (a, b) in pairs {
                marks.set((*a, *b), mark);
                marks.set((*b, *a), mark);
            }
        }
        marks
    }

    fn set(&mut self, (row, column): (usize, usize), mark: char) {
        if let Some(cell) = self.cells.get_mut(row * self.nodes + column) {
            *cell = mark;
        }
    }

    fn at(&self, row: usize, column: usize) -> char {
        let cell = self.cells.get(row * self.nodes + column);
        cell.copied().unwrap_or(LINKED)
    }

    /// What the marks of gaps mean, those that there are.
    fn legend(&self) -> String {
        let gaps = KINDS.iter().filter(|(_, mark)| self.cells.contains(mark));
        let gaps: Vec<_> = gaps.map(|(what, mark)| format!("{mark} {what}")).collect();
        gaps.join("   ")
    }
}

/// Each kind of gap and its mark.
const KINDS: [(&str, char); 4] = [
    ("missing", 'X'),
    ("one-way", '~'),
    ("unknown", '?'),
    ("excluded", 'o'),
];

fn gaps(matrix: &Matrix) -> impl Iterator<Item = (&'static str, char, Pairs<'_>)> {
    let pairs = [
        &matrix.missing,
        &matrix.one_way,
        &matrix.unknown,
        &matrix.excluded,
    ];
    let kinds = KINDS.into_iter().zip(pairs);
    kinds.map(|((what, mark), pairs)| (what, mark, pairs.as_slice()))
}

/// A line for each pair, its kind first.
fn lists(matrix: &Matrix, full: bool) -> String {
    let links = matrix.links.as_deref().unwrap_or_default();
    let kinds = gaps(matrix).map(|(what, _, pairs)| (what, pairs));
    let mut text = String::new();
    for (what, pairs) in kinds.chain([("linked", links)]) {
        let listed = if full { pairs.len() } else { MAX_LISTED };
        for pair in pairs.iter().take(listed) {
            let _ = writeln!(text, "{what:<8}  {}", shown(matrix, *pair));
        }
        if pairs.len() > listed {
            let more = pairs.len() - listed;
            let _ = writeln!(text, "{what:<8}  and {more} more (--full shows all)");
        }
    }
    text
}

fn shown(matrix: &Matrix, (a, b): (usize, usize)) -> String {
    let name = |node: usize| matrix.nodes.get(node).map_or("?", String::as_str);
    format!("{} – {}", name(a), name(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With every pair linked that is in no list.
    fn matrix(nodes: usize) -> Matrix {
        Matrix {
            nodes: (1..=nodes).map(|n| format!("n{n}@h")).collect(),
            linked: nodes * nodes.saturating_sub(1) / 2,
            missing: vec![],
            one_way: vec![],
            one_way_seen_by: vec![],
            unknown: vec![],
            excluded: vec![],
            age_s: 1.25,
            links: None,
        }
    }

    fn last_line(text: &str) -> &str {
        text.lines().last().unwrap_or_default()
    }

    #[test]
    fn last_line_says_how_it_stands() {
        let pairs = |count: usize| (1..=count).map(|n| (0, n)).collect::<Vec<_>>();
        let seen = "(as seen in the last 1.2 s)";
        for (matrix, expected) in [
            (matrix(0), "0 nodes, 0 of 0 pairs linked".to_owned()),
            (matrix(1), format!("1 node, 0 of 0 pairs linked {seen}")),
            (matrix(5), format!("5 nodes, 10 of 10 pairs linked {seen}")),
            (
                Matrix {
                    linked: 9,
                    missing: pairs(1),
                    ..matrix(5)
                },
                format!("5 nodes, 9 of 10 pairs linked, 1 missing: n1@h – n2@h {seen}"),
            ),
            (
                Matrix {
                    linked: 6,
                    missing: pairs(4),
                    ..matrix(5)
                },
                format!(
                    "5 nodes, 6 of 10 pairs linked, 4 missing: n1@h – n2@h, n1@h – n3@h, \
                     n1@h – n4@h and 1 more {seen}"
                ),
            ),
            (
                Matrix {
                    linked: 4,
                    one_way: pairs(1),
                    unknown: pairs(2),
                    excluded: pairs(3),
                    ..matrix(5)
                },
                format!("5 nodes, 4 of 10 pairs linked, 1 one-way, 2 unknown, 3 excluded {seen}"),
            ),
        ] {
            assert_eq!(last_line(&describe(&matrix, false)), expected);
        }
    }

    #[test]
    fn grid_marks_each_kind_of_gap_on_both_sides() {
        let matrix = Matrix {
            linked: 6,
            missing: vec![(0, 1)],
            one_way: vec![(0, 2)],
            unknown: vec![(3, 4)],
            excluded: vec![(1, 4)],
            ..matrix(5)
        };
        let expected = "     1 2 3 4 5
  1  - X ~ . .   n1@h
  2  X - . . o   n2@h
  3  ~ . - . .   n3@h
  4  . . . - ?   n4@h
  5  . o . ? -   n5@h

    X missing   ~ one-way   ? unknown   o excluded
";
        assert_eq!(grid(&matrix), expected);
    }

    #[test]
    fn two_digits_stand_above_each_other_and_all_fits_into_a_terminal() {
        let text = describe(&matrix(30), false);
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].ends_with(" 1                   2                   3"),
            "{text}"
        );
        assert!(lines[1].ends_with(" 8 9 0"), "{text}");
        assert_eq!(lines[0].len(), lines[1].len());
        assert!(
            lines.iter().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(
            !text.contains("missing"),
            "no legend where nothing is marked"
        );
    }

    #[test]
    fn large_mesh_has_lists_instead_of_a_grid() {
        let missing: Vec<_> = (1..=25).map(|n| (0, n)).collect();
        let matrix = Matrix {
            linked: 440,
            missing,
            ..matrix(31)
        };
        let text = describe(&matrix, false);
        assert!(text.starts_with("missing   n1@h – n2@h\n"), "{text}");
        assert!(text.contains("missing   and 5 more (--full shows all)\n"));
        assert_eq!(text.lines().count(), 20 + 1 + 1 + 1);
        let full = describe(&matrix, true);
        assert!(full.contains("missing   n1@h – n26@h\n"));
    }

    #[test]
    fn full_lists_also_what_is_linked() {
        let matrix = Matrix {
            links: Some(vec![(0, 1)]),
            ..matrix(2)
        };
        assert!(describe(&matrix, true).contains("\nlinked    n1@h – n2@h\n"));
    }
}
