//! Finds the end of a term without building it.
//!
//! One pass over the bytes, no recursion, no allocation that the bytes did not
//! pay for. Tags are those of erl_ext_dist.

/// Levels of nesting to decode; eetf recurses, and 1,500 levels overflow a 2 MB
/// stack.
const MAX_DEPTH: usize = 512;
/// Levels of nesting to pass over: eight bytes of ours for each.
const MAX_DEPTH_SKIPPED: usize = 1_000_000;
/// Terms in one tree: each becomes some 40 bytes, whatever it took on the wire.
const MAX_TERMS: usize = 4_000_000;
/// Bytes of one integer: turning more into decimals takes seconds.
const MAX_BIG_BYTES: usize = 4096;

/// Why bytes are no term that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermError {
    /// The bytes end before the term does.
    #[error("term is cut short")]
    Truncated,
    /// A tag that the format does not have, or that has no place here.
    #[error("term has the unknown tag {0}")]
    UnknownTag(u8),
    /// No version byte.
    #[error("term does not begin with 131")]
    NoVersion,
    /// Too many levels.
    #[error("term is nested too deep")]
    TooDeep,
    /// Too many elements.
    #[error("term has more than {MAX_TERMS} elements")]
    TooMany,
    /// An integer of thousands of digits.
    #[error("term has an integer of more than {MAX_BIG_BYTES} bytes")]
    BigInteger,
    /// An atom or bit string that is none.
    #[error("term has an invalid {0}")]
    Invalid(&'static str),
    /// The decoder refused what the scan let through.
    #[error("term cannot be decoded")]
    Undecodable,
}

impl TermError {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::UnknownTag(_) => "unknown_tag",
            Self::NoVersion => "no_version",
            Self::TooDeep => "too_deep",
            Self::TooMany => "too_many",
            Self::BigInteger => "big_integer",
            Self::Invalid(_) => "invalid",
            Self::Undecodable => "undecodable",
        }
    }

    /// The same bytes never become a term.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

/// How strict to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The term is passed over or passed on as bytes.
    Skip,
    /// The term goes to eetf next: refuse what that cannot take.
    Decode,
}

/// The length in bytes of the term that `bytes` begin with (no version byte).
pub(crate) fn term_len(bytes: &[u8], purpose: Purpose) -> Result<usize, TermError> {
    let mut scan = Scan {
        bytes,
        at: 0,
        purpose,
    };
    match scan.one()? {
        0 => Ok(scan.at),
        children => parts_len(scan, children),
    }
}

