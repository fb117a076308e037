//! TLS to Postgres, made only when a server takes us up on it.
//!
//! Building a connector reads every certificate of the system: some 140 ms and
//! 5 MB, which a daemon without TLS must not pay. So it is built on first use,
//! once, and off the loop.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use postgres_native_tls::TlsConnector;
use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Makes TLS connections that encrypt and do not verify, as libpq does for
/// `sslmode=prefer` and `require`.
#[derive(Clone, Default)]
pub(crate) struct LazyTls {
    built: Arc<OnceLock<native_tls::TlsConnector>>,
}

pub(crate) struct LazyConnect {
    tls: LazyTls,
    domain: String,
}

impl LazyTls {
    fn connector(&self) -> Result<native_tls::TlsConnector, Error> {
        if let Some(connector) = self.built.get() {
            return Ok(connector.clone());
        }
        let connector = native_tls::TlsConnector::builder()
            .danger_accept_invalid_certs(true)
            .danger_accept_invalid_hostnames(true)
            .build()?;
        Ok(self.built.get_or_init(|| connector).clone())
    }
}

impl MakeTlsConnect<Socket> for LazyTls {
    type Stream = postgres_native_tls::TlsStream<Socket>;
    type TlsConnect = LazyConnect;
    type Error = Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<LazyConnect, Error> {
        Ok(LazyConnect {
            tls: self.clone(),
            domain: domain.to_owned(),
        })
    }
}

impl TlsConnect<Socket> for LazyConnect {
    type Stream = postgres_native_tls::TlsStream<Socket>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Error>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let tls = self.tls.clone();
            let connector = tokio::task::spawn_blocking(move || tls.connector()).await??;
            let connector = TlsConnector::new(connector, &self.domain);
            Ok(connector.connect(stream).await?)
        })
    }
}
