//! A connection that was answered, and stays open as long as its registration.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;

use crate::codec::MAX_REQUEST;
use crate::names::RegistrationId;

pub(crate) struct Held {
    pub(crate) stream: TcpStream,
    /// `None` if it was refused.
    pub(crate) registration: Option<RegistrationId>,
}

impl Held {
    /// Whether its peer has closed it or said something, which ends it.
    ///
    /// What is not read here makes the close a reset, as with OTP's EPMD.
    pub(crate) fn is_over(&self) -> bool {
        let read = (&self.stream).read(&mut [0; MAX_REQUEST + 1]);
        !matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}
