//! A thousand connections that ask nothing, beside others that do.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::asking::measure;
use crate::cores::Cores;
use crate::epmd::{Epmd, PACKET_TIMEOUT};
use crate::results::note;
use crate::table::{cells, median, row};
use crate::{Outcome, ROUNDS};

/// Of those that say nothing, half a request, and a byte a second.
const EACH: usize = 334;
/// Whoever is not closed by then is taken never to be.
const LIMIT: Duration = Duration::from_secs(30);

struct Figure {
    slower: f64,
    nothing_s: f64,
    half_s: f64,
    dripping_s: f64,
}

pub(crate) fn compare(programs: [&[&str]; 2], cores: &Cores) -> Outcome<()> {
    let [otp, ours] = programs;
    let figures = [beside_idle(otp, cores)?, beside_idle(ours, cores)?];
    println!("  beside 3 × {EACH} idle connections, with a packet time-out of {PACKET_TIMEOUT:?}");
    for (what, digits, value, target) in [
        (
            "  lookups take so many times as long",
            2,
            (|f| f.slower) as fn(&Figure) -> f64,
            "1.5",
        ),
        ("  closed who said nothing, s", 1, |f| f.nothing_s, ""),
        ("  closed who said half a request, s", 1, |f| f.half_s, ""),
        (
            "  closed who said a byte a second, s",
            1,
            |f| f.dripping_s,
            "",
        ),
    ] {
        let values = [value(&figures[0]), value(&figures[1])];
        row(what, &cells(values, digits), values[1] / values[0], target);
    }
    for (program, figure) in figures.iter().enumerate() {
        note(
            "a lookup beside idle connections, times",
            program,
            0,
            figure.slower,
        )?;
    }
    Ok(())
}

fn beside_idle(program: &[&str], cores: &Cores) -> Outcome<Figure> {
    let epmd = Epmd::start(program, cores)?;
    let _held = epmd.hold("n", 1)?;
    let rate = || Ok::<_, Box<dyn Error>>(measure(&epmd, |_| epmd.lookup("n0"))?.rate);
    let alone = median((0..ROUNDS).map(|_| rate()).collect::<Outcome<_>>()?);
    let opened = Instant::now();
    let (nothing, half) = (open(&epmd, b"")?, open(&epmd, b"\0\x09za")?);
    let dripping = open(&epmd, b"")?;
    thread::scope(|scope| {
        let dripped = scope.spawn(move || drip(dripping, opened));
        let beside = rate()?;
        Ok(Figure {
            slower: alone / beside,
            nothing_s: all_closed(nothing, opened)?,
            half_s: all_closed(half, opened)?,
            dripping_s: dripped.join().map_err(|_| "a thread has panicked")?,
        })
    })
}

fn open(epmd: &Epmd, said: &[u8]) -> Outcome<Vec<TcpStream>> {
    let say = |_| {
        let mut stream = epmd.connect()?;
        stream.write_all(said)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(stream)
    };
    (0..EACH).map(say).collect()
}

/// After how many seconds all were closed.
fn all_closed(idle: Vec<TcpStream>, opened: Instant) -> Outcome<f64> {
    for mut stream in idle {
        stream.read_to_end(&mut Vec::new())?;
    }
    Ok(opened.elapsed().as_secs_f64())
}

/// Says a byte a second on each of them, as if the request were a long one.
fn drip(mut idle: Vec<TcpStream>, opened: Instant) -> f64 {
    while opened.elapsed() < LIMIT {
        // The first after a close is taken, and answered by a reset.
        idle.retain_mut(|stream| stream.write_all(b"\x0b").is_ok());
        if idle.is_empty() {
            return opened.elapsed().as_secs_f64();
        }
        thread::sleep(Duration::from_secs(1));
    }
    f64::INFINITY
}
