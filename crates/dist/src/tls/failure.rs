//! Why there is no TLS connection, in words that say which file to look at.

use std::io;

use openssl::error::ErrorStack;
use openssl::ssl::{self, ErrorCode, SslRef};
use openssl::x509::X509VerifyResult;

use crate::error::{Failure, FailureKind};

// OpenSSL's x509_vfy.h.
const NOT_YET_VALID: i32 = 9;
const EXPIRED: i32 = 10;
const UNKNOWN_ISSUERS: [i32; 5] = [2, 18, 19, 20, 21];
const WRONG_HOSTS: [i32; 2] = [62, 64];

/// What peers tell us of why they hang up (RFC 8446, section 6.2), in OpenSSL's words.
const ALERTS: [(&str, FailureKind); 7] = [
    ("alert unknown ca", FailureKind::TlsUnknownAuthority),
    ("alert certificate expired", FailureKind::TlsExpired),
    ("alert certificate required", FailureKind::TlsNoCertificate),
    ("alert bad certificate", FailureKind::TlsCertificateRejected),
    (
        "alert unsupported certificate",
        FailureKind::TlsCertificateRejected,
    ),
    (
        "alert certificate unknown",
        FailureKind::TlsCertificateRejected,
    ),
    (
        "alert certificate revoked",
        FailureKind::TlsCertificateRejected,
    ),
];

/// OpenSSL cannot do what no file is to blame for.
pub(super) fn internal(error: &ErrorStack) -> Failure {
    Failure::new(FailureKind::Tls, reasons(error))
}

/// A handshake that failed.
pub(super) fn of_handshake(error: &ssl::Error, ssl: &SslRef) -> Failure {
    // Who does not verify has a result all the same.
    let verified = ssl.verify_result();
    if verified != X509VerifyResult::OK && said(error).contains("certificate verify failed") {
        let kind = of_verification(verified.as_raw());
        let detail = format!("the peer's certificate: {}", verified.error_string());
        return Failure::new(kind, detail);
    }
    match of_error(error) {
        Some(failure) => failure,
        // Only who accepts can miss one.
        None if is_no_certificate(error) => {
            let detail = "the peer has no certificate";
            Failure::new(FailureKind::TlsNoCertificate, detail)
        }
        None => Failure::new(FailureKind::Tls, said(error)),
    }
}

/// A failure within a stream of TLS: a peer that does not like our certificate says
/// so only after a handshake of TLS 1.3.
pub(crate) fn of_stream(error: &io::Error) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<ssl::Error>()?;
    Some(of_error(error).unwrap_or_else(|| Failure::new(FailureKind::Tls, said(error))))
}

fn of_verification(result: i32) -> FailureKind {
    match result {
        EXPIRED | NOT_YET_VALID => FailureKind::TlsExpired,
        result if UNKNOWN_ISSUERS.contains(&result) => FailureKind::TlsUnknownAuthority,
        result if WRONG_HOSTS.contains(&result) => FailureKind::TlsWrongHost,
        _ => FailureKind::Tls,
    }
}

/// What an alert of the peer, or its first bytes, say.
fn of_error(error: &ssl::Error) -> Option<Failure> {
    if let Some(cause) = error.io_error() {
        return Some(Failure::io(cause));
    }
    let said = said(error);
    let alert = ALERTS.iter().find(|(words, _)| said.contains(words));
    if let Some((_, kind)) = alert {
        let detail = format!("the peer does not take our certificate: {said}");
        return Some(Failure::new(*kind, detail));
    }
    if [
        "wrong version number",
        "http request",
        "packet length too long",
    ]
    .iter()
    .any(|words| said.contains(words))
    {
        let detail = "what the peer says is not TLS";
        return Some(Failure::new(FailureKind::SpeaksPlain, detail));
    }
    let is_closed = error.code() == ErrorCode::ZERO_RETURN
        || said.contains("unexpected eof")
        || (error.code() == ErrorCode::SYSCALL && error.ssl_error().is_none());
    is_closed.then(Failure::closed_by_peer)
}

fn is_no_certificate(error: &ssl::Error) -> bool {
    said(error).contains("peer did not return a certificate")
}

fn said(error: &ssl::Error) -> String {
    error.ssl_error().map_or_else(|| error.to_string(), reasons)
}

/// Without OpenSSL's codes and places in its source.
pub(super) fn reasons(error: &ErrorStack) -> String {
    let reasons: Vec<_> = error
        .errors()
        .iter()
        .filter_map(openssl::error::Error::reason)
        .collect();
    if reasons.is_empty() {
        return error.to_string();
    }
    reasons.join("; ")
}
