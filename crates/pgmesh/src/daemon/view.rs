//! What the daemon shows of itself: status, members, readiness.

use std::collections::HashMap;
use std::net::SocketAddr;

use pgmesh_discovery::PostgresError;
use pgmesh_dist::{Direction, LinkId, PeerInfo};
use pgmesh_mesh::{AnnounceScope, IntroduceScope, JoinScope, Mesh, State, Time};
use pgmesh_name::NodeName;

use super::news::News;
use super::postgres_view::{PostgresState, PostgresView};
use crate::api::shapes::{Counts, Epmd, Error, Member, Postgres, Scopes, Status, seconds};
use crate::settings::{Change, Database, EpmdMode, RunSettings, Warning};

/// What the mesh does not know: the edges' own state.
pub(super) struct View {
    settings: RunSettings,
    creation: u32,
    postgres: PostgresView,
    epmd_registered: bool,
    links: HashMap<NodeName, LinkView>,
    reached: Reached,
    stopping: bool,
}

struct LinkView {
    link: LinkId,
    direction: Direction,
    otp: Option<String>,
}

/// What has to be reached once to be ready; never taken back.
#[derive(Default)]
struct Reached {
    epmd: bool,
    echo: bool,
    cluster: bool,
}

impl View {
    pub(super) fn new(settings: RunSettings, creation: u32) -> Self {
        let reached = Reached {
            // There is nobody to have us.
            epmd: settings.epmd == EpmdMode::None,
            ..Reached::default()
        };
        Self {
            postgres: PostgresView::new(settings.database.is_some()),
            settings,
            creation,
            epmd_registered: false,
            links: HashMap::new(),
            reached,
            stopping: false,
        }
    }

    pub(super) fn settings(&self) -> &RunSettings {
        &self.settings
    }

    /// Takes over what of other settings can change while we run.
    pub(super) fn reconfigure(&mut self, new: RunSettings) -> Vec<Change> {
        self.settings.take_over(new)
    }

    /// Whether the settings let us have anything to do with this name.
    pub(super) fn allows(&self, name: &NodeName) -> bool {
        self.settings.allow.allows_name(name)
    }

    pub(super) fn own_name(&self) -> &NodeName {
        &self.settings.name
    }

    pub(super) fn introduces(&self) -> IntroduceScope {
        self.settings.introduce
    }

    pub(super) fn introduces_all(&self) -> bool {
        self.settings.introduce == IntroduceScope::All
    }

    /// Whether it matters who else lives on this host, and somebody knows.
    pub(super) fn wants_local_names(&self) -> bool {
        self.settings.epmd != EpmdMode::None && self.minds_local_names()
    }

    fn minds_local_names(&self) -> bool {
        self.settings.announce == AnnounceScope::Local
            || self.settings.join == JoinScope::Local
            || self.settings.introduce == IntroduceScope::Local
    }

    pub(super) fn epmd_address(&self) -> SocketAddr {
        SocketAddr::new(self.settings.epmd_host, self.settings.epmd_port)
    }

    pub(super) fn own_alive(&self) -> String {
        self.settings.name.alive().to_owned()
    }

    /// `true` if it takes the place of an older one.
    pub(super) fn link_up(&mut self, peer: &PeerInfo, link: LinkId) -> bool {
        let view = LinkView {
            link,
            direction: peer.direction,
            otp: None,
        };
        self.links.insert(peer.name.clone(), view).is_some()
    }

    pub(super) fn link_down(&mut self, name: &NodeName, link: LinkId) {
        if self.links.get(name).is_some_and(|view| view.link == link) {
            self.links.remove(name);
        }
    }

    pub(super) fn otp_known(&mut self, name: &NodeName, link: LinkId, release: String) {
        if let Some(view) = self.links.get_mut(name).filter(|view| view.link == link) {
            view.otp = Some(release);
        }
    }

    pub(super) fn epmd_up(&mut self) -> News {
        self.epmd_registered = true;
        self.reached.epmd = true;
        let news = News::info("epmd", "registered with EPMD").state("registered");
        news.node(&self.settings.name)
    }

    pub(super) fn epmd_down(&mut self) -> News {
        self.epmd_registered = false;
        let message = "EPMD is gone; registering again when it is back";
        let news = News::warn("epmd", message).state("gone");
        news.node(&self.settings.name)
    }

    /// What came of `auto`.
    pub(super) fn epmd_is(&mut self, mode: EpmdMode) {
        self.settings.epmd = mode;
    }

    pub(super) fn postgres_up(&mut self) {
        self.postgres.up();
    }

    pub(super) fn postgres_down(&mut self, error: &PostgresError) -> Option<News> {
        let news = self.postgres.down(error)?;
        Some(news.node(&self.settings.name))
    }

    pub(super) fn postgres_ended(&mut self) -> News {
        self.postgres.ended().node(&self.settings.name)
    }

    pub(super) fn echo_heard(&mut self) -> Option<News> {
        self.reached.echo = true;
        let news = self.postgres.echo()?;
        Some(news.node(&self.settings.name))
    }

