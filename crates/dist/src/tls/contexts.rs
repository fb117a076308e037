//! What OpenSSL needs to know for a connection, made of files.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode,
    SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::verify::X509CheckFlags;

use super::failure;
use super::stamps::Stamps;
use super::{TlsConfig, TlsFileError, TlsRole, TlsVersions};
use crate::error::{Failure, FailureKind};

/// Made on first use, and again once a file has changed.
#[derive(Debug)]
pub(crate) struct Contexts {
    config: TlsConfig,
    server: Mutex<Option<Built>>,
    client: Mutex<Option<Built>>,
}

struct Built {
    context: Arc<SslContext>,
    stamps: Stamps,
}

impl std::fmt::Debug for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.stamps.fmt(f)
    }
}

impl Contexts {
    pub(crate) fn new(config: TlsConfig) -> Self {
        Self {
            config,
            server: Mutex::default(),
            client: Mutex::default(),
        }
    }

    /// For a connection to a host.
    pub(super) fn client(&self, host: &str) -> Result<Ssl, Failure> {
        let role = &self.config.client;
        let context = current(&self.client, role, build_client)?;
        let ssl = for_host(&context, host, role.verifies && !role.any_host);
        ssl.map_err(|error| failure::internal(&error))
    }

    /// For a connection that was accepted.
    pub(super) fn server(&self) -> Result<Ssl, Failure> {
        let context = current(&self.server, &self.config.server, build_server)?;
        Ssl::new(&context).map_err(|error| failure::internal(&error))
    }
}

/// Files are small and local: reading them holds up nobody noticeably.
fn current(
    built: &Mutex<Option<Built>>,
    role: &TlsRole,
    build: fn(&TlsRole) -> Result<SslContext, TlsFileError>,
) -> Result<Arc<SslContext>, Failure> {
    let stamps = Stamps::of(role.files());
    let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(built) = built.as_ref().filter(|built| built.stamps == stamps) {
        return Ok(Arc::clone(&built.context));
    }
    let context = match (build(role), built.as_ref()) {
        (Ok(context), _) => Arc::new(context),
        // A renewal that is half done, or went wrong: told once, until a file changes.
        (Err(error), Some(old)) => {
            tracing::warn!("TLS between nodes goes on with the old files: {error}");
            Arc::clone(&old.context)
        }
        (Err(error), None) => {
            return Err(Failure::new(FailureKind::TlsFiles, error.to_string()));
        }
    };
    *built = Some(Built {
        context: Arc::clone(&context),
        stamps,
    });
    Ok(context)
}

fn for_host(
    context: &SslContext,
    host: &str,
    verifies: bool,
) -> Result<Ssl, openssl::error::ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    let address = host.parse::<std::net::IpAddr>().ok();
    // An address is no name that a server could be asked for (RFC 6066, section 3).
    if address.is_none() {
        ssl.set_hostname(host)?;
    }
    if verifies {
        let param = ssl.param_mut();
        // As OTP's nodes: a name is a name.
        param.set_hostflags(X509CheckFlags::NO_WILDCARDS);
        match address {
            Some(address) => param.set_ip(address)?,
            None => param.set_host(host)?,
        }
    }
    Ok(ssl)
}

pub(super) fn build_client(role: &TlsRole) -> Result<SslContext, TlsFileError> {
    let mut builder = builder(role)?;
    builder.set_verify(if role.verifies {
        SslVerifyMode::PEER
    } else {
        SslVerifyMode::NONE
    });
    Ok(builder.build())
}

pub(super) fn build_server(role: &TlsRole) -> Result<SslContext, TlsFileError> {
    let mut builder = builder(role)?;
    if role.certificate.is_none() {
        return Err(TlsFileError::new("certfile", "a server needs one"));
    }
    let mut mode = SslVerifyMode::NONE;
    if role.verifies {
        mode |= SslVerifyMode::PEER;
        if role.demands_certificate {
            mode |= SslVerifyMode::FAIL_IF_NO_PEER_CERT;
        }
        if let Some(file) = &role.authorities {
            let names = openssl::x509::X509Name::load_client_ca_file(file);
            builder.set_client_ca_list(names.map_err(|error| wrong(file, &error))?);
        }
    }
    builder.set_verify(mode);
    Ok(builder.build())
}

