//! Links over TLS between two nodes of ours: what comes of every certificate.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::time::Duration;

use pgmesh_dist::{
    Cookie, FailureKind, KeyPassword, Node, NodeConfig, NodeEvent, NodeEvents, StartError,
    TlsConfig, TlsRole, TlsVersions,
};
use pgmesh_testkit::{Certificates, PASSPHRASE, ScratchEpmd};

/// Who dials, and who is dialled; hosts are addresses, so EPMD tells the port alone.
const DIALLER: &str = "a@127.0.0.1";
const DIALLED: &str = "b@127.0.0.1";

/// A role with files of the scratch authority, both of which verify.
fn role(files: &Certificates, certificate: &str, key: &str, authorities: &str) -> TlsRole {
    let path = |name: &str| (!name.is_empty()).then(|| PathBuf::from(files.path(name)));
    TlsRole {
        certificate: path(certificate),
        key: path(key),
        authorities: path(authorities),
        verifies: true,
        demands_certificate: true,
        ..TlsRole::default()
    }
}

/// What everybody has unless a test says otherwise.
fn good(files: &Certificates) -> TlsConfig {
    TlsConfig {
        server: role(files, "server_good.crt", "server_good.key", "root.crt"),
        client: role(files, "app.crt", "app_pkcs8.key", "root.crt"),
    }
}

async fn start(epmd: &ScratchEpmd, name: &str, tls: Option<TlsConfig>) -> (Node, NodeEvents) {
    let mut config = NodeConfig::new(name.parse().unwrap(), Cookie::new("secret"));
    config.epmd_port = epmd.port();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.setup_timeout = Duration::from_secs(5);
    config.tls = tls;
    Node::start(config).await.unwrap()
}

/// What a dial between two with these settings comes to.
async fn dial(dialler: Option<TlsConfig>, dialled: Option<TlsConfig>) -> Result<(), FailureKind> {
    let epmd = ScratchEpmd::start().await;
    let (a, _a_events) = start(&epmd, DIALLER, dialler).await;
    let (b, mut b_events) = start(&epmd, DIALLED, dialled).await;
    let connected = a.connect(&DIALLED.parse().unwrap(), true).await;
    if connected.is_ok() {
        link_up(&mut b_events).await;
        let found = a.find(&DIALLED.parse().unwrap()).await.unwrap();
        assert_eq!(found.name.as_str(), DIALLED);
    }
    b.stop();
    connected.map_err(|error| {
        assert!(
            !error.to_string().contains("ssl/"),
            "OpenSSL's source: {error}"
        );
        error.kind()
    })
}

async fn link_up(events: &mut NodeEvents) {
    loop {
        if let NodeEvent::LinkUp { .. } = events.recv().await.unwrap() {
            return;
        }
    }
}

