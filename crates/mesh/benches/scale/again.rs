//! A mesh that is told once more what one was told before: alone on its core, it
//! takes what a daemon's takes, and nothing of what the simulator takes.

use std::time::Duration;
use std::vec::IntoIter;

use pgmesh_mesh::{Input, Mesh, Time};

use crate::simulator::Record;
use crate::usage::cpu;

pub(crate) struct Again {
    mesh: Mesh,
    inputs: IntoIter<(Time, Input)>,
    told: usize,
}

impl Again {
    pub(crate) fn new(record: Record) -> Self {
        Self {
            mesh: Mesh::new(record.config, record.seed),
            inputs: record.inputs.into_iter(),
            told: 0,
        }
    }

    /// Goes on until so many inputs were told in all; returns what that took.
    pub(crate) fn until(&mut self, count: usize) -> Duration {
        let started = cpu();
        for (now, input) in self.inputs.by_ref().take(count - self.told) {
            self.mesh.handle(now, input);
            while self.mesh.poll_event().is_some() {}
            while self.mesh.poll_action().is_some() {}
            self.mesh.poll_timeout();
        }
        self.told = count;
        cpu() - started
    }
}
