//! What is done to the cluster, by plan or by chance.

use std::time::Duration;

use pgmesh_mesh::{Input, IntroduceScope, Time};

use super::super::op::Op;
use super::World;

impl World {
    /// Plans faults at random times before `end`, and their ends.
    pub fn plan_faults(&mut self, count: usize, end: Duration) {
        for _ in 0..count {
            let start = self.random_time(end);
            let stop = start + self.rng_duration(Duration::from_secs(90));
            let node = self.rng.usize(..self.beams.len());
            let daemon = self.rng.usize(..self.daemons.len());
            let other = self.rng.usize(..self.beams.len());
            let (fault, mend) = match self.rng.u8(..self.kinds_of_faults()) {
                0 => (Op::Crash(node), Op::Restart(node)),
                1 => (Op::Cut(daemon, node), Op::Join(daemon, node)),
                2 => (Op::StopPostgres, Op::StartPostgres),
                3 => (Op::KillDaemon(daemon), Op::StartDaemon(daemon)),
                4 => (Op::Refuse(node), Op::Relent(node)),
                5 => (Op::Deafen(daemon), Op::SaySilent(node)),
                7 => (Op::Disconnect(node, other), Op::Disconnect(other, node)),
                8 => (Op::CutNodes(node, other), Op::JoinNodes(node, other)),
                9 => (Op::StopGracefully(node), Op::Restart(node)),
                10 => (Op::KillEpmd(daemon), Op::StartEpmd(daemon)),
                11 => (Op::Hold(daemon, node), Op::Release(daemon, node)),
                12 => (Op::Narrow(daemon), Op::Widen(daemon)),
                13 => (Op::SayGoodbye(node), Op::SayGoodbye(other)),
                _ => (Op::SaySilent(node), Op::SaySilent(node + 1)),
            };
            self.plan(start, fault);
            self.plan(stop, mend);
        }
    }

    /// Without introductions only what concerns joining.
    fn kinds_of_faults(&self) -> u8 {
        match self.setup.introduce {
            IntroduceScope::None => 7,
            IntroduceScope::Local | IntroduceScope::All => 14,
        }
    }

    /// Cuts the cluster into two halves of nodes; daemons reach both.
    pub fn plan_split(&mut self, at: Time, until: Time) {
        let (half, all) = (self.beams.len() / 2, self.beams.len());
        for (a, b) in (0..half).flat_map(|a| (half..all).map(move |b| (a, b))) {
            self.plan(at, Op::CutNodes(a, b));
            self.plan(until, Op::JoinNodes(a, b));
        }
    }

    /// Mends everything, now.
    pub fn mend_all(&mut self) {
        self.apply(&Op::StartPostgres);
        self.fabric.join_all();
        self.without_epmd.clear();
        let (daemons, nodes) = (self.daemons.len(), self.beams.len());
        for (daemon, node) in (0..daemons).flat_map(|d| (0..nodes).map(move |n| (d, n))) {
            self.apply(&Op::Release(daemon, node));
        }
        self.cuts.clear();
        self.refusing.clear();
        for node in 0..self.beams.len() {
            self.apply(&Op::Restart(node));
        }
        for daemon in 0..self.daemons.len() {
            self.apply(&Op::StartDaemon(daemon));
            self.apply(&Op::Widen(daemon));
        }
    }

    pub(super) fn apply(&mut self, op: &Op) {
        match *op {
            Op::Crash(node) => self.crash(node),
            Op::Restart(node) => self.restart(node),
            Op::Cut(daemon, node) => self.cut(daemon, node),
            Op::Join(daemon, node) => {
                self.cuts.remove(&(daemon, node));
            }
            Op::StopPostgres => self.stop_postgres(),
            Op::StartPostgres => self.start_postgres(),
            Op::KillDaemon(daemon) => self.kill_daemon(daemon),
            Op::StartDaemon(daemon) => self.start_daemon(daemon),
            Op::Refuse(node) => self.refuse(node),
            Op::Relent(node) => {
                self.refusing.remove(&node);
            }
            Op::Deafen(daemon) => self.deafen(daemon),
            Op::Disconnect(a, b) => self.nodes_disconnect(a, b),
            Op::CutNodes(a, b) => self.cut_nodes(a, b),
            Op::JoinNodes(a, b) => self.fabric.join(a, b),
            Op::StopGracefully(node) => self.stop_gracefully(node),
            Op::KillEpmd(daemon) => {
                self.without_epmd.insert(daemon);
                self.feed(daemon, Input::EpmdDown);
            }
            Op::StartEpmd(daemon) => {
                if self.without_epmd.remove(&daemon) {
                    self.feed(daemon, Input::EpmdUp);
                }
            }
            Op::Hold(daemon, node) => {
                let (name, until) = (self.beams[node].name.clone(), None);
                self.feed(daemon, Input::Hold { name, until });
            }
            Op::Release(daemon, node) => {
                let name = self.beams[node].name.clone();
                let (a, b) = (name.clone(), name);
                self.feed(daemon, Input::Release { a, b });
            }
            Op::Narrow(daemon) => self.reconfigure(daemon, true),
            Op::Widen(daemon) => self.reconfigure(daemon, false),
            Op::Say(node) => {
                let name = self.beams[node].name.clone();
                self.say(&name);
            }
            Op::SayGoodbye(node) => {
                let name = self.beams[node].name.clone();
                self.say_goodbye(&name);
            }
            Op::SaySilent(number) => {
                let name = format!("silent{number}@10.1.0.{number}");
                self.say(&name.parse().unwrap());
            }
        }
    }
}
