//! Sends the same requests to OTP's EPMD and to ours, well-formed ones and others,
//! and compares what is answered and how each connection ends.
//!
//! A seed says what is sent; a failure prints it with the step. Creations and file
//! descriptors differ by nature and are masked.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod outcome;
mod script;
mod servers;

use std::time::{Duration, Instant};

use script::{Script, Step};
use servers::{Peer, otp_epmd, our_epmd};

/// Each with so many steps.
const SEEDS: u64 = 8;
const STEPS: usize = 200;

/// For an answer that may be under way.
const SHORT: Duration = Duration::from_millis(4);
const LONG: Duration = Duration::from_secs(5);

fn run(relaxed: bool) {
    let mut servers = [otp_epmd(relaxed), our_epmd(relaxed)];
    for seed in 0..SEEDS {
        let mut script = Script::new(seed, relaxed);
        for number in 0..STEPS {
            let step = script.next_step();
            play(&mut servers, &step, &format!("seed {seed}, step {number}"));
        }
        for server in &mut servers {
            server.close_all();
        }
    }
}

fn play(servers: &mut [Peer; 2], step: &Step, place: &str) {
    let [otp, ours] = servers;
    let (mut expected, mut got) = (otp.play(step), ours.play(step));
    for patience in [SHORT, LONG] {
        let settled = !expected.is_silent() && got.agrees_with(&expected);
        if !settled {
            otp.look_again(&mut expected, patience);
            ours.look_again(&mut got, patience);
        }
        if got.agrees_with(&expected) {
            break;
        }
    }
    assert!(
        got.agrees_with(&expected),
        "{place}: {step:?}\n ours: {got:?}\n OTP's: {expected:?}"
    );
    // A registration is gone some time after its connection.
    let give_up = Instant::now() + LONG;
    while otp.listing() != ours.listing() {
        assert!(Instant::now() < give_up, "names after {place}: {step:?}");
        std::thread::yield_now();
    }
}

#[test]
fn strict_epmd_answers_and_closes_as_otps() {
    run(false);
}

#[test]
fn relaxed_epmd_answers_and_closes_as_otps() {
    run(true);
}