fn builder(role: &TlsRole) -> Result<SslContextBuilder, TlsFileError> {
    let internal = |error| TlsFileError::new("OpenSSL", &failure::reasons(&error));
    let mut builder = SslContext::builder(SslMethod::tls()).map_err(internal)?;
    let (least, most) = match role.versions {
        TlsVersions::Both => (SslVersion::TLS1_2, SslVersion::TLS1_3),
        TlsVersions::V1_2 => (SslVersion::TLS1_2, SslVersion::TLS1_2),
        TlsVersions::V1_3 => (SslVersion::TLS1_3, SslVersion::TLS1_3),
    };
    builder
        .set_min_proto_version(Some(least))
        .map_err(internal)?;
    builder
        .set_max_proto_version(Some(most))
        .map_err(internal)?;
    // A link lives long: to take up old sessions would only hide changed files.
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
    // By TLS 1.3 a server would still hand out two tickets, which nobody could use.
    builder.set_num_tickets(0).map_err(internal)?;
    // A write that was given up is tried again from elsewhere, and idle links are many.
    builder.set_mode(
        SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::RELEASE_BUFFERS,
    );
    if let Some(depth) = role.depth {
        builder.set_verify_depth(depth);
    }
    if role.verifies {
        let Some(file) = &role.authorities else {
            let problem = "not given, and the peer's certificate is to be verified";
            return Err(TlsFileError::new("cacertfile", problem));
        };
        read(file)?;
        builder
            .set_ca_file(file)
            .map_err(|error| wrong(file, &error))?;
    }
    if let Some(certificate) = &role.certificate {
        let key = role.key.as_deref().unwrap_or(certificate);
        present(&mut builder, certificate, key, role)?;
    }
    Ok(builder)
}

/// Our own certificate, those between it and the authority, and its key.
fn present(
    builder: &mut SslContextBuilder,
    certificate: &Path,
    key: &Path,
    role: &TlsRole,
) -> Result<(), TlsFileError> {
    let chain =
        X509::stack_from_pem(&read(certificate)?).map_err(|error| wrong(certificate, &error))?;
    let mut chain = chain.into_iter();
    let Some(own) = chain.next() else {
        return Err(TlsFileError::of(certificate, "holds no certificate"));
    };
    builder
        .set_certificate(&own)
        .map_err(|error| wrong(certificate, &error))?;
    for between in chain {
        builder
            .add_extra_chain_cert(between)
            .map_err(|error| wrong(certificate, &error))?;
    }
    let private = private_key(key, role)?;
    builder
        .set_private_key(&private)
        .map_err(|error| wrong(key, &error))?;
    builder
        .check_private_key()
        .map_err(|_| TlsFileError::of(key, "is not the certificate's key"))
}

/// Without a password OpenSSL would ask the terminal for one.
fn private_key(file: &Path, role: &TlsRole) -> Result<PKey<Private>, TlsFileError> {
    let pem = zeroize::Zeroizing::new(read(file)?);
    let password = role
        .key_password
        .as_ref()
        .map(|password| password.0.as_bytes());
    let key = PKey::private_key_from_pem_passphrase(&pem, password.unwrap_or_default());
    key.map_err(|error| match password {
        None if contains(&pem, b"ENCRYPTED") => {
            TlsFileError::of(file, "is encrypted, and no password is given")
        }
        _ => wrong(file, &error),
    })
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

fn read(file: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(file).map_err(|cause| TlsFileError::of(file, &format!("cannot be read: {cause}")))
}

fn wrong(file: &Path, error: &openssl::error::ErrorStack) -> TlsFileError {
    TlsFileError::of(
        file,
        &format!("cannot be used: {}", failure::reasons(error)),
    )
}

impl TlsFileError {
    fn new(file: &str, problem: &str) -> Self {
        Self {
            file: file.to_owned(),
            problem: problem.to_owned(),
        }
    }

    fn of(file: &Path, problem: &str) -> Self {
        Self::new(&file.display().to_string(), problem)
    }
}

impl TlsRole {
    fn files(&self) -> [Option<&Path>; 3] {
        [
            self.certificate.as_deref(),
            self.key.as_deref(),
            self.authorities.as_deref(),
        ]
    }
}
