//! The distribution flags that we offer and demand.

use erl_dist::DistributionFlags as Flags;

/// erl_dist has 1 << 36 here, which is LOCAL_EXT (dist.h of OTP 25 and later).
const MANDATORY_25_DIGEST: Flags = Flags::from_bits_truncate(0x400_0000);

/// What a BEAM of OTP 23 to 29 accepts, and what we can live up to.
///
/// Left out with intent: PUBLISHED (we are hidden), DIST_HDR_ATOM_CACHE and
/// FRAGMENTS (frames stay plain; docs/DISTRIBUTION.md has the figures), EXIT_PAYLOAD (without it every release takes
/// and sends the plain exit messages), SEND_SENDER (optional).
pub(crate) const OFFERED: Flags = union(&[
    DEMANDED,
    Flags::FUN_TAGS,
    Flags::EXPORT_PTR_TAG,
    Flags::BIT_BINARIES,
    Flags::NEW_FLOATS,
    Flags::MAP_TAGS,
    Flags::UNLINK_ID,
    Flags::V4_NC,
    MANDATORY_25_DIGEST,
    Flags::DIST_MONITOR,
    Flags::DIST_MONITOR_NAME,
    Flags::SPAWN,
    Flags::ALIAS,
    Flags::SMALL_ATOM_TAGS,
    Flags::UNICODE_IO,
]);

/// What we cannot do without: the set that every release since OTP 23 demands.
const DEMANDED: Flags = union(&[
    Flags::EXTENDED_REFERENCES,
    Flags::NEW_FUN_TAGS,
    Flags::EXTENDED_PIDS_PORTS,
    Flags::UTF8_ATOMS,
    Flags::BIG_CREATION,
    Flags::HANDSHAKE_23,
]);

/// Whether a peer with these flags can be linked to.
pub(crate) fn suffice(peer: Flags) -> bool {
    peer.contains(DEMANDED)
}

/// Whether links to processes of a peer are ended with an acknowledgement: OTP 23.3
/// and later.
pub(crate) fn knows_unlink_id(peer: Flags) -> bool {
    peer.contains(Flags::UNLINK_ID)
}

/// Whether processes can be asked for at a peer: OTP 23 and later, and few others.
pub(crate) fn takes_spawns(peer: Flags) -> bool {
    peer.contains(Flags::SPAWN)
}

/// Whether a peer with these flags is a hidden node.
pub(crate) fn is_hidden(peer: Flags) -> bool {
    !peer.contains(Flags::PUBLISHED)
}

const fn union(flags: &[Flags]) -> Flags {
    let (mut bits, mut next) = (0, 0);
    while next < flags.len() {
        bits |= flags[next].bits();
        next += 1;
    }
    Flags::from_bits_truncate(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offered_is_what_all_releases_took() {
        assert_eq!(OFFERED.bits(), 0xd_0707_5fbc);
        assert!(is_hidden(OFFERED));
    }

    #[test]
    fn flags_of_real_releases_suffice() {
        for bits in [0x1_01df_7fbd, 0xd_07df_7fbd, 0x6d_07df_7fbd] {
            let flags = Flags::from_bits_truncate(bits);
            assert!(suffice(flags) && !is_hidden(flags), "{bits:#x}");
        }
    }

    #[test]
    fn the_trap_in_erl_dist_is_still_there() {
        // The day this fails, the constant of our own can go.
        assert_eq!(Flags::MANDATORY_25_DIGEST.bits(), 1 << 36);
    }
}
