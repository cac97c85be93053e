//! The status decides: once it has come there is an answer, however odd, slow or endless the rest is.

use std::{
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, Dispatcher, HttpEventDispatcher,
    dispatch::{Answer, DispatchError, Response, RetryAfter},
};
use socket2::SockRef;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    http::{dispatch_all, request},
    server::{Received, read_head},
    support::{HOUR, SECOND, impressions, larkspur},
};

/// What comes after the beginning of an answer.
#[derive(Debug, Clone, Copy)]
enum Then {
    Silence,
    /// Something now and then, for ever.
    Drip,
    /// As much as the connection takes, for ever.
    Flood,
    Close,
    Reset,
}

/// Gives every request the same answer, one a connection.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    /// What the answer begins with.
    begin: Arc<str>,
    /// What it goes on with, where it goes on.
    piece: Arc<str>,
    then: Then,
    connections: Arc<AtomicUsize>,
    /// One permit for each connection that the client has closed.
    closed: Arc<Semaphore>,
}

impl Server {
    fn start(begin: &str, piece: &str, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            begin: begin.into(),
            piece: piece.into(),
            then,
            connections: Arc::default(),
            closed: Arc::new(Semaphore::new(0)),
        };
        let accepting = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                let server = accepting.clone();
                thread::spawn(move || {
                    // Every error means that the client has gone.
                    drop(server.serve(&stream.unwrap()));
                    server.closed.add_permits(1);
                });
            }
        });
        server
    }

    fn serve(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let request = Received { head: read_head(&mut reader)?, body: Vec::new(), connection: 0 };
        let length = request.header("content-length").unwrap().parse().unwrap();
        reader.read_exact(&mut vec![0; length])?;
        stream.write_all(self.begin.as_bytes())?;
        let flood = self.piece.repeat(1_000);
        match self.then {
            Then::Silence => assert_eq!(reader.read(&mut [0])?, 0, "the connection was used again"),
            Then::Drip => loop {
                stream.write_all(self.piece.as_bytes())?;
                thread::sleep(Duration::from_millis(20));
            },
            Then::Flood => loop {
                stream.write_all(flood.as_bytes())?;
            },
            Then::Close => {}
            Then::Reset => SockRef::from(stream).set_linger(Some(Duration::ZERO))?,
        }
        Ok(())
    }

    fn url(&self) -> String {
        format!("http://{}/v1/events", self.address)
    }
}

fn dispatcher(request_timeout: Duration) -> HttpEventDispatcher {
    HttpEventDispatcher::builder().request_timeout(request_timeout).no_proxy().build().unwrap()
}

fn dispatch(server: &Server, request_timeout: Duration) -> Answer {
    dispatch_all(&dispatcher(request_timeout), vec![request(&server.url())]).remove(0)
}

/// The ways in which a text may be framed: what the head says of it, and a piece of it.
const FRAMES: [(&str, &str, &str); 4] = [
    ("content-length: 99999999\r\n", "some text", "x"),
    ("transfer-encoding: chunked\r\n", "9\r\nsome text\r\n", "1\r\nx\r\n"),
    ("", "some text", "x"),
    ("content-type: text/plain\r\ncontent-length: 10\r\n", "some text", ""),
];

/// Twice over the same client: the second request must find no trace of the first.
#[test]
fn a_text_that_does_not_end_changes_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dispatcher = dispatcher(HOUR);
    let mut cases = JoinSet::new();
    for status in [200, 204, 299, 301, 400, 413, 422, 429, 500, 503, 999] {
        for (head, text, piece) in FRAMES {
            let goes_on = if piece.is_empty() { &[][..] } else { &[Then::Drip, Then::Flood] };
            for &then in [Then::Silence, Then::Close].iter().chain(goes_on) {
                let begin = format!("HTTP/1.1 {status} x\r\nretry-after: 7\r\n{head}\r\n{text}");
                let server = Server::start(&begin, piece, then);
                let dispatcher = dispatcher.clone();
                cases.spawn_on(
                    async move {
                        for round in 1..=2 {
                            let case = format!("{status} {head:?} {then:?}, round {round}");
                            let answer = dispatcher.dispatch_event(request(&server.url())).await;
                            check(&answer.unwrap_or_else(|error| panic!("{case}: {error}")), status, &case);
                            assert_eq!(server.connections.load(Ordering::SeqCst), round, "{case}");
                        }
                        let closed = tokio::time::timeout(SECOND * 60, server.closed.acquire());
                        assert!(closed.await.is_ok(), "{status} {head:?} {then:?}: still open");
                    },
                    runtime.handle(),
                );
            }
        }
    }
    runtime.block_on(async {
        while let Some(case) = cases.join_next().await {
            case.unwrap();
        }
    });
}

/// It may still come, and must not be taken for the next request's answer.
#[test]
fn a_text_that_a_status_cannot_have_is_not_waited_for() {
    for status in [204, 304] {
        for head in ["content-length: 9\r\n", "transfer-encoding: chunked\r\n", "content-length: nine\r\n"] {
            let server = Server::start(&format!("HTTP/1.1 {status} x\r\n{head}\r\n"), "", Then::Silence);
            let answers = dispatch_all(&dispatcher(HOUR), vec![request(&server.url()); 2]);
            assert_eq!(answers, vec![Ok(Response::status(status)); 2], "{head:?}");
            assert_eq!(server.connections.load(Ordering::SeqCst), 2, "{head:?}");
        }
    }
}

