//! Connections that are used again, and those that must not be: what the server says and does decides.

use std::{
    io::{BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use posthaste::{
    Dispatcher, HttpEventDispatcher, LogEvent,
    dispatch::{Answer, DispatchError},
};
use socket2::{Domain, Socket, Type};
use tokio::sync::Semaphore;

use crate::{
    server::{Received, read_head},
    support::{HOUR, SECOND},
};

/// What a server does with a request.
#[derive(Clone, Copy)]
struct Act {
    /// Sent once the head has come.
    early: &'static str,
    /// Whether the body is read.
    reads: bool,
    answer: &'static str,
    then: Then,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// Waits for the next request.
    Keep,
    Close,
    /// Closes its side, and reads on.
    HalfClose,
}

const OK: Act = answer("HTTP/1.1 204 x\r\n\r\n", Then::Keep);

const fn answer(answer: &'static str, then: Then) -> Act {
    Act { early: "", reads: true, answer, then }
}

/// Plays the acts, one a request, then answers 204.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    acts: Arc<Mutex<Vec<Act>>>,
    received: Arc<Mutex<Vec<Received>>>,
    /// One permit for each act that is over.
    over: Arc<Semaphore>,
}

impl Server {
    fn start(acts: &[Act]) -> Self {
        Self::serving(TcpListener::bind("127.0.0.1:0").unwrap(), acts, usize::MAX)
    }

    /// Accepts so many connections.
    fn serving(listener: TcpListener, acts: &[Act], connections_max: usize) -> Self {
        let server = Self {
            address: listener.local_addr().unwrap(),
            acts: Arc::new(Mutex::new(acts.iter().rev().copied().collect())),
            received: Arc::default(),
            over: Arc::new(Semaphore::new(0)),
        };
        let accepting = server.clone();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().take(connections_max).enumerate() {
                let server = accepting.clone();
                // Every error means that the client has gone.
                thread::spawn(move || drop(server.serve(&stream.unwrap(), number)));
            }
            // The others wait for ever.
            thread::park();
        });
        server
    }

    fn serve(&self, mut stream: &TcpStream, number: usize) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        stream.set_nodelay(true)?;
        loop {
            let request = Received { head: read_head(&mut reader)?, body: Vec::new(), connection: number };
            let act = self.acts.lock().unwrap().pop().unwrap_or(OK);
            stream.write_all(act.early.as_bytes())?;
            let mut body = vec![0; request.header("content-length").unwrap().parse().unwrap()];
            if act.reads {
                reader.read_exact(&mut body)?;
            }
            self.received.lock().unwrap().push(Received { body, ..request });
            // A client that has had enough may close before all of it is out.
            let _ = act.answer.as_bytes().iter().try_for_each(|byte| stream.write_all(&[*byte]));
            if act.then != Then::Keep {
                let _ =
                    stream.shutdown(if act.then == Then::Close { Shutdown::Both } else { Shutdown::Write });
            }
            self.over.add_permits(1);
            if !act.reads {
                thread::park();
            }
        }
    }

    fn url(&self) -> String {
        format!("http://{}/v1/events", self.address)
    }

    /// Which connection each request came on.
    fn connections(&self) -> Vec<usize> {
        self.received.lock().unwrap().iter().map(|received| received.connection).collect()
    }
}

fn dispatcher() -> HttpEventDispatcher {
    HttpEventDispatcher::builder().request_timeout(HOUR).no_proxy().build().unwrap()
}

/// One request after the other, each once the server is done with the one before and the client has had the time to
/// notice.
fn dispatch(server: &Server, bodies: &[Vec<u8>]) -> Vec<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dispatcher = dispatcher();
    runtime.block_on(async {
        let mut answers = Vec::new();
        for body in bodies {
            answers.push(dispatcher.dispatch_event(LogEvent::opaque(server.url(), body.clone())).await);
            server.over.acquire().await.unwrap().forget();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        answers
    })
}

fn small(requests: usize) -> Vec<Vec<u8>> {
    vec![b"{}".to_vec(); requests]
}

#[test]
fn a_connection_is_used_again_if_its_answer_has_ended_and_nothing_forbids_it() {
    for (answered, then, again) in [
        ("HTTP/1.1 204 x\r\n\r\n", Then::Keep, true),
        ("HTTP/1.1 204 x\r\nconnection: keep-alive\r\n\r\n", Then::Keep, true),
        ("HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\nok", Then::Keep, true),
        ("HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n", Then::Keep, true),
        ("HTTP/1.1 204 x\r\nconnection: close\r\n\r\n", Then::Keep, false),
        ("HTTP/1.1 204 x\r\n\r\nHTTP/1.1 400 x\r\ncontent-length: 0\r\n\r\n", Then::Keep, false),
        ("HTTP/1.1 204 x\r\n\r\n", Then::Close, false),
        ("HTTP/1.1 204 x\r\n\r\n", Then::HalfClose, false),
        ("HTTP/1.0 204 x\r\n\r\n", Then::Keep, false),
    ] {
        let server = Server::start(&[answer(answered, then)]);
        let answers = dispatch(&server, &small(3));
        let status: u16 = answered[9..12].parse().unwrap();
        let statuses: Vec<u16> = answers.into_iter().map(|answer| answer.unwrap().status).collect();
        assert_eq!(statuses, [status, 204, 204], "{answered:?}");
        let second = usize::from(!again);
        assert_eq!(server.connections(), [0, second, second], "{answered:?}");
    }
}

