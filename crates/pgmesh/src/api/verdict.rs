//! How the mesh stands, and we in EPMD, in a few words: those of the dashboard (`model.js`),
//! of `status`, of `doctor` and of what systemd is told.

use super::shapes::{Counts, Epmd};

impl Counts {
    /// `full mesh`, or what is wrong with it.
    pub(crate) fn verdict(&self) -> String {
        let gap = self.gaps().into_iter().find(|(count, _)| *count > 0);
        match (gap, self.up, self.excluded) {
            (Some((count, kind)), ..) => format!("{} {kind}", pairs(count)),
            (None, 0, _) => "no nodes yet".to_owned(),
            (None, 1, _) => "one node".to_owned(),
            (None, _, 0) => "full mesh".to_owned(),
            (None, _, excluded) => format!("full but for {}", pairs(excluded)),
        }
    }

    /// Whether a pair that should be connected is not, or nobody knows.
    pub(crate) fn has_gaps(&self) -> bool {
        self.gaps().iter().any(|(count, _)| *count > 0)
    }

    /// The worst first.
    fn gaps(&self) -> [(usize, &'static str); 3] {
        [
            (self.missing, "missing"),
            (self.one_way, "one-way"),
            (self.unknown, "unknown"),
        ]
    }
}

impl Epmd {
    /// `registered (external)`; `none` where nobody is to have us.
    pub(crate) fn verdict(&self) -> String {
        match (self.mode.as_str(), self.registered) {
            ("none", _) => "none".to_owned(),
            (mode, true) => format!("registered ({mode})"),
            (mode, false) => format!("not registered ({mode})"),
        }
    }

    /// Whether it should have us, and has not.
    pub(crate) fn lacks_us(&self) -> bool {
        self.mode != "none" && !self.registered
    }
}

fn pairs(count: usize) -> String {
    match count {
        1 => "1 pair".to_owned(),
        _ => format!("{count} pairs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_epmd_lacks_none() {
        for (mode, registered, verdict, lacks_us) in [
            ("external", true, "registered (external)", false),
            ("embedded", false, "not registered (embedded)", true),
            ("none", false, "none", false),
        ] {
            let mode = mode.to_owned();
            let epmd = Epmd { mode, registered };
            assert_eq!(epmd.verdict(), verdict);
            assert_eq!(epmd.lacks_us(), lacks_us);
        }
    }

    #[test]
    fn the_worst_is_said_and_what_is_apart_on_purpose_is_no_gap() {
        let counts = |up, [missing, one_way, unknown, excluded]: [usize; 4]| Counts {
            up,
            missing,
            one_way,
            unknown,
            excluded,
            ..Counts::default()
        };
        for (counts, expected) in [
            (counts(0, [0; 4]), "no nodes yet"),
            (counts(1, [0; 4]), "one node"),
            (counts(5, [0; 4]), "full mesh"),
            (counts(5, [0, 0, 0, 1]), "full but for 1 pair"),
            (counts(5, [0, 0, 4, 1]), "4 pairs unknown"),
            (counts(5, [0, 2, 4, 1]), "2 pairs one-way"),
            (counts(5, [1, 2, 4, 1]), "1 pair missing"),
        ] {
            assert_eq!(counts.verdict(), expected);
            assert_eq!(counts.has_gaps(), expected.starts_with(char::is_numeric));
        }
    }
}
