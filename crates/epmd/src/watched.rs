//! Which of many sockets are ready, at no memory of ours for each.
//!
//! A runtime takes half a kilobyte and more for each socket that a task waits for, and
//! a name is held for months. These are watched by an epoll of their own, and the
//! runtime watches that.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop::consume_budget;

/// How many are ready at a time.
pub(crate) const BATCH: usize = 256;

pub(crate) struct Watched {
    epoll: AsyncFd<OwnedFd>,
}

/// What a socket is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Something to read, or the end.
    Reading,
    /// Room for something to be said, or the end.
    Writing,
    /// Nothing, for a while.
    Nothing,
}

impl Watched {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe; an OwnedFd keeps its promise"
        )]
        let epoll = AsyncFd::with_interest(epoll, Interest::READABLE)?;
        Ok(Self { epoll })
    }

    /// Watches a socket, which was watched for something else before or not at all,
    /// until it is closed.
    pub(crate) fn watch(
        &self,
        socket: impl AsFd,
        before: Option<For>,
        what: For,
    ) -> io::Result<()> {
        let change = match before {
            None => epoll::add,
            Some(before) if before == what => return Ok(()),
            Some(_) => epoll::modify,
        };
        let number = socket.as_fd().as_raw_fd().unsigned_abs().into();
        let data = EventData::new_u64(number);
        Ok(change(self.epoll.get_ref(), socket, data, what.flags())?)
    }

    /// Waits until sockets are ready, and returns [`BATCH`] of them at most. Each is told
    /// again as long as it is ready.
    ///
    /// Cancel safe.
    pub(crate) async fn ready(&self) -> io::Result<Vec<RawFd>> {
        // Under a flood this would never wait, and others have a turn, too.
        consume_budget().await;
        loop {
            let mut guard = self.epoll.readable().await?;
            let ready = look(guard.get_inner())?;
            if !ready.is_empty() {
                return Ok(ready);
            }
            guard.clear_ready();
        }
    }
}

fn look(epoll: &OwnedFd) -> io::Result<Vec<RawFd>> {
    let mut room = [const { MaybeUninit::uninit() }; BATCH];
    let (events, _) = epoll::wait(epoll, &mut room, Some(&Timespec::default()))?;
    let numbers = events.iter().map(|event| event.data.u64());
    Ok(numbers
        .filter_map(|number| number.try_into().ok())
        .collect())
}

impl For {
    fn flags(self) -> EventFlags {
        match self {
            Self::Reading => EventFlags::IN | EventFlags::RDHUP,
            Self::Writing => EventFlags::OUT,
            Self::Nothing => EventFlags::empty(),
        }
    }
}
