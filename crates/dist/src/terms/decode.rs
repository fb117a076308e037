//! From bytes to eetf's trees, around eetf's traps.

use eetf::Term;

use super::scan::{Purpose, term_len};
use super::{TermError, VERSION};

/// Decodes one external term, version byte first.
///
/// # Errors
///
/// When the bytes are no term, or one that is too deep, too large or of a kind
/// that eetf does not know. Never panics, whatever the bytes.
pub fn decode(bytes: &[u8]) -> Result<Term, TermError> {
    match bytes.split_first() {
        Some((&VERSION, term)) => decode_unversioned(term),
        _ => Err(TermError::NoVersion),
    }
}

/// The same without a version byte.
pub(crate) fn decode_unversioned(bytes: &[u8]) -> Result<Term, TermError> {
    use std::io::Read as _;
    let end = term_len(bytes, Purpose::Decode)?;
    // eetf wants the version that we took off.
    let external = [VERSION].chain(&bytes[..end]);
    Term::decode(external).map_err(|_| TermError::Undecodable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_are_errors() {
        assert_eq!(decode(&[]), Err(TermError::NoVersion));
        assert_eq!(decode(&[131]), Err(TermError::Truncated));
        assert_eq!(
            decode(&[131, 108, 255, 255, 255, 255]),
            Err(TermError::Truncated)
        );
        assert_eq!(decode(&[131, 80, 0]), Err(TermError::UnknownTag(80)));
    }
}
