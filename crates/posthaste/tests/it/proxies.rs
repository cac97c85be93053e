//! The HTTP dispatcher through proxies of every kind: what they are asked for, and what becomes of a refusal.

use std::{
    io::{BufReader, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use posthaste::{
    HttpEventDispatcher,
    dispatch::{Answer, DispatchError, HttpSetupError},
};

use crate::{
    http::{dispatch_all, request},
    server::{Server, read_head},
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Http,
    Socks4,
    Socks5,
    /// Only who has a name and a password may pass.
    Socks5WithPassword,
    /// Talks as `Http` does, and lets nobody pass.
    HttpRefusing(u16),
    Socks4Refusing,
    Socks5Refusing,
    Silent,
    Closing,
}

/// A proxy that notes what it is asked for, and connects to `upstream` whatever that is: names need not exist.
#[derive(Clone)]
struct Proxy {
    kind: Kind,
    address: SocketAddr,
    upstream: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(kind: Kind, upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Self { kind, address, upstream, asked: Arc::default() };
        let accepting = proxy.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let proxy = accepting.clone();
                // A client that hangs up ends the connection, nothing else.
                thread::spawn(move || drop(proxy.serve(&stream.unwrap())));
            }
        });
        proxy
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn note(&self, asked: String) {
        self.asked.lock().unwrap().push(asked);
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        match self.kind {
            Kind::Http | Kind::HttpRefusing(_) => self.http(&mut reader, stream)?,
            Kind::Socks4 | Kind::Socks4Refusing => self.socks4(&mut reader, stream)?,
            Kind::Socks5 | Kind::Socks5Refusing | Kind::Socks5WithPassword => {
                self.socks5(&mut reader, stream)?;
            }
            Kind::Silent => return reader.read_to_end(&mut Vec::new()).map(drop),
            Kind::Closing => {
                self.note(format!("first byte {:#04x}", byte(&mut reader)?));
                return stream.shutdown(Shutdown::Both);
            }
        }
        let upstream = TcpStream::connect(self.upstream)?;
        let (mut there, mut back) = (upstream.try_clone()?, stream.try_clone()?);
        thread::spawn(move || {
            let copied = std::io::copy(&mut &upstream, &mut back);
            copied.and_then(|_| back.shutdown(Shutdown::Write))
        });
        std::io::copy(&mut reader, &mut there)?;
        there.shutdown(Shutdown::Write)
    }

    fn http(&self, reader: &mut BufReader<&TcpStream>, mut stream: &TcpStream) -> std::io::Result<()> {
        let head = read_head(reader)?;
        let auth = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "));
        self.note(format!("{} {}", head.lines().next().unwrap(), auth.unwrap_or("-")));
        if let Kind::HttpRefusing(status) = self.kind {
            write!(stream, "HTTP/1.1 {status} no\r\n\r\n")?;
            return Err(std::io::ErrorKind::PermissionDenied.into());
        }
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
    }

    fn socks4(&self, reader: &mut impl Read, mut stream: &TcpStream) -> std::io::Result<()> {
        assert_eq!([byte(reader)?, byte(reader)?], [4, 1], "version, CONNECT");
        let port = u16::from_be_bytes(bytes(reader)?);
        let ip: [u8; 4] = bytes(reader)?;
        let user = text(reader)?;
        assert_eq!(user, "");
        match ip {
            [0, 0, 0, last] if last > 0 => self.note(format!("name {}:{port}", text(reader)?)),
            ip => self.note(format!("address {}:{port}", Ipv4Addr::from(ip))),
        }
        let is_refused = self.kind == Kind::Socks4Refusing;
        stream.write_all(&[0, if is_refused { 91 } else { 90 }, 0, 0, 0, 0, 0, 0])
    }

    fn socks5(&self, reader: &mut impl Read, mut stream: &TcpStream) -> std::io::Result<()> {
        assert_eq!(byte(reader)?, 5, "version");
        let mut methods = vec![0; byte(reader)?.into()];
        reader.read_exact(&mut methods)?;
        let method = if self.kind == Kind::Socks5WithPassword { 2 } else { 0 };
        if !methods.contains(&method) {
            return stream.write_all(&[5, 0xff]);
        }
        stream.write_all(&[5, method])?;
        let user = if method == 2 { user_of(reader, stream)? } else { String::new() };
        assert_eq!(bytes(reader)?, [5, 1, 0], "version, CONNECT");
        let host = match byte(reader)? {
            1 => format!("address {}", Ipv4Addr::from(bytes(reader)?)),
            3 => format!("name {}", string(reader)?),
            4 => format!("address [{}]", Ipv6Addr::from(bytes::<16>(reader)?)),
            other => panic!("address type {other}"),
        };
        self.note(format!("{user}{host}:{}", u16::from_be_bytes(bytes(reader)?)));
        let is_refused = self.kind == Kind::Socks5Refusing;
        stream.write_all(&[5, if is_refused { 5 } else { 0 }, 0, 1, 0, 0, 0, 0, 0, 0])
    }
}

