//! With TLS or without, and what is tried when the first does not work.

use crate::PostgresErrorKind;
use crate::conninfo::{Place, SslMode};

/// One way of talking to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// In the clear.
    None,
    /// TLS if the server has it.
    IfOffered,
    /// TLS or nothing.
    Required,
}

/// The ways to try, in order, as libpq does ("SSL Mode Descriptions"). Unix sockets
/// have no TLS.
pub(super) fn ways(mode: SslMode, place: &Place) -> &'static [Encryption] {
    match (place, mode) {
        (Place::Unix(_), _) | (_, SslMode::Disable) => &[Encryption::None],
        (_, SslMode::Allow) => &[Encryption::None, Encryption::Required],
        (_, SslMode::Prefer) => &[Encryption::IfOffered, Encryption::None],
        (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => &[Encryption::Required],
    }
}

/// Whether the other way may do better: the server refused this one, or TLS came
/// to nothing. A server that cannot be reached is no better reached the other way.
pub(super) fn other_way_may_help(kind: PostgresErrorKind, said_by_server: bool) -> bool {
    use PostgresErrorKind::{ClientCertificate, Tls, TlsCertificate, TlsFiles};
    let tls_failed = matches!(kind, ClientCertificate | Tls | TlsCertificate | TlsFiles);
    said_by_server || tls_failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_never_encrypted() {
        let socket = Place::Unix("/tmp".into());
        assert_eq!(ways(SslMode::VerifyFull, &socket), [Encryption::None]);
    }

    #[test]
    fn weak_modes_have_a_second_way() {
        let host = Place::Tcp {
            host: "h".to_owned(),
            address: None,
        };
        let count = |mode| ways(mode, &host).len();
        assert_eq!((count(SslMode::Allow), count(SslMode::Prefer)), (2, 2));
        assert_eq!((count(SslMode::Require), count(SslMode::Disable)), (1, 1));
    }
}