#[tokio::test]
async fn both_sides_prove_who_they_are_in_every_version() {
    let files = Certificates::make();
    for versions in [TlsVersions::Both, TlsVersions::V1_2, TlsVersions::V1_3] {
        let mut tls = good(&files);
        tls.client.versions = versions;
        assert_eq!(
            dial(Some(tls), Some(good(&files))).await,
            Ok(()),
            "{versions:?}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_dialled_ones_certificate_is_named() {
    let files = Certificates::make();
    for (certificate, kind) in [
        ("server_expired", FailureKind::TlsExpired),
        ("server_wrong_host", FailureKind::TlsWrongHost),
        ("server_self_signed", FailureKind::TlsUnknownAuthority),
    ] {
        let mut tls = good(&files);
        let (crt, key) = (format!("{certificate}.crt"), format!("{certificate}.key"));
        tls.server = role(&files, &crt, &key, "root.crt");
        let came = dial(Some(good(&files)), Some(tls)).await;
        assert_eq!(came, Err(kind), "{certificate}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_diallers_certificate_is_named() {
    let files = Certificates::make();
    for (crt, key, kind) in [
        ("expired.crt", "expired.key", FailureKind::TlsExpired),
        (
            "unknown.crt",
            "unknown.key",
            FailureKind::TlsUnknownAuthority,
        ),
        ("", "", FailureKind::TlsNoCertificate),
    ] {
        let mut tls = good(&files);
        tls.client = role(&files, crt, key, "root.crt");
        let came = dial(Some(tls), Some(good(&files))).await;
        assert_eq!(came, Err(kind), "{crt}");
    }
}

#[tokio::test]
async fn who_does_not_verify_takes_any_certificate() {
    let files = Certificates::make();
    let (mut dialler, mut dialled) = (good(&files), good(&files));
    dialled.server = role(
        &files,
        "server_wrong_host.crt",
        "server_wrong_host.key",
        "root.crt",
    );
    dialler.client.any_host = true;
    let any_host = dial(Some(dialler.clone()), Some(dialled.clone())).await;
    assert_eq!(any_host, Ok(()), "any host");
    dialler.client = role(&files, "", "", "");
    dialler.client.verifies = false;
    dialled.server.demands_certificate = false;
    assert_eq!(
        dial(Some(dialler), Some(dialled)).await,
        Ok(()),
        "no certificate"
    );
}

#[tokio::test]
async fn tls_against_none_is_named() {
    let files = Certificates::make();
    let tls = Some(good(&files));
    assert_eq!(dial(None, tls.clone()).await, Err(FailureKind::SpeaksTls));
    // A node of ours hangs up on it; a BEAM waits for more.
    assert_eq!(dial(tls, None).await, Err(FailureKind::ClosedByPeer));
}

#[tokio::test]
async fn renewed_certificates_are_taken_up_and_links_that_stand_stay() {
    let files = Certificates::make();
    let own = tempfile::tempdir().unwrap();
    let (crt, key) = (own.path().join("node.crt"), own.path().join("node.key"));
    let install = |stem: &str| {
        for (kind, to) in [("crt", &crt), ("key", &key)] {
            let new = own.path().join("new");
            std::fs::copy(files.path(&format!("{stem}.{kind}")), &new).unwrap();
            std::fs::rename(new, to).unwrap();
        }
    };
    install("server_good");
    let mut tls = good(&files);
    (tls.server.certificate, tls.server.key) = (Some(crt.clone()), Some(key.clone()));
    let epmd = ScratchEpmd::start().await;
    let (_b, mut b_events) = start(&epmd, DIALLED, Some(tls)).await;
    let (a, _a_events) = start(&epmd, DIALLER, Some(good(&files))).await;
    let dialled = DIALLED.parse().unwrap();
    a.connect(&dialled, true).await.unwrap();
    link_up(&mut b_events).await;
    install("server_expired");
    let (c, _c_events) = start(&epmd, "c@127.0.0.1", Some(good(&files))).await;
    let refused = c.connect(&dialled, true).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::TlsExpired);
    assert_eq!(a.linked(), std::slice::from_ref(&dialled));
    install("server_good");
    c.connect(&dialled, true).await.unwrap();
    // Half a renewal: the key is another one's.
    std::fs::copy(files.path("app_pkcs8.key"), &key).unwrap();
    let (d, _d_events) = start(&epmd, "d@127.0.0.1", Some(good(&files))).await;
    d.connect(&dialled, true).await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_at_the_start() {
    let files = Certificates::make();
    let start_error = async |change: fn(&mut TlsRole, &Certificates)| {
        let mut tls = good(&files);
        change(&mut tls.server, &files);
        let mut config = NodeConfig::new(DIALLER.parse().unwrap(), Cookie::new("secret"));
        config.tls = Some(tls);
        match Node::start(config).await.map(|_| ()).unwrap_err() {
            StartError::Tls(error) => error.to_string(),
            other => panic!("{other}"),
        }
    };
    let missing = start_error(|role, _| role.certificate = Some("/nowhere.pem".into())).await;
    assert_eq!(
        missing,
        "/nowhere.pem: cannot be read: No such file or directory (os error 2)"
    );
    let other_key =
        start_error(|role, files| role.key = Some(files.path("app_pkcs8.key").into())).await;
    assert!(
        other_key.contains("server") || other_key.contains("key"),
        "{other_key}"
    );
    let encrypted = start_error(|role, files| {
        role.certificate = Some(files.path("app.crt").into());
        role.key = Some(files.path("app_encrypted.key").into());
    });
    let encrypted = encrypted.await;
    assert!(
        encrypted.ends_with("is encrypted, and no password is given"),
        "{encrypted}"
    );
    let no_authority = start_error(|role, _| role.authorities = None).await;
    assert!(
        no_authority.starts_with("cacertfile: not given"),
        "{no_authority}"
    );
}

#[tokio::test]
async fn encrypted_key_is_opened_by_its_password() {
    let files = Certificates::make();
    let mut tls = good(&files);
    tls.client = role(&files, "app.crt", "app_encrypted.key", "root.crt");
    tls.client.key_password = Some(KeyPassword::new(PASSPHRASE.to_owned()));
    assert_eq!(dial(Some(tls), Some(good(&files))).await, Ok(()));
}
