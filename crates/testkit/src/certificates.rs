//! A scratch certificate authority, and what it has signed.
//!
//! All of it is PEM in one folder, unless a name says otherwise:
//!
//! | file | what it is |
//! |---|---|
//! | `root.crt`, `other_root.crt` | two authorities that know nothing of each other |
//! | `intermediate.crt` | an authority below the root |
//! | `app.crt` | a client, CN=app; its key in many forms: `app_pkcs8.key`, `app_sec1.key`, `app_der.key`, `app_encrypted.key`; `app_open.key` is for all to read, `app_group.key` for its group |
//! | `app_rsa.crt` | the same with an RSA key: `app_pkcs1.key`, `app_pkcs1_encrypted.key` |
//! | `expired.crt`, `expired.key` | a client, CN=app, that expired yesterday |
//! | `unknown.crt`, `unknown.key` | a client, CN=app, of the other root |
//! | `stranger.crt`, `stranger.key` | a good client with another name, CN=stranger |
//! | `server_*.crt`, `server_*.key` | see [`ServerCertificate`] |

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};
use tempfile::TempDir;

/// What opens the encrypted keys.
pub const PASSPHRASE: &str = "open sesame";

const DAY: i64 = 24 * 60 * 60;
const VALID: (i64, i64) = (-1, 30);
const EXPIRED: (i64, i64) = (-30, -1);

/// The certificates that a server can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerCertificate {
    /// For localhost, db.test and 127.0.0.1.
    Good,
    /// For other.test only.
    WrongHost,
    /// As the good one, until yesterday.
    Expired,
    /// For localhost, signed by itself.
    SelfSigned,
    /// CN=localhost and no alternative names, as in old days.
    NameOnly,
    /// CN=localhost, and 127.0.0.1 as the only alternative name.
    NameAndAddress,
    /// For 127.0.0.1 by CN, and localhost by alternative name.
    AddressInName,
    /// For 127.0.0.1, but as if that were a name.
    AddressAsName,
    /// For *.db.test.
    Wildcard,
    /// CN=*.db.test and no alternative names.
    WildcardNameOnly,
    /// For *.test, a whole top level.
    TopWildcard,
    /// For d*.test.
    PartialWildcard,
    /// As the good one, signed by the intermediate authority, which is sent along.
    Chain,
    /// As the good one, signed with SHA-384: channel binding hashes with that.
    Sha384,
}

impl ServerCertificate {
    /// One of each.
    pub const ALL: [Self; 14] = [
        Self::Good,
        Self::WrongHost,
        Self::Expired,
        Self::SelfSigned,
        Self::NameOnly,
        Self::NameAndAddress,
        Self::AddressInName,
        Self::AddressAsName,
        Self::Wildcard,
        Self::WildcardNameOnly,
        Self::TopWildcard,
        Self::PartialWildcard,
        Self::Chain,
        Self::Sha384,
    ];

    /// The name of its files, without `.crt` and `.key`.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Good => "server_good",
            Self::WrongHost => "server_wrong_host",
            Self::Expired => "server_expired",
            Self::SelfSigned => "server_self_signed",
            Self::NameOnly => "server_name_only",
            Self::NameAndAddress => "server_name_and_address",
            Self::AddressInName => "server_address_in_name",
            Self::AddressAsName => "server_address_as_name",
            Self::Wildcard => "server_wildcard",
            Self::WildcardNameOnly => "server_wildcard_name_only",
            Self::TopWildcard => "server_top_wildcard",
            Self::PartialWildcard => "server_partial_wildcard",
            Self::Chain => "server_chain",
            Self::Sha384 => "server_sha384",
        }
    }

    fn subject(self) -> Subject {
        let good = Subject::new(
            "localhost",
            &["DNS:localhost", "DNS:db.test", "IP:127.0.0.1"],
        );
        match self {
            Self::Good | Self::Chain => good,
            Self::WrongHost => Subject::new("other.test", &["DNS:other.test"]),
            Self::Expired => Subject {
                days: EXPIRED,
                ..good
            },
            Self::SelfSigned => Subject::new("localhost", &["DNS:localhost"]),
            Self::NameOnly => Subject::new("localhost", &[]),
            Self::NameAndAddress => Subject::new("localhost", &["IP:127.0.0.1"]),
            Self::AddressInName => Subject::new("127.0.0.1", &["DNS:localhost"]),
            Self::AddressAsName => Subject::new("pgmesh", &["DNS:127.0.0.1"]),
            Self::Wildcard => Subject::new("*.db.test", &["DNS:*.db.test"]),
            Self::WildcardNameOnly => Subject::new("*.db.test", &[]),
            Self::TopWildcard => Subject::new("*.test", &["DNS:*.test"]),
            Self::PartialWildcard => Subject::new("d*.test", &["DNS:d*.test"]),
            Self::Sha384 => Subject {
                digest: MessageDigest::sha384(),
                ..good
            },
        }
    }
}