/// Name and password, which must be the right one.
fn user_of(reader: &mut impl Read, mut stream: &TcpStream) -> std::io::Result<String> {
    assert_eq!(byte(reader)?, 1, "version of the passwords");
    let (user, password) = (string(reader)?, string(reader)?);
    stream.write_all(&[1, u8::from(password != "se cret:@")])?;
    Ok(format!("{user}/{password} "))
}

fn bytes<const N: usize>(reader: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn byte(reader: &mut impl Read) -> std::io::Result<u8> {
    bytes(reader).map(|[byte]| byte)
}

/// With its length in front.
fn string(reader: &mut impl Read) -> std::io::Result<String> {
    let mut text = vec![0; byte(reader)?.into()];
    reader.read_exact(&mut text)?;
    Ok(String::from_utf8(text).unwrap())
}

/// Up to a zero.
fn text(reader: &mut impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        match byte(reader)? {
            0 => return Ok(text),
            letter => text.push(letter.into()),
        }
    }
}

/// Two requests, one after the other.
fn send(proxy: &str, url: &str) -> Vec<Answer> {
    let dispatcher = HttpEventDispatcher::builder().proxy(proxy).build().unwrap();
    dispatch_all(&dispatcher, vec![request(url); 2])
}

#[test]
fn every_kind_of_proxy_is_asked_in_its_own_words_and_once() {
    for (kind, scheme, end_point, asked) in [
        (Kind::Http, "", "http://relay.invalid/", "CONNECT relay.invalid:80 HTTP/1.1 -"),
        (Kind::Http, "http://", "http://relay.invalid:81/", "CONNECT relay.invalid:81 HTTP/1.1 -"),
        (Kind::Http, "HTTP://", "http://[::1]/", "CONNECT [::1]:80 HTTP/1.1 -"),
        (
            Kind::Http,
            "http://me:se%20cret%3A%40@",
            "http://relay.invalid/",
            "CONNECT relay.invalid:80 HTTP/1.1 Basic bWU6c2UgY3JldDpA",
        ),
        (Kind::Socks5, "socks5h://", "http://relay.invalid/", "name relay.invalid:80"),
        (Kind::Socks5, "socks5h://", "http://127.0.0.7:8080/", "address 127.0.0.7:8080"),
        (Kind::Socks5, "Socks5://", "http://127.0.0.7/", "address 127.0.0.7:80"),
        (Kind::Socks5, "socks5://", "http://[::7]:8080/", "address [::7]:8080"),
        (
            Kind::Socks5WithPassword,
            "socks5h://me:se%20cret%3A%40@",
            "http://relay.invalid:7/",
            "me/se cret:@ name relay.invalid:7",
        ),
        (
            Kind::Socks5WithPassword,
            "socks5://me:se%20cret%3A%40@",
            "http://127.0.0.7/",
            "me/se cret:@ address 127.0.0.7:80",
        ),
        (Kind::Socks4, "socks4://", "http://127.0.0.7:8080/", "address 127.0.0.7:8080"),
        (Kind::Socks4, "socks4a://", "http://127.0.0.7/", "address 127.0.0.7:80"),
        (Kind::Socks4, "socks4a://", "http://relay.invalid/", "name relay.invalid:80"),
    ] {
        let server = Server::start([]);
        let proxy = Proxy::start(kind, server.address);
        let answers = send(&format!("{scheme}{}", proxy.address), end_point);
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|ok| ok.status == 204)), "{answers:?}");
        assert_eq!(
            (proxy.asked(), server.received().len()),
            (vec![asked.to_owned()], 2),
            "{scheme} {end_point}"
        );
    }
}

#[test]
fn a_name_is_resolved_here_where_the_proxy_is_not_to_do_it() {
    for (kind, scheme) in [(Kind::Socks5, "socks5"), (Kind::Socks4, "socks4")] {
        let server = Server::start([]);
        let proxy = Proxy::start(kind, server.address);
        let answers = send(&format!("{scheme}://{}", proxy.address), "http://localhost:8080/");
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        let asked = proxy.asked().concat();
        assert!(["address 127.0.0.1:8080", "address [::1]:8080"].contains(&&*asked), "{asked}");
        // And where nobody can, the proxy is not asked.
        let answers = send(&format!("{scheme}://{}", proxy.address), "http://no-such-host.invalid/");
        assert!(matches!(&answers[0], Err(DispatchError::Connect(_))), "{answers:?}");
        assert_eq!(proxy.asked().len(), 1);
    }
}

