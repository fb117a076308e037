//! What is sent, from a seed.

use pgmesh_epmd::codec::Incoming;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// One thing that is done to an EPMD.
#[derive(Debug)]
pub(crate) enum Step {
    /// A new connection says these, one after the other was read. It is held if it
    /// stays open.
    Ask {
        pieces: Vec<Vec<u8>>,
        then_shut: bool,
        over_ipv6: bool,
    },
    /// One of the connections that are held says something.
    Speak { held: usize, bytes: Vec<u8> },
    /// One of them is closed.
    Close { held: usize },
    /// One of them is reset.
    Reset { held: usize },
}

pub(crate) struct Script {
    rng: StdRng,
    relaxed: bool,
}

impl Script {
    pub(crate) fn new(seed: u64, relaxed: bool) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self { rng, relaxed }
    }

    pub(crate) fn next_step(&mut self) -> Step {
        let held = self.rng.random_range(0..1000);
        match self.rng.random_range(0..100) {
            0..6 => Step::Close { held },
            6..9 => Step::Reset { held },
            9..12 => Step::Speak {
                held,
                bytes: self.bytes(1..4000),
            },
            _ => self.ask(),
        }
    }

    fn ask(&mut self) -> Step {
        let bytes = self.request();
        Step::Ask {
            pieces: self.pieces(bytes),
            then_shut: self.chance(10),
            over_ipv6: self.chance(20),
        }
    }

    /// What is refused before its end is sent whole: how it ends depends on how much of
    /// it was there by then.
    fn pieces(&mut self, mut bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        let is_refused = Incoming::default().push(&bytes).is_err();
        while !is_refused && bytes.len() > 1 && self.chance(25) {
            let at = match self.chance(50) {
                true => 1,
                false => self.rng.random_range(1..bytes.len()),
            };
            let rest = bytes.split_off(at);
            pieces.push(std::mem::replace(&mut bytes, rest));
        }
        pieces.push(bytes);
        pieces
    }

    fn request(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..100) {
            // Mutants of a request that was good.
            0..20 => {
                let mut request = self.known();
                self.spoil(&mut request);
                request
            }
            20..26 => self.bytes(0..40),
            26..30 => self.bytes(2000..5000),
            _ => self.known(),
        }
    }

    fn known(&mut self) -> Vec<u8> {
        let body = match self.rng.random_range(0..100) {
            0..45 => self.alive2(),
            45..75 => [b"z", &self.name()[..], &self.tail()].concat(),
            75..85 => [b"n", &self.tail()[..]].concat(),
            85..90 => [b"d", &self.tail()[..]].concat(),
            90..97 => [b"s", &self.name()[..], &self.tail()].concat(),
            // It ends a relaxed one, which a test of its own shows.
            97 if !self.relaxed => self.kill(),
            _ => self.bytes(1..30),
        };
        // The opcode of random bytes may be any.
        let body = match body.first() {
            Some(b'k') if self.relaxed => b"n".to_vec(),
            _ => body,
        };
        counted(&body)
    }

    /// A strict EPMD ends, too, if it has no names: one is always held.
    fn kill(&mut self) -> Vec<u8> {
        [b"k", &self.tail()[..]].concat()
    }

    fn alive2(&mut self) -> Vec<u8> {
        let name = self.name();
        let len = *[0, 0, 0, 0, 1, 7, 1019, 1020, 1021, 1500, 2900]
            .choose(&mut self.rng)
            .unwrap();
        let extra = self.bytes(len..len + 1);
        let highest = *[0u16, 4, 5, 6, 6, 6, 7, u16::MAX]
            .choose(&mut self.rng)
            .unwrap();
        let mut body = vec![b'x'];
        body.extend(self.rng.random::<u16>().to_be_bytes());
        body.extend([*[77, 72, 0, 255].choose(&mut self.rng).unwrap(), 0]);
        body.extend(highest.to_be_bytes());
        body.extend(5u16.to_be_bytes());
        body.extend(counted(&name));
        body.extend(counted(&extra));
        body.extend(self.tail());
        body
    }

    /// Few of them, so that they meet again.
    fn name(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..100) {
            0..60 => vec![self.rng.random_range(b'a'..=b'h')],
            60..64 => Vec::new(),
            64..68 => b"a\0b".to_vec(),
            68..72 => b"\0".to_vec(),
            72..76 => vec![b'q'; *[253, 254, 255, 256, 300].choose(&mut self.rng).unwrap()],
            76..80 => "é".repeat(self.rng.random_range(250..260)).into_bytes(),
            80..84 => "😀".repeat(self.rng.random_range(253..257)).into_bytes(),
            84..88 => b"\xed\xa0\x80".to_vec(),
            88..92 => b"ok\xff".to_vec(),
            92..96 => b"\xc3".to_vec(),
            _ => self.bytes(0..12),
        }
    }

    fn tail(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..10) {
            0 => vec![0],
            1 => self.bytes(0..6),
            _ => Vec::new(),
        }
    }

    fn spoil(&mut self, request: &mut Vec<u8>) {
        match self.rng.random_range(0..4) {
            0 => {
                let at = self.rng.random_range(0..request.len());
                // Not the opcode: it may become one that ends EPMD.
                if at != 2 {
                    request[at] = self.rng.random();
                }
            }
            1 => request.truncate(self.rng.random_range(0..request.len())),
            2 => request.extend(self.bytes(1..10)),
            _ => {
                let length: u16 = *[0, 1, 2, 12, 13, 3057, 3058, u16::MAX]
                    .choose(&mut self.rng)
                    .unwrap();
                request[..2].copy_from_slice(&length.to_be_bytes());
            }
        }
    }

    fn bytes(&mut self, len: std::ops::Range<usize>) -> Vec<u8> {
        let len = self.rng.random_range(len);
        let mut bytes = vec![0; len];
        self.rng.fill(&mut bytes[..]);
        // No chance for a request to end.
        if let Some(opcode) = bytes.get_mut(2)
            && *opcode == b'k'
        {
            *opcode = b'j';
        }
        bytes
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    [&len.to_be_bytes()[..], bytes].concat()
}
