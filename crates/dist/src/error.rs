//! What can go wrong, in one closed set of kinds.

use std::fmt;
use std::net::SocketAddr;

use pgmesh_name::NodeName;

use crate::epmd;

/// Why a dial, a handshake or a link ended: the label in logs, `members` and
/// metrics. The set is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The host part has no address.
    HostUnknown,
    /// The address is not allowed to be dialled.
    AddressNotAllowed,
    /// EPMD of that host refuses connections or talks nonsense.
    EpmdUnreachable,
    /// EPMD does not know the name: the node is not running.
    NameUnknown,
    /// Nothing listens on the node's port.
    Refused,
    /// No answer within the set-up time-out.
    Timeout(Step),
    /// The peer does not accept our digest.
    CookieRejectedByPeer,
    /// We do not accept the peer's digest.
    CookieRejectedByUs,
    /// The peer answered `not_allowed`.
    NotAllowed,
    /// Another node than the dialled one answered.
    NameMismatch,
    /// The peer carries our own name.
    OwnName,
    /// One of the two has a long name, the other a short one.
    LongShortNames,
    /// The peer lacks distribution flags that we need.
    Flags,
    /// The peer is a hidden node, and we were not to link to those.
    NotPublic,
    /// Both sides dialled; the peer refused this attempt, and its own brought no
    /// link.
    Simultaneous,
    /// This attempt gave way to another that brought no link.
    Superseded,
    /// The peer holds on to a link that we gave up for another.
    AlreadyLinked,
    /// What the peer sent is no handshake, or no frame.
    Malformed,
    /// The peer speaks TLS (`-proto_dist inet_tls`), and we do not.
    SpeaksTls,
    /// We speak TLS, and the peer does not.
    SpeaksPlain,
    /// A certificate has expired, or is not valid yet.
    TlsExpired,
    /// The peer's certificate is for another host.
    TlsWrongHost,
    /// A certificate was signed by nobody whom the other side knows.
    TlsUnknownAuthority,
    /// One side shows no certificate, and the other demands one.
    TlsNoCertificate,
    /// The peer does not take our certificate, for reasons of its own.
    TlsCertificateRejected,
    /// Our own certificate, key or authorities cannot be used.
    TlsFiles,
    /// TLS failed otherwise.
    Tls,
    /// The peer closed the connection.
    ClosedByPeer,
    /// We closed it.
    ClosedByUs,
    /// A newer link of the same name took its place.
    Replaced,
    /// Nothing was heard for the tick time.
    TickTimeout,
    /// A frame was longer than `--max-frame`.
    FrameTooLarge,
    /// The peer reads more slowly than we must send.
    QueueFull,
    /// The operating system said so.
    Io,
}

/// A step of setting up a link that can time out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Looking up the host.
    Resolve,
    /// Asking EPMD for the port.
    Epmd,
    /// Opening the connection.
    Connect,
    /// Setting up TLS.
    Tls,
    /// Waiting for the dialler's name.
    Name,
    /// Waiting for the status.
    Status,
    /// Waiting for the challenge.
    Challenge,
    /// Waiting for the reply to our challenge.
    ChallengeReply,
    /// Waiting for the acknowledgement of our digest.
    ChallengeAck,
}

impl Step {
    fn timeout_kind(self) -> &'static str {
        match self {
            Self::Resolve => "timeout_at_resolve",
            Self::Epmd => "timeout_at_epmd",
            Self::Connect => "timeout_at_connect",
            Self::Tls => "timeout_at_tls",
            Self::Name => "timeout_at_name",
            Self::Status => "timeout_at_status",
            Self::Challenge => "timeout_at_challenge",
            Self::ChallengeReply => "timeout_at_challenge_reply",
            Self::ChallengeAck => "timeout_at_challenge_ack",
        }
    }
}

