//! Figures as a person reads them.

pub(crate) fn head() {
    println!(
        "  {:34} {:>10} {:>10} {:>8} {:>8}",
        "", "OTP's", "pgmesh", "ratio", "target"
    );
}

pub(crate) fn row(what: &str, [left, right]: &[String; 2], ratio: f64, target: &str) {
    println!("  {what:34} {left:>10} {right:>10} {ratio:>8.2} {target:>8}");
}

pub(crate) fn cells(values: [f64; 2], digits: usize) -> [String; 2] {
    values.map(|value| format!("{value:.digits$}"))
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
