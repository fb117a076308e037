//! Dials and links between daemons and nodes.

use std::time::Duration;

use pgmesh_mesh::{DialId, Failure, Input, LinkId, Peer, Retry};
use pgmesh_name::NodeName;

use super::super::{SETUP_TIMEOUT, TICK_TIMEOUT};
use super::{Answer, Happening, World};

impl World {
    pub(super) fn cut(&mut self, daemon: usize, node: usize) {
        self.cuts.insert((daemon, node));
        let name = self.beams[node].name.clone();
        self.lose_link(daemon, &name, TICK_TIMEOUT);
    }

    pub(super) fn refuse(&mut self, node: usize) {
        self.refusing.insert(node);
        self.lose_all_links(node);
    }

    pub(super) fn lose_all_links(&mut self, node: usize) {
        let name = self.beams[node].name.clone();
        for daemon in 0..self.daemons.len() {
            let cut = self.cuts.contains(&(daemon, node));
            let notice = if cut { TICK_TIMEOUT } else { self.latency() };
            self.lose_link(daemon, &name, notice);
        }
    }

    pub(super) fn lose_link(&mut self, daemon: usize, name: &NodeName, notice: Duration) {
        let at = self.now + notice;
        let Some(running) = &self.daemons[daemon] else {
            return;
        };
        if let Some(&link) = running.links.get(name) {
            let (life, name) = (running.life, name.clone());
            let lost = Happening::LinkLost {
                daemon,
                life,
                name,
                link,
            };
            self.queue.plan(at, lost);
        }
    }

    pub(super) fn link_lost(&mut self, daemon: usize, life: u32, name: NodeName, link: LinkId) {
        if self.life(daemon) == Some(life) {
            let failure = failure("closed_by_peer", Retry::Soon);
            self.feed(
                daemon,
                Input::LinkDown {
                    name,
                    link,
                    failure,
                },
            );
        }
    }

    pub(super) fn plan_beam_dials(&mut self, daemon: usize) {
        if !self.postgres_up {
            return;
        }
        for node in 0..self.setup.speaking {
            let at = self.now + self.latency() * 3;
            self.queue.plan(at, Happening::BeamDials { node, daemon });
        }
    }

    pub(super) fn beam_dials(&mut self, node: usize, daemon: usize) {
        let beam = &self.beams[node];
        let running = self.daemons[daemon].as_ref();
        let link = running.and_then(|d| d.links.get(&beam.name));
        // A new life knows nothing of its last one's link, and takes its place.
        let linked = link.is_some_and(|link| self.link_lives.get(link) == Some(&beam.life));
        let wrong_cookie = self.refusing.contains(&node);
        if running.is_some() && !linked && !wrong_cookie && self.reaches(daemon, node) {
            self.link_up(daemon, node);
        }
    }

    pub(super) fn plan_answer(&mut self, daemon: usize, name: NodeName, dial: DialId) {
        let Some(life) = self.life(daemon) else {
            return;
        };
        let node = self.numbers.get(&name).copied();
        let silent = match node {
            Some(node) => self.cuts.contains(&(daemon, node)),
            None => !self.is_daemon(&name),
        };
        let wait = if silent {
            SETUP_TIMEOUT
        } else {
            self.latency() * 4
        };
        let answer = Answer {
            daemon,
            life,
            name,
            dial,
            timed_out: silent,
        };
        self.queue.plan(self.now + wait, Happening::Answer(answer));
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        let Answer {
            daemon,
            life,
            name,
            dial,
            timed_out,
        } = answer;
        if self.life(daemon) != Some(life) {
            return;
        }
        let node = self.numbers.get(&name).copied();
        let reachable = node.filter(|node| !timed_out && self.reaches(daemon, *node));
        let refused = node.is_some_and(|node| self.refusing.contains(&node));
        let failure = match reachable {
            Some(_) if refused => failure("cookie_rejected_by_peer", Retry::Slowly),
            Some(node) => {
                // A dial that was cancelled has no socket left to come up.
                let running = self.daemons[daemon].as_ref();
                if running.is_some_and(|d| d.is_dialing(dial)) {
                    self.link_up(daemon, node);
                }
                return;
            }
            None if timed_out => failure("timeout_at_epmd", Retry::Soon),
            None if self.is_daemon(&name) => failure("not_public", Retry::NotOurs),
            None => failure("name_unknown", Retry::Soon),
        };
        let failed = Input::DialFailed {
            name,
            dial,
            failure,
        };
        self.feed(daemon, failed);
    }

    fn link_up(&mut self, daemon: usize, node: usize) {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let beam = &self.beams[node];
        self.link_lives.insert(link, beam.life);
        let peer = Peer {
            name: beam.name.clone(),
            creation: beam.life,
            hidden: false,
        };
        self.feed(daemon, Input::LinkUp { peer, link });
    }

    pub(super) fn reaches(&self, daemon: usize, node: usize) -> bool {
        self.beams[node].alive && !self.cuts.contains(&(daemon, node))
    }
}

fn failure(kind: &'static str, retry: Retry) -> Failure {
    Failure {
        kind,
        message: kind.to_owned(),
        retry,
    }
}