/// TLS inside the tunnel for an `https` end point, and around it for an `https` proxy.
#[test]
fn tls_goes_where_it_belongs() {
    for (kind, scheme, asked) in [
        (Kind::Http, "http", "CONNECT relay.invalid:443 HTTP/1.1 -"),
        (Kind::Socks5, "socks5h", "name relay.invalid:443"),
        (Kind::Socks4, "socks4a", "name relay.invalid:443"),
        (Kind::Closing, "https", "first byte 0x16"),
    ] {
        let behind = Proxy::start(Kind::Closing, SocketAddr::from(([127, 0, 0, 1], 1)));
        let proxy = Proxy::start(kind, behind.address);
        let answers = send(&format!("{scheme}://{}", proxy.address), "https://relay.invalid/");
        assert!(matches!(&answers[0], Err(DispatchError::Connect(_))), "{answers:?}");
        assert_eq!(proxy.asked()[0], asked);
        if kind != Kind::Closing {
            assert_eq!(behind.asked()[0], "first byte 0x16", "{scheme}");
        }
    }
}

#[test]
fn a_proxy_that_does_not_connect_is_named_and_its_password_is_not() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (kind, scheme, reason) in [
        (Kind::HttpRefusing(403), "http://me:secret@", "unsuccessful"),
        (Kind::HttpRefusing(407), "http://me:secret@", "authorization required"),
        (Kind::HttpRefusing(503), "http://", "unsuccessful"),
        (Kind::Socks4Refusing, "socks4a://", "failed to execute command"),
        (Kind::Socks5Refusing, "socks5h://", "refused"),
        (Kind::Socks5WithPassword, "socks5h://me:secret@", "credentials not accepted"),
        (Kind::Socks5WithPassword, "socks5h://", "authentication"),
        (Kind::Closing, "http://me:secret@", "tunnel error"),
        (Kind::Closing, "socks5://me:secret@", "SOCKS error"),
        (Kind::Closing, "socks4://", "SOCKS error"),
        (Kind::Silent, "http://me:secret@", "not within 200ms"),
        (Kind::Silent, "socks5h://me:secret@", "not within 200ms"),
        (Kind::Silent, "socks4://", "not within 200ms"),
        (Kind::Silent, "https://me:secret@", "not within 200ms"),
    ] {
        let proxy = Proxy::start(kind, dead);
        let dispatcher = HttpEventDispatcher::builder()
            .proxy(format!("{scheme}{}", proxy.address))
            .connect_timeout(if kind == Kind::Silent {
                Duration::from_millis(200)
            } else {
                Duration::from_hours(1)
            })
            .build()
            .unwrap();
        let answer = dispatch_all(&dispatcher, vec![request("http://127.0.0.7/")]).remove(0);
        let Err(DispatchError::Connect(text)) = answer else { panic!("{kind:?}: {answer:?}") };
        let start = format!("127.0.0.7:80: through the proxy {}: ", proxy.address);
        assert!(text.starts_with(&start) && text.contains(reason), "{kind:?} {scheme}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
    for scheme in ["http", "https", "socks5", "socks5h", "socks4", "socks4a"] {
        let answers = send(&format!("{scheme}://{dead}"), "http://127.0.0.7/");
        let Err(DispatchError::Connect(text)) = &answers[0] else { panic!("{answers:?}") };
        assert!(text.starts_with(&format!("127.0.0.7:80: through the proxy {dead}: ")), "{text}");
        assert!(text.contains("refused"), "{scheme}: {text}");
    }
    // SOCKS4 has no IPv6 addresses.
    let proxy = Proxy::start(Kind::Socks4, dead);
    for scheme in ["socks4", "socks4a"] {
        let answers = send(&format!("{scheme}://{}", proxy.address), "http://[::1]:8080/");
        assert!(matches!(&answers[0], Err(DispatchError::Connect(_))), "{answers:?}");
    }
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_when_the_client_is_built() {
    for url in
        ["", "ftp://me:secret@h/", "socks://h", "socks4://me:secret@h", "h:0", "http://", "socks5://a b"]
    {
        let error = HttpEventDispatcher::builder().proxy(url).build().unwrap_err();
        assert!(matches!(error, HttpSetupError::Proxy { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("the builder's proxy is ") && !text.contains("secret"), "{text}");
    }
}

#[test]
fn the_last_word_on_proxies_counts() {
    let server = Server::start([]);
    let dispatcher = HttpEventDispatcher::builder().proxy("http://127.0.0.1:1").no_proxy().build().unwrap();
    assert!(dispatch_all(&dispatcher, vec![request(&server.url())])[0].is_ok());
    let dispatcher = HttpEventDispatcher::builder().no_proxy().proxy("http://127.0.0.1:1").build().unwrap();
    assert!(dispatch_all(&dispatcher, vec![request(&server.url())])[0].is_err());
}