impl FailureKind {
    /// Every kind, for tables.
    pub const ALL: [Self; 42] = [
        Self::HostUnknown,
        Self::AddressNotAllowed,
        Self::EpmdUnreachable,
        Self::NameUnknown,
        Self::Refused,
        Self::Timeout(Step::Resolve),
        Self::Timeout(Step::Epmd),
        Self::Timeout(Step::Connect),
        Self::Timeout(Step::Tls),
        Self::Timeout(Step::Name),
        Self::Timeout(Step::Status),
        Self::Timeout(Step::Challenge),
        Self::Timeout(Step::ChallengeReply),
        Self::Timeout(Step::ChallengeAck),
        Self::CookieRejectedByPeer,
        Self::CookieRejectedByUs,
        Self::NotAllowed,
        Self::NameMismatch,
        Self::OwnName,
        Self::LongShortNames,
        Self::Flags,
        Self::NotPublic,
        Self::Simultaneous,
        Self::Superseded,
        Self::AlreadyLinked,
        Self::Malformed,
        Self::SpeaksTls,
        Self::SpeaksPlain,
        Self::TlsExpired,
        Self::TlsWrongHost,
        Self::TlsUnknownAuthority,
        Self::TlsNoCertificate,
        Self::TlsCertificateRejected,
        Self::TlsFiles,
        Self::Tls,
        Self::ClosedByPeer,
        Self::ClosedByUs,
        Self::Replaced,
        Self::TickTimeout,
        Self::FrameTooLarge,
        Self::QueueFull,
        Self::Io,
    ];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostUnknown => "host_unknown",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::EpmdUnreachable => "epmd_unreachable",
            Self::NameUnknown => "name_unknown",
            Self::Refused => "refused",
            Self::Timeout(step) => step.timeout_kind(),
            Self::CookieRejectedByPeer => "cookie_rejected_by_peer",
            Self::CookieRejectedByUs => "cookie_rejected_by_us",
            Self::NotAllowed => "not_allowed",
            Self::NameMismatch => "name_mismatch",
            Self::OwnName => "own_name",
            Self::LongShortNames => "long_short_names",
            Self::Flags => "flags",
            Self::NotPublic => "not_public",
            Self::Simultaneous => "simultaneous",
            Self::Superseded => "superseded",
            Self::AlreadyLinked => "already_linked",
            Self::Malformed => "malformed",
            Self::SpeaksTls => "speaks_tls",
            Self::SpeaksPlain => "speaks_plain",
            Self::TlsExpired => "tls_expired",
            Self::TlsWrongHost => "tls_wrong_host",
            Self::TlsUnknownAuthority => "tls_unknown_authority",
            Self::TlsNoCertificate => "tls_no_certificate",
            Self::TlsCertificateRejected => "tls_certificate_rejected",
            Self::TlsFiles => "tls_files",
            Self::Tls => "tls",
            Self::ClosedByPeer => "closed_by_peer",
            Self::ClosedByUs => "closed_by_us",
            Self::Replaced => "replaced",
            Self::TickTimeout => "tick_timeout",
            Self::FrameTooLarge => "frame_too_large",
            Self::QueueFull => "queue_full",
            Self::Io => "io",
        }
    }

    /// Whether the same attempt may succeed later without anybody changing
    /// anything.
    pub fn is_retryable(self) -> bool {
        !matches!(
            self,
            Self::AddressNotAllowed
                | Self::CookieRejectedByPeer
                | Self::CookieRejectedByUs
                | Self::NotAllowed
                | Self::NameMismatch
                | Self::OwnName
                | Self::LongShortNames
                | Self::Flags
                | Self::SpeaksTls
                | Self::SpeaksPlain
                | Self::TlsExpired
                | Self::TlsWrongHost
                | Self::TlsUnknownAuthority
                | Self::TlsNoCertificate
                | Self::TlsCertificateRejected
                | Self::TlsFiles
                | Self::NotPublic
                | Self::FrameTooLarge
        )
    }

    /// What a person may do about it, where that is known.
    pub fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::HostUnknown => "check DNS and /etc/hosts here",
            Self::AddressNotAllowed => "add its network with --allow if it is yours",
            Self::EpmdUnreachable => epmd::UNREACHABLE_REMEDY,
            Self::NameUnknown => "is the node running there?",
            Self::Refused => "is its distribution port open to us?",
            Self::Timeout(Step::Resolve) => "check DNS here",
            Self::Timeout(Step::Epmd) => "is its EPMD port, 4369 by default, open to us?",
            Self::Timeout(Step::Connect) => "is its distribution port open to us?",
            Self::Timeout(Step::Tls) => "does the peer speak TLS?",
            Self::Timeout(_) => "the node is busy or frozen, or it is no node that listens there",
            Self::CookieRejectedByPeer | Self::CookieRejectedByUs => "check --cookie-file",
            Self::NotAllowed => {
                "its log says why: net_kernel:allow/1, or flags that its OTP release demands"
            }
            Self::NameMismatch => {
                "its port belongs to another node: a stale entry in EPMD, DNS or --peers"
            }
            Self::OwnName => "give one of the two another --name",
            Self::LongShortNames => {
                "all nodes need one form: a dot or an address after '@' in all names, or in none"
            }
            Self::Flags => "its OTP release is older than 23",
            Self::SpeaksTls => "it runs with -proto_dist inet_tls: give --tls-optfile here",
            Self::SpeaksPlain => "give that node -proto_dist inet_tls, or no --tls-* here",
            Self::TlsExpired => "renew the certificate, and check both clocks",
            Self::TlsWrongHost => "its certificate must name the host after the '@'",
            Self::TlsUnknownAuthority => {
                "give both sides the authority that signed the other's certificate"
            }
            Self::TlsNoCertificate => {
                "give the side that dials a certificate, or do not demand one"
            }
            Self::TlsCertificateRejected => "the peer's log says why",
            Self::TlsFiles => TLS_FILE_REMEDY,
            Self::FrameTooLarge => "raise --max-frame if such messages are meant for us",
            Self::TickTimeout => "host or network is gone, or its net_ticktime is longer",
            _ => return None,
        })
    }
}

