//! Serves routes to whoever connects, within bounds: a connection costs little,
//! there are so many at most, and one that does nothing makes room for a new one.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::answer::Room;
use super::connections::{Connections, Place};

/// How long a connection may take to send the head of a request, or send nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the other side may read nothing of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Answers until it is to end, and returns when all answers that were under way then
/// have been given. Errors of single connections end those alone.
pub(super) async fn serve<L: Listener>(mut listener: L, routes: Router, end: CancellationToken) {
    let (connections, room) = (Connections::default(), Room::default());
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            // None: as many requests are being answered as may be.
            (stream, _) = listener.accept() => if let Some(place) = connections.admit() {
                open.spawn(serve_one(stream, routes.clone(), place, room.clone(), end.clone()));
            },
            Some(_) = open.join_next() => {}
            () = end.cancelled() => break,
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

async fn serve_one<S>(
    stream: S,
    routes: Router,
    place: Arc<Place>,
    room: Room,
    end: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(|request: Request<Incoming>| {
        let in_use = place.take_up();
        let (answer, room) = (routes.call(request), room.clone());
        async move { answer.await.map(|answer| room.take_in(answer, in_use)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // Whatever ended it, it ended for this connection alone.
        _ = &mut connection => return,
        () = place.lost() => return,
        () = end.cancelled() => {}
    }
    // After the answer under way it is closed, and at once if there is none.
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use bytes::Bytes;
    use futures_util::stream;
    use std::io;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::mpsc;
    use tokio::time::{Instant, sleep};

    /// Connections that are pipes of a few bytes.
    struct Pipes(mpsc::UnboundedReceiver<DuplexStream>);

    impl Listener for Pipes {
        type Io = DuplexStream;
        type Addr = ();

        async fn accept(&mut self) -> (DuplexStream, ()) {
            match self.0.recv().await {
                Some(pipe) => (pipe, ()),
                None => std::future::pending().await,
            }
        }

        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn connect_to(routes: Router) -> DuplexStream {
        let (server, pipes) = started(routes, CancellationToken::new());
        tokio::spawn(server);
        connect(&pipes)
    }

    fn started(
        routes: Router,
        end: CancellationToken,
    ) -> (
        impl Future<Output = ()>,
        mpsc::UnboundedSender<DuplexStream>,
    ) {
        let (pipes, accepted) = mpsc::unbounded_channel();
        (serve(Pipes(accepted), routes, end), pipes)
    }

    fn connect(pipes: &mpsc::UnboundedSender<DuplexStream>) -> DuplexStream {
        let (ours, theirs) = duplex(1024);
        pipes.send(theirs).unwrap();
        ours
    }

    fn endless() -> Router {
        let chunks = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 512])));
        let body = || async { Body::from_stream(chunks) };
        Router::new().route("/", get(body))
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_nobody_reads_ends_its_connection() {
        let mut connection = connect_to(endless());
        connection
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        sleep(WRITE_TIMEOUT * 2).await;
        // What fitted into the pipe, and then its end: an answer still written
        // would have none.
        let mut read = Vec::new();
        connection.read_to_end(&mut read).await.unwrap();
        assert!(read.starts_with(b"HTTP/1.1 200 "));
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_is_read_slowly_goes_on() {
        let mut connection = connect_to(endless());
        connection
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        for _ in 0..20 {
            sleep(WRITE_TIMEOUT / 2).await;
            connection.read_exact(&mut [0; 512]).await.unwrap();
        }
    }

    /// The head of an answer, as far as the status.
    async fn status(connection: &mut DuplexStream) -> String {
        let mut head = [0; 12];
        connection.read_exact(&mut head).await.unwrap();
        String::from_utf8_lossy(&head[9..]).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn large_answers_that_nobody_reads_leave_room_for_small_ones_alone() {
        const LARGE: usize = 5 * 1024 * 1024;
        let large = || async { vec![b'x'; LARGE] };
        let routes = Router::new().route("/large", get(large));
        let routes = routes.route("/small", get(|| async { "small" }));
        let (server, pipes) = started(routes, CancellationToken::new());
        tokio::spawn(server);
        let ask = async |page: &str| {
            let mut connection = connect(&pipes);
            let request = format!("GET {page} HTTP/1.1\r\n\r\n");
            connection.write_all(request.as_bytes()).await.unwrap();
            let status = status(&mut connection).await;
            (status, connection)
        };
        let (first, mut read) = ask("/large").await;
        let (second, _unread) = ask("/large").await;
        let (third, _unread_either) = ask("/large").await;
        assert_eq!([first, second, third], ["200", "200", "200"]);
        assert_eq!(ask("/large").await.0, "503");
        assert_eq!(ask("/small").await.0, "200");
        // To its end, but for what the connection has in its own buffers.
        let mut rest = vec![0; LARGE - 64 * 1024];
        read.read_exact(&mut rest).await.unwrap();
        read.read_exact(&mut rest[..32 * 1024]).await.unwrap();
        drop(read);
        tokio::task::yield_now().await;
        assert_eq!(ask("/large").await.0, "200");
    }

    #[tokio::test(start_paused = true)]
    async fn connection_that_asks_nothing_is_closed() {
        let mut connection = connect_to(endless());
        connection.write_all(b"GET / HT").await.unwrap();
        let started = Instant::now();
        let mut read = Vec::new();
        connection.read_to_end(&mut read).await.unwrap();
        assert!(started.elapsed() >= HEAD_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn head_that_is_too_long_is_refused() {
        let mut connection = connect_to(endless());
        let (mut reader, mut writer) = tokio::io::split(&mut connection);
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(2 * MAX_HEAD));
        let mut read = Vec::new();
        // The other end closes before it has read all.
        let (_, read_it) = tokio::join!(
            writer.write_all(long.as_bytes()),
            reader.read_to_end(&mut read)
        );
        read_it.unwrap();
        assert!(read.starts_with(b"HTTP/1.1 431 "));
    }

    #[tokio::test(start_paused = true)]
    async fn end_waits_for_the_answer_under_way_and_for_nobody_else() {
        let slow = || async { sleep(Duration::from_secs(1)).await };
        let routes = Router::new().route("/", get(slow));
        let end = CancellationToken::new();
        let (server, pipes) = started(routes, end.clone());
        let server = tokio::spawn(server);
        let (mut asking, _idle) = (connect(&pipes), connect(&pipes));
        asking.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        sleep(Duration::from_millis(500)).await;
        end.cancel();
        let started = Instant::now();
        server.await.unwrap();
        // Of the second that the answer takes, half was left.
        assert_eq!(started.elapsed().as_millis(), 500);
        let mut read = Vec::new();
        asking.read_to_end(&mut read).await.unwrap();
        assert!(read.starts_with(b"HTTP/1.1 200 "));
    }
}