fn check(answer: &Response, status: u16, case: &str) {
    assert_eq!(answer.status, status, "{case}");
    assert_eq!(answer.retry_after, Some(RetryAfter::Delay(SECOND * 7)), "{case}");
    let expected = if status == 204 { "" } else { "some text" };
    assert!(answer.text.starts_with(expected), "{case}: {:?}", answer.text);
    assert!(answer.text.len() <= posthaste::dispatch::TEXT_BYTES_MAX, "{case}");
}

/// A busy machine may be late once, and not every time.
#[test]
fn a_text_has_a_second_and_no_more_than_the_request_has_left() {
    let begin = "HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nsome";
    let took = |timeout| {
        let start = tokio::time::Instant::now();
        let server = Server::start(begin, "", Then::Silence);
        assert_eq!(dispatch(&server, timeout), Ok(Response::status(200).with_text("some")));
        start.elapsed()
    };
    assert!(took(HOUR) >= SECOND);
    assert!((0..10).any(|_| took(SECOND / 2) < SECOND));
}

#[test]
fn only_a_whole_head_is_an_answer() {
    let endless_line = "HTTP/1.1 204 x\r\nx: ";
    for (begin, piece, then) in [
        ("", "", Then::Silence),
        ("HTTP/1.1 204", "", Then::Silence),
        ("HTTP/1.1 204 x\r\n", "", Then::Silence),
        ("HTTP/1.1 204 x\r\nx: y\r\n", "", Then::Silence),
        (endless_line, "y", Then::Drip),
        ("HTTP/1.1 204 x\r\n", "x: y\r\n", Then::Drip),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", Then::Drip),
        ("", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", Then::Drip),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", Then::Flood),
        ("", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", Then::Flood),
    ] {
        let timeout = Duration::from_millis(200);
        let answer = dispatch(&Server::start(begin, piece, then), timeout);
        assert_eq!(answer, Err(DispatchError::TimedOut(timeout)), "{begin:?} {piece:?} {then:?}");
    }
    for (begin, piece, then) in [
        ("", "", Then::Close),
        ("HTTP/1.1 204 x\r\nx: y\r\n", "", Then::Close),
        ("HTTP/1.1 100 Continue\r\n\r\n", "", Then::Reset),
        (endless_line, "y", Then::Flood),
        ("HTTP/1.1 204 x\r\n", "x: y\r\n", Then::Flood),
        ("SSH-2.0-OpenSSH_9.2\r\n", "", Then::Silence),
    ] {
        let answer = dispatch(&Server::start(begin, piece, then), HOUR);
        assert!(matches!(answer, Err(DispatchError::Lost(_))), "{begin:?} {piece:?} {then:?}: {answer:?}");
    }
}

#[test]
fn an_odd_head_is_an_answer_too() {
    let many: Vec<String> = (0..900).map(|n| format!("x-{n}: y\r\n")).collect();
    let begins = [
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 204\r\n\r\n".to_owned(),
        "HTTP/1.0 204 No Content\r\n\r\n".to_owned(),
        format!("{}HTTP/1.1 204 x\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n".repeat(500)),
        format!("{}HTTP/1.1 204 x\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(20_000)),
        format!("HTTP/1.1 204 x\r\n{}\r\n", many.concat()),
        format!("HTTP/1.1 204 x\r\nx: {}\r\n\r\n", "y".repeat(300_000)),
        "HTTP/1.1 204 x\r\nno good: y\r\n\r\n".to_owned(),
        "HTTP/1.1 204 x\r\nretry-after: \u{fffd}\r\n\r\n".to_owned(),
        "HTTP/1.1 204 x\r\n\r\nHTTP/1.1 400 x\r\ncontent-length: 0\r\n\r\n".to_owned(),
    ];
    for begin in begins {
        let answer = dispatch(&Server::start(&begin, "", Then::Close), HOUR);
        assert_eq!(answer, Ok(Response::status(204)), "{:?}", begin.get(..80));
    }
}

/// Each event is asked for once; with the status, a dead letter has the text that came.
#[test]
fn events_are_delivered_or_refused_once_by_servers_whose_answers_never_end() {
    thread::scope(|scope| {
        for (status, ledger) in [(200, (1, 0)), (400, (0, 1)), (422, (0, 1))] {
            for (head, text, piece) in FRAMES {
                let begin = format!("HTTP/1.1 {status} x\r\n{head}\r\n{text}");
                let then = if piece.is_empty() { Then::Silence } else { Then::Drip };
                let server = Server::start(&begin, piece, then);
                scope.spawn(move || assert_eq!(ledger_of(&server), ledger, "{begin:?}"));
            }
        }
    });
}

/// Events delivered and dead-lettered, of one.
fn ledger_of(server: &Server) -> (u64, u64) {
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(dispatcher(SECOND * 30))
        .event_end_point(server.url())
        .build()
        .unwrap();
    for event in impressions(&larkspur(), 1) {
        processor.process_event(event).unwrap().forget();
    }
    let report = processor.close(HOUR).wait();
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "{}", server.begin);
    for letter in processor.dead_letters() {
        assert!(letter.text.starts_with("some text"), "{}", letter.text);
    }
    (report.delivered, report.dead_lettered)
}