/// The end of a term whose head has been passed, and that has so many parts.
fn parts_len(mut scan: Scan<'_>, mut left: usize) -> Result<usize, TermError> {
    let max_depth = match scan.purpose {
        Purpose::Skip => MAX_DEPTH_SKIPPED,
        Purpose::Decode => MAX_DEPTH,
    };
    // How many terms are still to come at each level around the one that is open. Most
    // terms have none, and take no memory.
    let mut around: Vec<usize> = Vec::new();
    let mut terms = 1;
    scan.believe(left)?;
    loop {
        while left == 0 {
            match around.pop() {
                Some(outer) => left = outer,
                None => return Ok(scan.at),
            }
        }
        left -= 1;
        terms += 1;
        if terms > MAX_TERMS {
            return Err(TermError::TooMany);
        }
        let children = scan.one()?;
        if children > 0 {
            scan.believe(children)?;
            around.push(std::mem::replace(&mut left, children));
            if around.len() == max_depth {
                return Err(TermError::TooDeep);
            }
        }
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    purpose: Purpose,
}

impl Scan<'_> {
    /// Passes over one tag and what belongs to it alone; returns how many terms
    /// follow as its parts.
    fn one(&mut self) -> Result<usize, TermError> {
        match self.u8()? {
            70 => self.skip(8),                                          // NEW_FLOAT_EXT
            97 => self.skip(1),                                          // SMALL_INTEGER_EXT
            98 => self.skip(4),                                          // INTEGER_EXT
            99 => self.skip(31),                                         // FLOAT_EXT
            106 => Ok(0),                                                // NIL_EXT
            100 => self.counted_u16().and_then(|n| self.latin1_atom(n)), // ATOM_EXT
            115 => self.counted_u8().and_then(|n| self.latin1_atom(n)),  // SMALL_ATOM_EXT
            118 => self.counted_u16().and_then(|n| self.utf8_atom(n)),   // ATOM_UTF8_EXT
            119 => self.counted_u8().and_then(|n| self.utf8_atom(n)),    // SMALL_ATOM_UTF8_EXT
            107 => self.counted_u16().and_then(|n| self.skip(n)),        // STRING_EXT
            109 => self.counted_u32().and_then(|n| self.skip(n)),        // BINARY_EXT
            77 => self.bit_binary(),                                     // BIT_BINARY_EXT
            110 => self.counted_u8().and_then(|n| self.big(n)),          // SMALL_BIG_EXT
            111 => self.counted_u32().and_then(|n| self.big(n)),         // LARGE_BIG_EXT
            104 => self.counted_u8(),                                    // SMALL_TUPLE_EXT
            105 => self.counted_u32(),                                   // LARGE_TUPLE_EXT
            108 => Ok(self.counted_u32()?.saturating_add(1)),            // LIST_EXT, with its tail
            116 => Ok(self.counted_u32()?.saturating_mul(2)),            // MAP_EXT
            tag => self.identifier(tag),
        }
    }

    /// Pids, ports, references and funs: fixed parts around a node atom.
    fn identifier(&mut self, tag: u8) -> Result<usize, TermError> {
        match tag {
            88 => self.node_then(12),                                     // NEW_PID_EXT
            103 => self.node_then(9),                                     // PID_EXT
            89 => self.node_then(8),                                      // NEW_PORT_EXT
            102 => self.node_then(5),                                     // PORT_EXT
            120 => self.node_then(12),                                    // V4_PORT_EXT
            101 => self.node_then(5),                                     // REFERENCE_EXT
            114 => self.reference(1),                                     // NEW_REFERENCE_EXT
            90 => self.reference(4),                                      // NEWER_REFERENCE_EXT
            113 => Ok(3),          // EXPORT_EXT: module, function, arity
            112 => self.new_fun(), // NEW_FUN_EXT
            117 => self.counted_u32().map(|free| free.saturating_add(4)), // FUN_EXT
            67 if self.purpose == Purpose::Skip => self.record(), // RECORD_EXT
            121 if self.purpose == Purpose::Skip => self.skip(8).map(|_| 1), // LOCAL_EXT
            tag => Err(TermError::UnknownTag(tag)),
        }
    }

    /// Each part takes a byte at least, so a count beyond that lies.
    fn believe(&self, parts: usize) -> Result<(), TermError> {
        if parts > self.bytes.len() - self.at {
            return Err(TermError::Truncated);
        }
        Ok(())
    }

    fn node_then(&mut self, rest: usize) -> Result<usize, TermError> {
        match self.u8()? {
            100 => self.counted_u16().and_then(|n| self.latin1_atom(n))?,
            115 => self.counted_u8().and_then(|n| self.latin1_atom(n))?,
            118 => self.counted_u16().and_then(|n| self.utf8_atom(n))?,
            119 => self.counted_u8().and_then(|n| self.utf8_atom(n))?,
            tag => return Err(TermError::UnknownTag(tag)),
        };
        self.skip(rest)
    }

    fn reference(&mut self, creation: usize) -> Result<usize, TermError> {
        let words = self.counted_u16()?;
        // A reference of no words kills a BEAM that gets it back.
        if words == 0 || words > 5 {
            return Err(TermError::Invalid("reference"));
        }
        self.node_then(creation + 4 * words)
    }

    fn new_fun(&mut self) -> Result<usize, TermError> {
        self.skip(4 + 1 + 16 + 4)?;
        let free = self.counted_u32()?;
        // module, old index, old uniq, pid, then the free variables
        Ok(free.saturating_add(4))
    }

    fn record(&mut self) -> Result<usize, TermError> {
        let fields = self.counted_u32()?;
        self.skip(1)?;
        Ok(fields.saturating_mul(2).saturating_add(2))
    }

    fn bit_binary(&mut self) -> Result<usize, TermError> {
        let len = self.counted_u32()?;
        let bits = self.u8()?;
        if !(1..=8).contains(&bits) || len == 0 {
            return Err(TermError::Invalid("bit string"));
        }
        self.skip(len)
    }

    fn big(&mut self, len: usize) -> Result<usize, TermError> {
        if len > MAX_BIG_BYTES && self.purpose == Purpose::Decode {
            return Err(TermError::BigInteger);
        }
        self.skip(1)?;
        self.skip(len)
    }

    fn latin1_atom(&mut self, len: usize) -> Result<usize, TermError> {
        let to_decode = self.purpose == Purpose::Decode;
        let text = self.take(len)?;
        if to_decode && !text.is_ascii() {
            return Err(TermError::Invalid("Latin-1 atom"));
        }
        Ok(0)
    }

    fn utf8_atom(&mut self, len: usize) -> Result<usize, TermError> {
        let text = self.take(len)?;
        // Almost all are ASCII, which is found out many bytes at a time.
        if text.is_ascii() || std::str::from_utf8(text).is_ok() {
            return Ok(0);
        }
        Err(TermError::Invalid("UTF-8 atom"))
    }

    fn take(&mut self, len: usize) -> Result<&[u8], TermError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..len).ok_or(TermError::Truncated)?;
        self.at += len;
        Ok(taken)
    }

    fn skip(&mut self, len: usize) -> Result<usize, TermError> {
        self.take(len).map(|_| 0)
    }

    fn u8(&mut self) -> Result<u8, TermError> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn counted_u8(&mut self) -> Result<usize, TermError> {
        self.u8().map(usize::from)
    }

    fn counted_u16(&mut self) -> Result<usize, TermError> {
        let bytes = self.take(2)?;
        Ok(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
    }

    fn counted_u32(&mut self) -> Result<usize, TermError> {
        let bytes = self.take(4)?;
        let count = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        usize::try_from(count).map_err(|_| TermError::Truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn len(bytes: &[u8]) -> Result<usize, TermError> {
        term_len(bytes, Purpose::Decode)
    }

    #[test]
    fn ends_where_the_term_ends() {
        // {ok, [1 | 2]} and a byte that is not its own.
        let term = [
            104, 2, 119, 2, b'o', b'k', 108, 0, 0, 0, 1, 97, 1, 97, 2, 42,
        ];
        assert_eq!(len(&term), Ok(term.len() - 1));
        assert_eq!(len(&[104, 0]), Ok(2), "the empty tuple");
    }

    #[test]
    fn counts_that_lie_cost_nothing() {
        for bytes in [
            &[108, 255, 255, 255, 255][..],
            &[105, 255, 255, 255, 255],
            &[116, 255, 255, 255, 255],
            &[109, 255, 255, 255, 255, 0],
            &[117, 255, 255, 255, 255],
        ] {
            assert_eq!(len(bytes), Err(TermError::Truncated), "{bytes:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| [[104, 1].repeat(levels), vec![106]].concat();
        assert!(len(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(len(&nested(MAX_DEPTH + 1)), Err(TermError::TooDeep));
        assert_eq!(len(&nested(3_000_000)), Err(TermError::TooDeep));
        let skipped = |levels| term_len(&nested(levels), Purpose::Skip);
        assert_eq!(skipped(100_000), Ok(200_001));
        assert_eq!(skipped(3_000_000), Err(TermError::TooDeep));
    }

    #[test]
    fn what_makes_eetf_panic_is_refused() {
        assert_eq!(len(&[68, 0]), Err(TermError::UnknownTag(68)));
        assert_eq!(len(&[82, 0]), Err(TermError::UnknownTag(82)));
        assert_eq!(
            len(&[80, 0, 0, 0, 9]),
            Err(TermError::UnknownTag(80)),
            "compressed"
        );
        let bits = |tail| len(&[77, 0, 0, 0, 1, tail, 0]);
        assert!(bits(0).is_err() && bits(9).is_err() && bits(3).is_ok());
        let big = [vec![111, 0, 1, 0, 0, 0], vec![1; 65536]].concat();
        assert_eq!(len(&big), Err(TermError::BigInteger));
    }

    #[test]
    fn newer_terms_are_skipped_but_not_decoded() {
        // #m:r{f = 1}, OTP 29's RECORD_EXT.
        let record = [
            67, 0, 0, 0, 1, 0, 119, 1, b'm', 119, 1, b'r', 119, 1, b'f', 97, 1,
        ];
        assert_eq!(term_len(&record, Purpose::Skip), Ok(record.len()));
        assert_eq!(len(&record), Err(TermError::UnknownTag(67)));
    }

    proptest! {
        #[test]
        fn any_bytes_end_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(end) = len(&bytes) {
                prop_assert!(end <= bytes.len());
                // What the scan lets through does not hurt the decoder.
                let framed = [&[131], &bytes[..end]].concat();
                let _ = eetf::Term::decode(std::io::Cursor::new(framed));
            }
        }
    }
}