/// Certificates and keys in a folder of their own, removed when dropped.
///
/// Keys are for their owner only: whoever runs the test. A server gets copies.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes them all: some tenths of a second, for the RSA key.
    pub fn make() -> Self {
        let made = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let root = Identity::authority("pgmesh scratch root", None);
        let other_root = Identity::authority("pgmesh other root", None);
        let intermediate = Identity::authority("pgmesh intermediate", Some(&root));
        made.write("root.crt", &root.pem());
        made.write("other_root.crt", &other_root.pem());
        made.write("intermediate.crt", &intermediate.pem());
        made.write_servers(&root, &intermediate);
        made.write_app(&root);
        made.write_other_clients(&root, &other_root);
        made.write_node(&root);
        made
    }

    /// Where a file is.
    ///
    /// # Panics
    ///
    /// When there is none of that name.
    pub fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        assert!(path.exists(), "no certificate or key is called {name}");
        path.to_str().unwrap().to_owned()
    }

    fn write_servers(&self, root: &Identity, intermediate: &Identity) {
        for which in ServerCertificate::ALL {
            let subject = which.subject();
            let (server, above) = match which {
                ServerCertificate::SelfSigned => (subject.signed_by_itself(), Vec::new()),
                ServerCertificate::Chain => (subject.signed_by(intermediate), intermediate.pem()),
                _ => (subject.signed_by(root), Vec::new()),
            };
            let stem = which.stem();
            self.write(&format!("{stem}.crt"), &[server.pem(), above].concat());
            self.write_key(&format!("{stem}.key"), &server.pkcs8());
        }
    }

    fn write_app(&self, root: &Identity) {
        let app = Subject::new("app", &[]).signed_by(root);
        self.write("app.crt", &app.pem());
        self.write_key("app_pkcs8.key", &app.pkcs8());
        self.write_key("app_der.key", &app.key.private_key_to_der().unwrap());
        let sec1 = app.key.ec_key().unwrap().private_key_to_pem().unwrap();
        self.write_key("app_sec1.key", &sec1);
        let cipher = Cipher::aes_256_cbc();
        let passphrase = PASSPHRASE.as_bytes();
        let encrypted = app
            .key
            .private_key_to_pem_pkcs8_passphrase(cipher, passphrase);
        self.write_key("app_encrypted.key", &encrypted.unwrap());
        self.write_key("app_open.key", &app.pkcs8());
        self.set_mode("app_open.key", 0o644);
        self.write_key("app_group.key", &app.pkcs8());
        self.set_mode("app_group.key", 0o640);

        let rsa = Rsa::generate(2048).unwrap();
        let key = PKey::from_rsa(rsa.clone()).unwrap();
        let app = Subject::new("app", &[]).signed(key, Some(root));
        self.write("app_rsa.crt", &app.pem());
        self.write_key("app_pkcs1.key", &rsa.private_key_to_pem().unwrap());
        let encrypted = rsa.private_key_to_pem_passphrase(cipher, passphrase);
        self.write_key("app_pkcs1_encrypted.key", &encrypted.unwrap());
    }

    fn write_other_clients(&self, root: &Identity, other_root: &Identity) {
        let expired = Subject {
            days: EXPIRED,
            ..Subject::new("app", &[])
        };
        self.write_client("expired", &expired.signed_by(root));
        let unknown = Subject::new("app", &[]).signed_by(other_root);
        self.write_client("unknown", &unknown);
        let stranger = Subject::new("stranger", &[]).signed_by(root);
        self.write_client("stranger", &stranger);
    }

    /// For a node on this machine, in either role. OTP before 27 looks for an address
    /// among the names.
    fn write_node(&self, root: &Identity) {
        let names = &["DNS:127.0.0.1", "IP:127.0.0.1", "DNS:::1", "IP:::1"];
        self.write_client("node", &Subject::new("node", names).signed_by(root));
    }

    fn write_client(&self, stem: &str, client: &Identity) {
        self.write(&format!("{stem}.crt"), &client.pem());
        self.write_key(&format!("{stem}.key"), &client.pkcs8());
    }

    fn write_key(&self, name: &str, key: &[u8]) {
        self.write(name, key);
        self.set_mode(name, 0o600);
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn set_mode(&self, name: &str, mode: u32) {
        set_mode(&self.folder.path().join(name), mode);
    }
}

/// Who may do what with a file.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whom a certificate is for.
struct Subject {
    common_name: &'static str,
    /// As OpenSSL writes them: `DNS:a.test`, `IP:127.0.0.1`.
    alternatives: &'static [&'static str],
    /// Valid from and until, in days from now.
    days: (i64, i64),
    digest: MessageDigest,
    is_authority: bool,
}