/// ` (remedy)`, or nothing.
struct Remedy(FailureKind);

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.remedy() {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}

/// A dial that ended without a link.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot dial {peer}: {detail}{}", Remedy(*.kind))]
pub struct ConnectError {
    peer: NodeName,
    kind: FailureKind,
    detail: String,
}

impl ConnectError {
    pub(crate) fn new(peer: &NodeName, failure: Failure) -> Self {
        Self {
            peer: peer.clone(),
            kind: failure.kind,
            detail: failure.detail,
        }
    }

    /// Which kind of failure it was.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// What happened, without the peer's name before it and the remedy behind it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether dialling again can help by itself.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

/// A probe that did not learn who listens there.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot ask {address} for its name: {detail}{}", Remedy(*.kind))]
pub struct ProbeError {
    address: SocketAddr,
    kind: FailureKind,
    detail: String,
}

impl ProbeError {
    pub(crate) fn new(address: SocketAddr, failure: Failure) -> Self {
        Self {
            address,
            kind: failure.kind,
            detail: failure.detail,
        }
    }

    /// Which kind of failure it was.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Whether asking again can help by itself.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

/// A link that ended.
#[derive(Clone, Debug, thiserror::Error)]
#[error("lost {peer}: {detail}{}", Remedy(*.kind))]
pub struct LinkError {
    peer: NodeName,
    kind: FailureKind,
    detail: String,
}

impl LinkError {
    pub(crate) fn new(peer: NodeName, failure: Failure) -> Self {
        Self {
            peer,
            kind: failure.kind,
            detail: failure.detail,
        }
    }

    /// Which kind of failure it was.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Whether the link can come back by itself.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

const LISTEN_REMEDY: &str = "choose another --listen";
const TLS_FILE_REMEDY: &str = "give PEM files that this user may read";
const NAME_TAKEN_REMEDY: &str = "is another node or pgmesh running under it? choose another --name";

/// A node that could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The listening address is not to be had.
    #[error("cannot listen on {address}: {cause} ({})", LISTEN_REMEDY)]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// Somebody else holds our name at EPMD.
    #[error(
        "the name {0} is taken: EPMD on this host has it already ({remedy})",
        remedy = NAME_TAKEN_REMEDY
    )]
    NameTaken(NodeName),
    /// A file of [`TlsConfig`](crate::TlsConfig) cannot be used.
    #[error("cannot use TLS between nodes: {0} ({TLS_FILE_REMEDY})")]
    Tls(#[from] crate::TlsFileError),
}

impl StartError {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "listen",
            Self::NameTaken(_) => "name_taken",
            Self::Tls(_) => "tls_files",
        }
    }

    /// What a person may do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Listen { .. } => LISTEN_REMEDY,
            Self::NameTaken(_) => NAME_TAKEN_REMEDY,
            Self::Tls(_) => TLS_FILE_REMEDY,
        }
    }

    /// Whether starting again can help by itself.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NameTaken(_))
    }
}