    pub(super) fn bad_payload(&mut self, kind: &'static str) {
        self.postgres.bad_payload(kind);
    }

    pub(super) fn leads(&self) -> News {
        let message = "we lead: lost edges are healed at once";
        News::info("postgres", message).node(&self.settings.name)
    }

    pub(super) fn note_cluster(&mut self, mesh: &Mesh) {
        if !self.reached.cluster {
            self.reached.cluster = mesh.counts().up >= self.settings.min_cluster;
        }
    }

    /// From now on we are not ready.
    pub(super) fn stopping(&mut self) {
        self.stopping = true;
    }

    pub(super) fn ready(&self, with_postgres: bool) -> Result<(), &'static str> {
        let listening = self.postgres.state() == PostgresState::Listening;
        if self.stopping {
            Err("stopping")
        } else if !self.reached.epmd {
            Err("not registered with EPMD yet")
        } else if self.settings.database.is_some() && !self.reached.echo {
            Err("Postgres has not been heard yet")
        } else if !self.reached.cluster {
            Err("fewer nodes linked than --min-cluster")
        } else if with_postgres && !listening {
            Err("Postgres is not heard now")
        } else {
            Ok(())
        }
    }

    pub(super) fn postgres(&self) -> &PostgresView {
        &self.postgres
    }

    /// `None` if there is no EPMD to have us.
    pub(super) fn is_registered(&self) -> Option<bool> {
        (self.settings.epmd != EpmdMode::None).then_some(self.epmd_registered)
    }

    /// Who dialled, for each link that is up.
    pub(super) fn directions(&self) -> impl Iterator<Item = Direction> {
        self.links.values().map(|link| link.direction)
    }

    pub(super) fn status(&self, now: Time, mesh: &Mesh) -> Status {
        let (counts, pairs) = (mesh.counts(), mesh.pair_counts());
        let database = self.settings.database.as_ref();
        let ready = self.ready(false);
        Status {
            node: self.settings.name.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            creation: self.creation,
            uptime_s: ago(now, Time::ZERO),
            frozen: mesh.is_frozen(),
            ready: ready.is_ok(),
            not_ready_because: ready.err().map(str::to_owned),
            scopes: Scopes {
                join: self.settings.join.as_str().to_owned(),
                announce: self.settings.announce.as_str().to_owned(),
                introduce: self.settings.introduce.as_str().to_owned(),
            },
            leader: mesh.leads(),
            postgres: Postgres {
                state: self.postgres.state().as_str().to_owned(),
                channel: database.and_then(Database::shown_channel),
                channel_from_cookie: database.is_some_and(|d| d.channel_from_cookie),
                last_echo_s: mesh.last_echo_at().map(|at| ago(now, at)),
                bad_payloads: self.postgres.bad_payloads().iter().map(owned).collect(),
                error: self.postgres.error().cloned(),
            },
            epmd: Epmd {
                mode: self.settings.epmd.as_str().to_owned(),
                registered: self.epmd_registered,
            },
            counts: Counts {
                heard: counts.heard,
                dialing: counts.dialing,
                up: counts.up,
                down: counts.down,
                refused: counts.refused,
                left: counts.left,
                held: counts.held,
                hidden: counts.hidden,
                missing: pairs.missing,
                one_way: pairs.one_way,
                unknown: pairs.unknown,
                excluded: pairs.excluded,
            },
            warnings: self.settings.warnings.iter().map(shown).collect(),
        }
    }

    pub(super) fn members(&self, now: Time, mesh: &Mesh) -> Vec<Member> {
        let member = |(name, member)| self.member(now, name, member, mesh);
        mesh.members().map(member).collect()
    }

    fn member(
        &self,
        now: Time,
        name: &NodeName,
        member: &pgmesh_mesh::Member,
        mesh: &Mesh,
    ) -> Member {
        let link = self.links.get(name);
        let is_up = matches!(member.state(), State::Up(_));
        Member {
            node: name.to_string(),
            state: member.state().as_str().to_owned(),
            hidden: member.is_hidden(),
            local: mesh.is_local(name),
            since_s: ago(now, member.since()),
            creation: member.peer().map(|peer| peer.creation),
            otp: link.and_then(|link| link.otp.clone()),
            direction: link
                .filter(|_| is_up)
                .map(|link| link.direction.as_str().to_owned()),
            last_heard_s: member.last_heard_at().map(|at| ago(now, at)),
            attempts: member.attempts(),
            error: member.failure().filter(|_| !is_up).map(|failure| Error {
                kind: failure.kind.to_owned(),
                message: failure.message.clone(),
            }),
        }
    }
}

fn shown(warning: &Warning) -> Error {
    Error {
        kind: warning.kind.to_owned(),
        message: warning.message.clone(),
    }
}

fn owned((kind, count): (&&'static str, &u64)) -> (String, u64) {
    ((*kind).to_owned(), *count)
}

/// How long ago.
fn ago(now: Time, at: Time) -> f64 {
    seconds(now.since(at))
}
