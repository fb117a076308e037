//! Scratch servers and fake peers for tests.