/// A call that brought no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There is no link to that node.
    #[error("cannot call {0}: no link to it (dial it first)")]
    NotLinked(NodeName),
    /// The link went away before the answer.
    #[error("cannot call {0}: the link went away before the answer")]
    LinkLost(NodeName),
    /// No answer in time; the call may still run there.
    #[error("cannot call {0}: no answer in time (the call may still run there)")]
    Timeout(NodeName),
    /// The answer has terms that we do not read.
    #[error("cannot call {peer}: its answer is unreadable: {cause}")]
    Unreadable {
        /// Who answered.
        peer: NodeName,
        /// What is wrong with it.
        cause: crate::terms::TermError,
    },
    /// The answer is larger than the call allows.
    #[error("cannot call {peer}: its answer has {bytes} bytes, more than allowed")]
    AnswerTooLarge {
        /// Who answered.
        peer: NodeName,
        /// How large it is.
        bytes: usize,
    },
    /// The function ended with an exception, or rex refused to call it.
    #[error("cannot call {peer}: the call failed there: {reason}")]
    Failed {
        /// Who answered.
        peer: NodeName,
        /// The reason as Erlang prints it, cut short.
        reason: String,
    },
    /// The process that was called is not there (`noproc`), or ended before it replied.
    #[error("cannot call a process of {peer}: it is not there or has ended: {reason}")]
    Down {
        /// Its node.
        peer: NodeName,
        /// The reason as Erlang prints it, cut short.
        reason: String,
    },
    /// The call could not be sent.
    #[error(transparent)]
    Send(#[from] crate::SendError),
    /// The answer is none that the called function gives.
    #[error("cannot call {0}: it gave another answer than that function does")]
    Unexpected(NodeName),
    /// An argument does not fit into the term format.
    #[error("cannot call {0}: an argument does not fit into the external term format")]
    Unencodable(NodeName),
}

impl CallError {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotLinked(_) => "not_linked",
            Self::LinkLost(_) => "link_lost",
            Self::Timeout(_) => "timeout",
            Self::Unreadable { .. } => "unreadable",
            Self::AnswerTooLarge { .. } => "answer_too_large",
            Self::Failed { .. } => "failed",
            Self::Down { .. } => "down",
            Self::Send(error) => error.kind(),
            Self::Unexpected(_) => "unexpected",
            Self::Unencodable(_) => "unencodable",
        }
    }

    /// Whether calling again can help by itself.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotLinked(_) | Self::LinkLost(_) | Self::Timeout(_) => true,
            Self::Send(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// What happened at one step, before it is known to whom.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    pub(crate) fn timeout(step: Step) -> Self {
        let waited_for = match step {
            Step::Resolve => "no answer from DNS in time",
            Step::Epmd => "no answer from its EPMD in time",
            Step::Tls => "no TLS in time",
            Step::Connect => "no connection in time",
            Step::Name => "no name in time",
            Step::Status => "no status in time",
            Step::Challenge => "no challenge in time",
            Step::ChallengeReply => "no challenge reply in time",
            Step::ChallengeAck => "no challenge acknowledgement in time",
        };
        Self::new(FailureKind::Timeout(step), waited_for)
    }

    pub(crate) fn io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        if let Some(failure) = crate::tls::failure_of_stream(error) {
            return failure;
        }
        match error.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => Self::closed_by_peer(),
            ErrorKind::ConnectionRefused => Self::new(FailureKind::Refused, "connection refused"),
            _ => Self::new(FailureKind::Io, error.to_string()),
        }
    }

    pub(crate) fn closed_by_peer() -> Self {
        Self::new(FailureKind::ClosedByPeer, "connection closed by peer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_on_what_can_go_wrong_has_every_kind() {
        let page = include_str!("../../../docs/TROUBLESHOOTING.md");
        let rows: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        for kind in FailureKind::ALL {
            let label = format!("`{}`", kind.as_str());
            let shown = rows.iter().any(|row| row.contains(&label));
            assert!(shown, "docs/TROUBLESHOOTING.md has no row for {label}");
        }
    }
}
