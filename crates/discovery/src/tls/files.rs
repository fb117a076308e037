//! Certificates and keys, from files as libpq takes them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use native_tls::{Certificate, Identity};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use zeroize::Zeroizing;

use crate::conninfo::{IdentityFiles, RootCertificates, SslMode, TlsSettings};

/// What is wrong with one of our files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileProblem {
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    #[error("there is no root certificate at {0}, and sslmode verifies")]
    NoRoot(PathBuf),
    #[error(
        "there is no place for a root certificate (no sslrootcert, no home), and sslmode verifies"
    )]
    NoRootPlace,
    #[error("{0} holds no root certificate")]
    EmptyRoot(PathBuf),
    #[error("root certificates {0} are not understood: {1}")]
    BadRoot(PathBuf, native_tls::Error),
    #[error("there is a certificate of ours, and its key {0} is not there")]
    NoKey(PathBuf),
    #[error("key {0} can be read by others (chmod 600 it)")]
    ExposedKey(PathBuf),
    #[error("key {0} is not understood, or its password (sslpassword) is wrong")]
    BadKey(PathBuf, #[source] ErrorStack),
    #[error("key {0} is not the one of our certificate")]
    OtherKey(PathBuf),
    #[error("certificate {0} is not understood: {1}")]
    BadCertificate(PathBuf, native_tls::Error),
}

/// What files looked like when they were read: renewed ones look different.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<(SystemTime, u64, u64)>>);

impl Stamps {
    pub(super) fn of(settings: &TlsSettings) -> Self {
        let root = match &settings.root {
            RootCertificates::File(file) => Some(file),
            RootCertificates::System | RootCertificates::Nowhere => None,
        };
        let own = settings.identity.iter();
        let own = own.flat_map(|files| [&files.certificate, &files.key]);
        Self(
            root.into_iter()
                .chain(own)
                .map(|file| stamp(file))
                .collect(),
        )
    }
}

fn stamp(file: &Path) -> Option<(SystemTime, u64, u64)> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

/// Whose signature is accepted: `None` if anybody's, an empty list for those that
/// the system trusts.
pub(super) fn load_roots(settings: &TlsSettings) -> Result<Option<Vec<Certificate>>, FileProblem> {
    let verifies = settings.mode >= SslMode::VerifyCa;
    let file = match &settings.root {
        RootCertificates::System => return Ok(Some(Vec::new())),
        RootCertificates::File(file) if file.exists() => file,
        RootCertificates::File(file) if verifies => return Err(FileProblem::NoRoot(file.clone())),
        RootCertificates::Nowhere if verifies => return Err(FileProblem::NoRootPlace),
        RootCertificates::File(_) | RootCertificates::Nowhere => return Ok(None),
    };
    let pem = read(file)?;
    match Certificate::stack_from_pem(&pem) {
        Ok(roots) if !roots.is_empty() => Ok(Some(roots)),
        Ok(_) => Err(FileProblem::EmptyRoot(file.clone())),
        Err(error) => Err(FileProblem::BadRoot(file.clone(), error)),
    }
}

/// Our certificate with its key, if we have one.
pub(super) fn load_identity(settings: &TlsSettings) -> Result<Option<Identity>, FileProblem> {
    let Some(files) = &settings.identity else {
        return Ok(None);
    };
    if !files.certificate.exists() {
        return Ok(None);
    }
    let certificate = read(&files.certificate)?;
    let key = load_key(files)?;
    let unusable = |error| FileProblem::BadCertificate(files.certificate.clone(), error);
    let identity = Identity::from_pkcs8(&certificate, &key).map_err(unusable)?;
    if !key_fits(&certificate, &key) {
        return Err(FileProblem::OtherKey(files.key.clone()));
    }
    Ok(Some(identity))
}

fn key_fits(certificate: &[u8], key: &[u8]) -> bool {
    let public = X509::from_pem(certificate).and_then(|certificate| certificate.public_key());
    let private = PKey::private_key_from_pem(key);
    matches!((public, private), (Ok(public), Ok(private)) if public.public_eq(&private))
}

/// The key as PKCS#8, the only form that native-tls takes, from PKCS#1, SEC1 or
/// PKCS#8, in PEM or DER, with or without a password.
fn load_key(files: &IdentityFiles) -> Result<Zeroizing<Vec<u8>>, FileProblem> {
    let file = &files.key;
    let metadata = fs::metadata(file).map_err(|_| FileProblem::NoKey(file.clone()))?;
    if !metadata.is_file() {
        return Err(FileProblem::NoKey(file.clone()));
    }
    // libpq's rule: a key of root's may be readable for a group.
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(FileProblem::ExposedKey(file.clone()));
    }
    let bytes = Zeroizing::new(read(file)?);
    let password = files.key_password.as_ref().map_or("", |text| text.expose());
    let key = parse_key(&bytes, password);
    let pem = key.and_then(|key| key.private_key_to_pem_pkcs8());
    pem.map(Zeroizing::new)
        .map_err(|error| FileProblem::BadKey(file.clone(), error))
}

fn parse_key(bytes: &[u8], password: &str) -> Result<PKey<Private>, ErrorStack> {
    // Without the callback OpenSSL would ask at the terminal.
    let answer = |buffer: &mut [u8]| {
        let len = password.len().min(buffer.len());
        buffer[..len].copy_from_slice(&password.as_bytes()[..len]);
        Ok(len)
    };
    PKey::private_key_from_pem_callback(bytes, answer)
        .or_else(|error| PKey::private_key_from_der(bytes).map_err(|_| error))
}

fn read(file: &Path) -> Result<Vec<u8>, FileProblem> {
    fs::read(file).map_err(|error| FileProblem::Unreadable(file.to_owned(), error))
}
