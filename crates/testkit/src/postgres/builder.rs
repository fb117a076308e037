//! How a scratch server differs from the plain one.

use std::fmt::Write as _;

use super::ScratchPostgres;
use crate::{Certificates, ServerCertificate};

/// What a server gets before its first start. Made by [`ScratchPostgres::builder`].
#[derive(Default)]
pub struct PostgresBuilder<'a> {
    settings: String,
    hba: Option<String>,
    tls: Option<(&'a Certificates, ServerCertificate)>,
    ipv6: bool,
}

impl<'a> PostgresBuilder<'a> {
    /// Sets one of the server's parameters.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        let value = value.replace('\'', "''");
        writeln!(self.settings, "{name} = '{value}'").unwrap();
        self
    }

    /// The lines of pg_hba.conf, in place of trust for all. Before them, the
    /// superuser is always let in.
    pub fn hba(mut self, lines: &str) -> Self {
        self.hba = Some(lines.to_owned());
        self
    }

    /// Shows a certificate, and takes clients' certificates of the root authority.
    pub fn tls(mut self, certificates: &'a Certificates, which: ServerCertificate) -> Self {
        self.tls = Some((certificates, which));
        self.setting("ssl", "on").setting("ssl_ca_file", "root.crt")
    }

    /// Listens on `::1` too, where the machine has it.
    pub fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    /// Makes the server and starts it. Blocks for a second or two.
    pub fn start(self) -> ScratchPostgres {
        let postgres = ScratchPostgres::new(self.ipv6);
        postgres.initialize();
        postgres.append("postgresql.conf", &self.settings);
        if let Some(lines) = &self.hba {
            postgres.write_hba(lines);
        }
        if let Some((certificates, which)) = self.tls {
            postgres.copy(&certificates.path("root.crt"), "root.crt");
            postgres.copy_certificate(certificates, which);
        }
        postgres.resume();
        postgres
    }
}