/// A certificate and its key.
struct Identity {
    certificate: X509,
    key: PKey<Private>,
}

impl Subject {
    fn new(common_name: &'static str, alternatives: &'static [&'static str]) -> Self {
        Self {
            common_name,
            alternatives,
            days: VALID,
            digest: MessageDigest::sha256(),
            is_authority: false,
        }
    }

    fn signed_by(&self, issuer: &Identity) -> Identity {
        self.signed(new_key(), Some(issuer))
    }

    fn signed_by_itself(&self) -> Identity {
        self.signed(new_key(), None)
    }

    fn signed(&self, key: PKey<Private>, issuer: Option<&Identity>) -> Identity {
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder
            .set_serial_number(&serial().to_asn1_integer().unwrap())
            .unwrap();
        builder.set_not_before(&days_from_now(self.days.0)).unwrap();
        builder.set_not_after(&days_from_now(self.days.1)).unwrap();
        builder.set_subject_name(&self.name()).unwrap();
        builder.set_pubkey(&key).unwrap();
        self.extend(&mut builder, issuer);
        if let Some(issuer) = issuer {
            builder
                .set_issuer_name(issuer.certificate.subject_name())
                .unwrap();
            builder.sign(&issuer.key, self.digest).unwrap();
        } else {
            builder.set_issuer_name(&self.name()).unwrap();
            builder.sign(&key, self.digest).unwrap();
        }
        Identity {
            certificate: builder.build(),
            key,
        }
    }

    fn name(&self) -> X509Name {
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_nid(Nid::COMMONNAME, self.common_name)
            .unwrap();
        name.build()
    }

    fn extend(&self, builder: &mut X509Builder, issuer: Option<&Identity>) {
        if self.is_authority {
            let constraints = BasicConstraints::new().critical().ca().build();
            builder.append_extension(constraints.unwrap()).unwrap();
            let usage = KeyUsage::new()
                .critical()
                .key_cert_sign()
                .crl_sign()
                .build();
            builder.append_extension(usage.unwrap()).unwrap();
        }
        if self.alternatives.is_empty() {
            return;
        }
        let mut names = SubjectAlternativeName::new();
        for alternative in self.alternatives {
            match alternative.split_once(':').unwrap() {
                ("DNS", name) => names.dns(name),
                (_, address) => names.ip(address),
            };
        }
        let issuer = issuer.map(|issuer| &*issuer.certificate);
        let names = names.build(&builder.x509v3_context(issuer, None)).unwrap();
        builder.append_extension(names).unwrap();
    }
}

impl Identity {
    fn authority(common_name: &'static str, issuer: Option<&Self>) -> Self {
        let subject = Subject {
            is_authority: true,
            ..Subject::new(common_name, &[])
        };
        subject.signed(new_key(), issuer)
    }

    fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    fn pkcs8(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }
}

/// On a curve, since RSA keys take long to make.
fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn serial() -> BigNum {
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();
    serial
}

fn days_from_now(days: i64) -> Asn1Time {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    Asn1Time::from_unix(i64::try_from(now).unwrap() + days * DAY).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(made: &Certificates, name: &str) -> X509 {
        X509::from_pem(&fs::read(made.path(name)).unwrap()).unwrap()
    }

    #[test]
    fn each_is_signed_by_whom_it_should_be() {
        let made = Certificates::make();
        let signed_by = |name, issuer| {
            let issuer = certificate(&made, issuer).public_key().unwrap();
            certificate(&made, name).verify(&issuer).unwrap()
        };
        assert!(signed_by("server_good.crt", "root.crt"));
        assert!(!signed_by("server_good.crt", "other_root.crt"));
        assert!(signed_by("server_chain.crt", "intermediate.crt"));
        assert!(signed_by(
            "server_self_signed.crt",
            "server_self_signed.crt"
        ));
        assert!(signed_by("unknown.crt", "other_root.crt"));
    }

    #[test]
    fn keys_have_the_forms_that_their_names_say() {
        let made = Certificates::make();
        let first_line = |name| {
            let text = fs::read_to_string(made.path(name)).unwrap();
            text.lines().next().unwrap().to_owned()
        };
        assert_eq!(first_line("app_pkcs8.key"), "-----BEGIN PRIVATE KEY-----");
        assert_eq!(
            first_line("app_pkcs1.key"),
            "-----BEGIN RSA PRIVATE KEY-----"
        );
        assert_eq!(first_line("app_sec1.key"), "-----BEGIN EC PRIVATE KEY-----");
        let encrypted = first_line("app_encrypted.key");
        assert_eq!(encrypted, "-----BEGIN ENCRYPTED PRIVATE KEY-----");
    }
}
