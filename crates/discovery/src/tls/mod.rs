//! TLS to Postgres, made only when a server takes us up on it.
//!
//! Building a connector reads every certificate of the system: some 140 ms and
//! 5 MB, which a daemon without TLS must not pay. So it is built on first use, off
//! the loop, and again only when one of its files has changed.

mod files;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use native_tls::Protocol;
use postgres_native_tls::{TlsConnector, TlsStream};
use tokio_postgres::tls::TlsConnect;

use crate::connect::Wire;
use crate::conninfo::{SslMode, TlsSettings, TlsVersion};
pub(crate) use files::FileProblem;
use files::{Stamps, load_identity, load_roots};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsProblem {
    /// One of our own files.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// The handshake, or a setting of it.
    #[error("{0}")]
    Handshake(#[from] native_tls::Error),
    /// The thread that builds the connector broke.
    #[error("cannot prepare TLS: {0}")]
    Internal(#[from] tokio::task::JoinError),
}

/// Makes TLS connections as `sslmode` and its companions say. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LazyTls {
    settings: Arc<TlsSettings>,
    built: Arc<Mutex<Option<Built>>>,
}

struct Built {
    connector: native_tls::TlsConnector,
    stamps: Stamps,
}

/// One connection to be.
pub(crate) struct LazyConnect {
    tls: LazyTls,
    host: String,
}

impl LazyTls {
    pub(crate) fn new(settings: TlsSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            built: Arc::default(),
        }
    }

    /// `host` is the name that the server's certificate must have.
    pub(crate) fn to(&self, host: &str) -> LazyConnect {
        LazyConnect {
            tls: self.clone(),
            host: host.to_owned(),
        }
    }

    /// Blocks.
    fn connector(&self) -> Result<native_tls::TlsConnector, TlsProblem> {
        let stamps = Stamps::of(&self.settings);
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(built) = built.as_ref().filter(|built| built.stamps == stamps) {
            return Ok(built.connector.clone());
        }
        let connector = build(&self.settings)?;
        *built = Some(Built {
            connector: connector.clone(),
            stamps,
        });
        Ok(connector)
    }
}

impl TlsConnect<Wire> for LazyConnect {
    type Stream = TlsStream<Wire>;
    type Error = TlsProblem;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, TlsProblem>> + Send>>;

    fn connect(self, stream: Wire) -> Self::Future {
        Box::pin(async move {
            let tls = self.tls.clone();
            let connector = tokio::task::spawn_blocking(move || tls.connector()).await??;
            let connector = TlsConnector::new(connector, &self.host);
            Ok(connector.connect(stream).await?)
        })
    }
}

/// As libpq does: a root certificate that is there is used in every mode, and a
/// mode that verifies does not do without.
fn build(settings: &TlsSettings) -> Result<native_tls::TlsConnector, TlsProblem> {
    let mut builder = native_tls::TlsConnector::builder();
    match load_roots(settings)? {
        Some(roots) => {
            builder.disable_built_in_roots(!roots.is_empty());
            for root in roots {
                builder.add_root_certificate(root);
            }
        }
        None => {
            builder.danger_accept_invalid_certs(true);
        }
    }
    if let Some(identity) = load_identity(settings)? {
        builder.identity(identity);
    }
    builder
        .danger_accept_invalid_hostnames(settings.mode != SslMode::VerifyFull)
        .use_sni(settings.send_host_name)
        .min_protocol_version(Some(protocol(settings.least_version)))
        .max_protocol_version(settings.last_version.map(protocol));
    Ok(builder.build()?)
}

fn protocol(version: TlsVersion) -> Protocol {
    match version {
        TlsVersion::V1 => Protocol::Tlsv10,
        TlsVersion::V1_1 => Protocol::Tlsv11,
        TlsVersion::V1_2 => Protocol::Tlsv12,
        TlsVersion::V1_3 => Protocol::Tlsv13,
    }
}
