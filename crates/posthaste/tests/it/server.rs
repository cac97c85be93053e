//! A server of plain sockets that behaves as badly as it is told to.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use socket2::SockRef;

/// What the server does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// Answers with this status, these further header lines and this body.
    Status(u16, &'static str, &'static str),
    /// Answers, and closes the connection without having said so.
    StatusThenClose(u16),
    /// `100 Continue`, then 204.
    Continue,
    /// Reads half of the body, then resets the connection.
    ResetInBody,
    /// Reads everything, then closes without an answer: the request may have been counted.
    CloseUnanswered,
    /// Reads everything and never answers, the connection open.
    Silence,
    /// Begins an answer that never ends.
    Endless,
    /// Answers with something else than HTTP.
    Garbage,
}

pub(crate) const OK: Reply = Reply::Status(204, "", "");

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Which of the server's connections it came on, from 0.
    pub(crate) connection: usize,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Reply>,
    received: Vec<Received>,
    /// Connections that are to stay open without an answer.
    held: Vec<TcpStream>,
}

impl Server {
    /// Does these things, one a request, and answers 204 from then on.
    pub(crate) fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), ..State::default() }));
        let server = Self { address: listener.local_addr().unwrap(), state };
        let accepting = server.clone();
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let server = accepting.clone();
                // A client that hangs up ends the connection, nothing else.
                thread::spawn(move || drop(server.serve(&stream.unwrap(), connection)));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1/events", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    fn serve(&self, stream: &TcpStream, connection: usize) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            let head = read_head(&mut reader)?;
            let request = Received { head, body: Vec::new(), connection };
            let length: usize = request.header("content-length").map_or(0, |text| text.parse().unwrap());
            let reply = self.state.lock().unwrap().script.pop_front().unwrap_or(OK);
            let mut body = vec![0; if matches!(reply, Reply::ResetInBody) { length / 2 } else { length }];
            reader.read_exact(&mut body)?;
            self.state.lock().unwrap().received.push(Received { body, ..request });
            if !self.reply(stream, reply)? {
                return Ok(());
            }
        }
    }

    /// False: the connection is not to be read from any more.
    fn reply(&self, mut stream: &TcpStream, reply: Reply) -> std::io::Result<bool> {
        let answer = |status, headers, body: &str| {
            let length =
                if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
            format!("HTTP/1.1 {status} x\r\n{length}{headers}\r\n{body}")
        };
        let (text, goes_on) = match reply {
            Reply::Status(status, headers, body) => (answer(status, headers, body), true),
            Reply::StatusThenClose(status) => (answer(status, "", ""), false),
            Reply::Continue => (format!("HTTP/1.1 100 Continue\r\n\r\n{}", answer(204, "", "")), true),
            Reply::CloseUnanswered => (String::new(), false),
            Reply::Garbage => ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), false),
            Reply::ResetInBody => {
                SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO))?;
                (String::new(), false)
            }
            Reply::Silence => {
                self.state.lock().unwrap().held.push(stream.try_clone()?);
                (String::new(), false)
            }
            Reply::Endless => {
                write!(stream, "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n")?;
                self.state.lock().unwrap().held.push(stream.try_clone()?);
                ("5\r\nmore \r\n".to_owned(), false)
            }
        };
        stream.write_all(text.as_bytes())?;
        Ok(goes_on)
    }
}

/// The request line and the headers; an error at the end of the connection.
pub(crate) fn read_head(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}