/// Nobody can know whether it has been counted: it is not sent again by the dispatcher.
#[test]
fn a_connection_that_ends_under_a_request_loses_it_once() {
    let server = Server::start(&[OK, answer("", Then::Close), OK]);
    let answers = dispatch(&server, &small(3));
    assert!(matches!(&answers[1], Err(DispatchError::Lost(_))), "{:?}", answers[1]);
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert_eq!(server.connections(), [0, 0, 1]);
}

/// More than any socket holds.
fn large() -> Vec<u8> {
    (0..32 << 20_u32).map(|at: u32| u8::try_from(at % 251).unwrap()).collect()
}

#[test]
fn an_answer_may_come_before_the_request_is_out() {
    let act = Act {
        early: "HTTP/1.1 413 x\r\ncontent-length: 3\r\n\r\nbig",
        reads: false,
        answer: "",
        then: Then::Keep,
    };
    let server = Server::start(&[act]);
    let answers = dispatch(&server, &[large(), b"{}".to_vec()]);
    let first = answers[0].as_ref().unwrap();
    assert_eq!((first.status, &*first.text), (413, "big"));
    assert_eq!((answers[1].as_ref().unwrap().status, server.connections()), (204, vec![0, 1]));
}

#[test]
fn a_server_that_has_what_was_never_sent_has_nothing() {
    let act = Act { early: "HTTP/1.1 204 x\r\n\r\n", reads: false, answer: "", then: Then::Keep };
    let server = Server::start(&[act]);
    let answers = dispatch(&server, &[large(), b"{}".to_vec()]);
    assert!(matches!(&answers[0], Err(DispatchError::Lost(_))), "{:?}", answers[0]);
    assert_eq!((answers[1].as_ref().unwrap().status, server.connections()), (204, vec![0, 1]));
}

/// It says 204 to each connection as soon as it is there, and closes it unread: nothing of that is an answer.
#[test]
fn an_answer_that_is_there_before_anything_was_asked_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/events", listener.local_addr().unwrap());
    let (ready, said) = std::sync::mpsc::sync_channel(1);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").unwrap();
            ready.send(stream).unwrap();
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dispatcher = dispatcher();
    let mut early = 0;
    for _ in 0..20 {
        let request = LogEvent::opaque(url.clone(), b"{}".to_vec());
        let answer = runtime.block_on(dispatcher.dispatch_event(request));
        let stream = said.recv().unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut taken = Vec::new();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let _ = (&stream).read_to_end(&mut taken);
        // Where the answer came after the question, however shortly, nobody can tell the difference.
        early += usize::from(taken.is_empty());
        assert!(answer.is_err() || !taken.is_empty(), "nothing was sent, and {answer:?}");
    }
    println!("{early} of 20 were seen before anything was sent");
}

/// hyper takes over in the midst of the request: every byte goes out once.
#[test]
fn an_interim_answer_changes_nothing_wherever_it_comes() {
    for early in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 x\r\nlink: </x>\r\n\r\n"] {
        for body in [b"{}".to_vec(), large()] {
            let server = Server::start(&[Act { early, ..OK }]);
            let bodies = [body, b"[]".to_vec()];
            let answers = dispatch(&server, &bodies);
            assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 204)));
            let received: Vec<Vec<u8>> =
                server.received.lock().unwrap().iter().map(|received| received.body.clone()).collect();
            assert!(received == bodies, "{early:?}");
        }
    }
}

#[test]
fn a_request_that_is_not_waited_for_any_longer_leaves_no_connection_behind() {
    let server = Server::start(&[answer("HTTP/1.1 204 x\r\n", Then::Keep)]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dispatcher = dispatcher();
    let request = || LogEvent::opaque(server.url(), "{}");
    runtime.block_on(async {
        let abandoned = tokio::time::timeout(SECOND / 5, dispatcher.dispatch_event(request())).await;
        assert!(abandoned.is_err());
        assert_eq!(dispatcher.dispatch_event(request()).await.unwrap().status, 204);
    });
    assert_eq!(server.connections(), [0, 1]);
}

/// The system lets nobody else in while the first connection is served: requests share that one, and wait for no other.
#[test]
fn a_server_that_lets_nobody_in_is_asked_on_the_connections_that_it_has() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let server = Server::serving(listener.into(), &[], 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dispatcher = HttpEventDispatcher::builder().connect_timeout(HOUR).no_proxy().build().unwrap();
    let request = || dispatcher.dispatch_event(LogEvent::opaque(server.url(), "{}"));
    runtime.block_on(async {
        assert_eq!(request().await.unwrap().status, 204);
        let within = Duration::from_millis(200);
        let let_in = std::iter::from_fn(|| TcpStream::connect_timeout(&server.address, within).ok());
        let waiting: Vec<TcpStream> = let_in.take(100).collect();
        assert!(waiting.len() < 100, "the system lets everybody in");
        let requests = (0..20).map(|_| request());
        let answers = tokio::time::timeout(SECOND * 60, futures_util::future::join_all(requests)).await;
        assert!(
            answers.unwrap().iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 204))
        );
    });
    assert_eq!(server.connections(), [0; 21]);
}
