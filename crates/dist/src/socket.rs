//! A TCP connection that wakes its task when something comes, or does not.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use tokio_util::either::Either;

/// A stream that can be told not to wake its task.
pub(crate) trait Quietable {
    /// Whether the task is woken when the stream can be read or written again. Until then
    /// whoever waits has to look.
    fn set_quiet(&mut self, quiet: bool) -> io::Result<()>;
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) enum Socket {
    Woken(TcpStream),
    Quiet(std::net::TcpStream),
    /// Between both; for good if the runtime could not take it back.
    Lost,
}

impl Quietable for Socket {
    fn set_quiet(&mut self, quiet: bool) -> io::Result<()> {
        *self = match (std::mem::replace(self, Self::Lost), quiet) {
            (Self::Woken(stream), true) => Self::Quiet(stream.into_std()?),
            (Self::Quiet(stream), false) => Self::Woken(TcpStream::from_std(stream)?),
            (unchanged, _) => unchanged,
        };
        Ok(())
    }
}

fn lost() -> io::Error {
    io::Error::from(ErrorKind::NotConnected)
}

fn ready<T>(outcome: io::Result<T>) -> Poll<io::Result<T>> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        outcome => Poll::Ready(outcome),
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Woken(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Quiet(stream) => {
                let read = stream.read(buf.initialize_unfilled());
                ready(read.map(|count| buf.advance(count)))
            }
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Woken(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Quiet(stream) => ready(stream.write(bytes)),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Woken(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Quiet(stream) => ready(stream.write_vectored(slices)),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Woken(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Quiet(stream) => Poll::Ready(stream.shutdown(std::net::Shutdown::Write)),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }
}

impl<S: Quietable> Quietable for SslStream<S> {
    fn set_quiet(&mut self, quiet: bool) -> io::Result<()> {
        self.get_mut().set_quiet(quiet)
    }
}

impl<L: Quietable, R: Quietable> Quietable for Either<L, R> {
    fn set_quiet(&mut self, quiet: bool) -> io::Result<()> {
        match self {
            Self::Left(stream) => stream.set_quiet(quiet),
            Self::Right(stream) => stream.set_quiet(quiet),
        }
    }
}

/// Always woken.
#[cfg(test)]
impl Quietable for tokio::io::DuplexStream {
    fn set_quiet(&mut self, _: bool) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
impl<R, W> Quietable for tokio::io::Join<R, W> {
    fn set_quiet(&mut self, _: bool) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Socket::Woken(ours.unwrap()), theirs.unwrap().0)
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn quiet_socket_wakes_nobody_and_has_all_that_came_when_it_is_asked() {
        let (mut ours, mut theirs) = pair().await;
        let wakes = Arc::new(Wakes::default());
        let waker = Arc::clone(&wakes).into();
        let mut cx = Context::from_waker(&waker);
        let (mut bytes, mut came) = ([0; 64], 0);
        let mut read = |ours: &mut Socket| {
            let mut buf = ReadBuf::new(&mut bytes);
            let read = Pin::new(ours).poll_read(&mut cx, &mut buf);
            assert!(!matches!(read, Poll::Ready(Err(_))));
            buf.filled().len()
        };
        assert_eq!(read(&mut ours), 0);
        ours.set_quiet(true).unwrap();
        theirs.write_all(&[7; 24]).await.unwrap();
        let asking = async {
            while came < 24 {
                came += read(&mut ours);
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, asking).await.expect("nothing came");
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        Pin::new(&mut ours).write_all(b"ok").await.unwrap();
        let mut answer = [0; 2];
        let read = timeout(LIMIT, theirs.read_exact(&mut answer)).await;
        read.expect("no answer").unwrap();
        assert_eq!(&answer, b"ok");
    }

    #[tokio::test]
    async fn socket_that_is_woken_again_sees_what_came_meanwhile() {
        let (mut ours, mut theirs) = pair().await;
        ours.set_quiet(true).unwrap();
        theirs.write_all(&[7; 24]).await.unwrap();
        ours.set_quiet(false).unwrap();
        let mut bytes = [0; 24];
        let read = timeout(LIMIT, ours.read_exact(&mut bytes)).await;
        read.expect("it was not woken").unwrap();
        drop(theirs);
        ours.set_quiet(true).unwrap();
        ours.set_quiet(false).unwrap();
        let read = timeout(LIMIT, ours.read(&mut bytes)).await;
        assert_eq!(read.expect("it was not woken").unwrap(), 0);
    }
}
