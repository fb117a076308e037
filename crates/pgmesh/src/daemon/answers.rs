//! Answers questions, inside the loop. Those that change the mesh become inputs,
//! once it is clear that they make sense: the mesh itself ignores what does not.

use std::time::Duration;

use pgmesh_mesh::{Input, Member, State, Time};
use pgmesh_name::NodeName;

use super::run_loop::Daemon;
use crate::api::refusal::Refusal;
use crate::api::shapes::Matrix;
use crate::api::{Connection, Question, Readiness};

impl Daemon {
    pub(super) fn answer(&mut self, now: Time, question: Question) {
        // Whoever asked may have gone.
        match question {
            Question::Status(answer) => drop(answer.send(self.view.status(now, &self.mesh))),
            Question::Members(answer) => drop(answer.send(self.view.members(now, &self.mesh))),
            Question::Metrics(answer) => drop(answer.send(self.scrape(now))),
            Question::Matrix(answer) => drop(answer.send(Matrix::from(self.mesh.matrix()))),
            Question::Ready { postgres, answer } => {
                drop(answer.send(Readiness(self.view.ready(postgres))));
            }
            Question::Events { last, answer } => drop(answer.send(self.stream.reader(last))),
            Question::Connection { a, b, answer } => drop(answer.send(self.connection(&a, &b))),
            Question::Connect { a, b, answer } => drop(answer.send(self.connect(now, &a, &b))),
            Question::Disconnect { node, hold, answer } => {
                drop(answer.send(self.hold(now, node, hold)));
            }
            Question::Forget { node, answer } => drop(answer.send(self.forget(now, node))),
        }
    }

    fn connection(&self, a: &NodeName, b: &NodeName) -> Connection {
        if self.mesh.are_connected(a, b) {
            Connection::Stands
        } else if self.is_up(a) && self.is_up(b) {
            Connection::Missing
        } else {
            Connection::NotLinked
        }
    }

    fn is_up(&self, name: &NodeName) -> bool {
        self.mesh.member(name).is_some_and(is_up)
    }

    fn connect(&mut self, now: Time, a: &NodeName, b: &NodeName) -> Result<Connection, Refusal> {
        if a == b {
            return Err(Refusal::SameNode(a.clone()));
        }
        self.may_be_connected(a)?;
        self.may_be_connected(b)?;
        let is_held = |name| self.mesh.member(name).is_some_and(Member::is_held);
        // Who is connected already need not be told so.
        if is_held(a) || is_held(b) || self.connection(a, b) != Connection::Stands {
            tracing::info!(node = %a, peer = %b, "asked to connect {a} and {b}");
            let (a, b) = (a.clone(), b.clone());
            self.mesh.handle(now, Input::Release { a, b });
        }
        Ok(self.connection(a, b))
    }

    fn hold(&mut self, now: Time, name: NodeName, hold: Option<Duration>) -> Result<(), Refusal> {
        let member = self.visible(&name)?;
        // Its name would become an atom on every node that is told.
        if member.peer().is_none() {
            return Err(not_linked(name, member));
        }
        tracing::info!(node = %name, "asked to disconnect {name}");
        let until = hold.map(|hold| now + hold);
        self.mesh.handle(now, Input::Hold { name, until });
        Ok(())
    }

    fn forget(&mut self, now: Time, name: NodeName) -> Result<(), Refusal> {
        if is_up(self.known(&name)?) {
            return Err(Refusal::StillLinked(name));
        }
        if self.mesh.is_configured(&name) {
            return Err(Refusal::Configured(name));
        }
        tracing::info!(node = %name, "asked to forget {name}");
        self.mesh.handle(now, Input::Forget(name));
        Ok(())
    }

    fn known(&self, name: &NodeName) -> Result<&Member, Refusal> {
        if name == self.view.own_name() {
            return Err(Refusal::OwnNode(name.clone()));
        }
        let member = self.mesh.member(name);
        member.ok_or_else(|| Refusal::UnknownNode(name.clone()))
    }

    fn visible(&self, name: &NodeName) -> Result<&Member, Refusal> {
        let member = self.known(name)?;
        if member.is_hidden() {
            return Err(Refusal::HiddenNode(name.clone()));
        }
        Ok(member)
    }

    /// A node that is held has no link, and gets one when the hold ends.
    fn may_be_connected(&self, name: &NodeName) -> Result<(), Refusal> {
        let member = self.visible(name)?;
        if !self.view.allows(name) {
            return Err(Refusal::NotAllowed(name.clone()));
        }
        if !is_up(member) && !member.is_held() {
            return Err(not_linked(name.clone(), member));
        }
        Ok(())
    }
}

fn is_up(member: &Member) -> bool {
    matches!(member.state(), State::Up(_))
}

fn not_linked(name: NodeName, member: &Member) -> Refusal {
    let state = member.state().as_str();
    let why = match member.failure() {
        Some(failure) => format!("{state}, {}", failure.message),
        None => format!("{state} (see pgmesh members)"),
    };
    Refusal::NotLinked(name, why)
}
