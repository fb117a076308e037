//! Figures of two EPMDs side by side, in one run: OTP's, and the program that is
//! given. `scripts/bench epmd` runs it.
//!
//! Each figure is the median of some rounds, in which the two take turns. The EPMDs
//! have the first core to themselves, and those who ask have the others, so that a
//! rate is that of the EPMD unless asking takes longer: what a question costs the
//! askers is shown, too.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

mod asking;
mod cores;
mod epmd;
mod idle;
mod results;
mod table;

use std::error::Error;

use asking::{Figure, measure};
use cores::Cores;
use epmd::Epmd;
use results::note;
use table::{cells, head, median, row};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 7;
const MANY: usize = 10_000;

fn main() -> Outcome<()> {
    // Cargo adds a flag of its own.
    let given: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let given: Vec<_> = given.iter().map(String::as_str).collect();
    let programs = [&["epmd"][..], &given];
    let cores = Cores::split()?;
    println!("\nepmd: beside OTP's; {cores}");
    head();
    for names in [1, 1000] {
        compare(programs, names, &cores)?;
    }
    idle::compare(programs, &cores)?;
    ten_thousand(programs[1], &cores)
}

/// Lookups and registrations while so many names are held.
fn compare(programs: [&[&str]; 2], names: usize, cores: &Cores) -> Outcome<()> {
    let epmds = [
        Epmd::start(programs[0], cores)?,
        Epmd::start(programs[1], cores)?,
    ];
    let mut held = Vec::new();
    for epmd in &epmds {
        held.push(epmd.hold("n", names)?);
    }
    let mut lookups = [Vec::new(), Vec::new()];
    let mut registrations = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (number, epmd) in epmds.iter().enumerate() {
            lookups[number].push(measure(epmd, |_| epmd.lookup("n0"))?);
            registrations[number].push(measure(epmd, |question| {
                epmd.register(&format!("new{question}")).map(drop)
            })?);
        }
    }
    let target = if names == 1 { "1" } else { "10" };
    report(&format!("lookups, {names} held"), &lookups, target);
    report(
        &format!("registrations, {names} held"),
        &registrations,
        target,
    );
    note_each(&format!("lookups with {names} held"), &lookups)?;
    note_each(&format!("registrations with {names} held"), &registrations)
}

fn note_each(what: &str, figures: &[Vec<Figure>; 2]) -> Outcome<()> {
    for (program, figures) in figures.iter().enumerate() {
        for (round, figure) in figures.iter().enumerate() {
            note(&format!("{what}, /s"), program, round, figure.rate)?;
            note(
                &format!("CPU for {what}, µs"),
                program,
                round,
                figure.cpu_us,
            )?;
        }
    }
    Ok(())
}

fn report(what: &str, figures: &[Vec<Figure>; 2], target: &str) {
    let both = |value: fn(&Figure) -> f64| {
        [0, 1].map(|number| median(figures[number].iter().map(value).collect()))
    };
    let [otp, ours] = both(|figure| figure.rate);
    row(
        &format!("{what}, /s"),
        &cells([otp, ours], 0),
        ours / otp,
        target,
    );
    let [otp, ours] = both(|figure| figure.cpu_us);
    row(
        "  EPMD's CPU for each, µs",
        &cells([otp, ours], 1),
        otp / ours,
        "",
    );
    let [otp, ours] = both(|figure| figure.askers_us);
    row("  the askers', µs", &cells([otp, ours], 1), otp / ours, "");
}

/// OTP's EPMD cannot hold as many: it has room for those that `select` can wait for.
fn ten_thousand(program: &[&str], cores: &Cores) -> Outcome<()> {
    let epmd = Epmd::start(program, cores)?;
    let _one = epmd.hold("n", 1)?;
    let cpu = |name: &str| -> Outcome<f64> {
        let rounds = (0..ROUNDS).map(|_| Ok(measure(&epmd, |_| epmd.lookup(name))?.cpu_us));
        Ok(median(rounds.collect::<Outcome<_>>()?))
    };
    let few = cpu("n0")?;
    let before = epmd.memory_mb()?;
    let _many = epmd.hold("m", MANY)?;
    let (many, after) = (cpu("m5000")?, epmd.memory_mb()?);
    for (names, cpu_us, memory_mb) in [(1, few, before), (MANY, many, after)] {
        note(
            &format!("CPU for a lookup with {names} held, µs"),
            1,
            0,
            cpu_us,
        )?;
        note(&format!("memory with {names} held, MB"), 1, 0, memory_mb)?;
    }
    println!(
        "  {:34} {:>10} {:>10}",
        "",
        "1 held",
        format!("{MANY} held")
    );
    row(
        "  CPU for a lookup, µs",
        &cells([few, many], 1),
        many / few,
        "1.3",
    );
    row(
        "  memory, MB",
        &cells([before, after], 1),
        after / before,
        "20 MB",
    );
    Ok(())
}
