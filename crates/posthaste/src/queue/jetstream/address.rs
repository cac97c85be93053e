//! Where a stream is: `nats://HOST:PORT,HOST:PORT/STREAM`, taken apart. A secret that stands in it never shows again.

use std::{fmt, str::FromStr};

use super::secret::Secret;

/// The port of NATS servers, where none is said.
const PORT: u16 = 4222;

/// Where a stream is: some servers of a cluster, and the stream's name.
///
/// ```text
/// nats://HOST:PORT/STREAM                          one server
/// nats://a:4222,b:4222,c:4222/STREAM               several of one cluster; each may have a scheme of its own
/// tls://USER:PASSWORD@HOST/STREAM                  with TLS, and a user
/// nats://TOKEN@HOST/STREAM                         with a token
/// ```
///
/// ```
/// use posthaste::queue::jetstream::StreamAddress;
///
/// let address: StreamAddress = "nats://shop:secret@10.0.0.1:4222,10.0.0.2/events".parse()?;
/// assert_eq!((address.stream(), address.servers().len()), ("events", 2));
/// assert_eq!(address.to_string(), "nats://10.0.0.1:4222,10.0.0.2:4222/events", "secrets do not show");
///
/// let error = "nats://10.0.0.1:4222".parse::<StreamAddress>().unwrap_err();
/// assert!(error.to_string().contains("nats://HOST:4222/STREAM"));
/// # Ok::<(), posthaste::queue::jetstream::StreamAddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAddress {
    /// Host and port of each.
    servers: Vec<String>,
    has_tls: bool,
    stream: String,
    user: Option<String>,
    /// The password; the token where there is no user.
    secret: Option<Secret>,
}

/// Why a text is no address of a stream. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamAddressError {
    /// It begins with something else.
    #[error("the address of a stream starts with nats:// or tls://, as in nats://HOST:4222/STREAM")]
    Scheme,
    /// Some servers are to be reached with TLS, others without.
    #[error("servers with tls:// and with nats:// stand in one address; take one scheme for all of them")]
    MixedSchemes,
    /// It names no server.
    #[error("the address names no server before the stream; write nats://HOST:4222/STREAM")]
    NoServer,
    /// A server's place is empty, or its host is.
    #[error("server {0} in the address has no host; write HOST or HOST:PORT, with commas between servers")]
    NoHost(usize),
    /// A host is none that could be reached: a bracket is missing, or a character cannot be in a name.
    #[error(
        "the host of server {0} in the address can be none; write a name, an IPv4 address, or [IPv6 address], each with \
         :PORT or without"
    )]
    Host(usize),
    /// A port is no number between 1 and 65535.
    #[error("the port of server {0} in the address is no number between 1 and 65535")]
    Port(usize),
    /// It names no stream.
    #[error("the address names no stream; write nats://HOST:4222/STREAM")]
    NoStream,
    /// No stream can have this name.
    #[error(
        "no stream can have the name {0:?}: letters, digits, - and _ may stand in it, at most 200 of them"
    )]
    StreamName(String),
    /// The servers are to be reached as different users.
    #[error(
        "servers in the address have different users or tokens; write them once, before the first server"
    )]
    MixedUsers,
    /// A percent sign is followed by something else than two hexadecimal digits.
    #[error(
        "a % in the user or password is not followed by two hexadecimal digits; write %25 for a percent sign"
    )]
    Escape,
}

impl StreamAddress {
    /// The servers, each as host and port.
    pub fn servers(&self) -> &[String] {
        &self.servers
    }

    /// Whether they are to be reached with TLS.
    pub fn has_tls(&self) -> bool {
        self.has_tls
    }

    /// The stream's name.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The same servers, and a stream of another name.
    pub fn with_stream(self, stream: &str) -> Result<Self, StreamAddressError> {
        check_name(stream)?;
        Ok(Self { stream: stream.to_owned(), ..self })
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(super) fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// As the client wants them.
    pub(super) fn urls(&self) -> Vec<String> {
        let scheme = self.scheme();
        self.servers.iter().map(|server| format!("{scheme}://{server}")).collect()
    }

    fn scheme(&self) -> &'static str {
        if self.has_tls { "tls" } else { "nats" }
    }
}

impl FromStr for StreamAddress {
    type Err = StreamAddressError;

    fn from_str(text: &str) -> Result<Self, StreamAddressError> {
        let (has_tls, rest) = split_scheme(text.trim()).ok_or(StreamAddressError::Scheme)?;
        let (servers, stream) = split_stream(rest);
        let mut address =
            Self { servers: Vec::new(), has_tls, stream: stream.to_owned(), user: None, secret: None };
        if servers.is_empty() {
            return Err(StreamAddressError::NoServer);
        }
        for (at, server) in (1..).zip(servers.split(',')) {
            address.add(at, server.trim())?;
        }
        if stream.is_empty() {
            return Err(StreamAddressError::NoStream);
        }
        check_name(stream)?;
        Ok(address)
    }
}

impl StreamAddress {
    fn add(&mut self, at: usize, server: &str) -> Result<(), StreamAddressError> {
        let (has_tls, server) = split_scheme(server).unwrap_or((self.has_tls, server));
        if has_tls != self.has_tls {
            return Err(StreamAddressError::MixedSchemes);
        }
        let server = match server.rsplit_once('@') {
            None => server,
            Some((who, server)) => {
                self.is_user(at, who)?;
                server
            }
        };
        self.servers.push(with_port(at, server)?);
        Ok(())
    }

    fn is_user(&mut self, at: usize, who: &str) -> Result<(), StreamAddressError> {
        let (user, secret) = match who.split_once(':') {
            Some((user, password)) => (Some(unescaped(user)?), unescaped(password)?),
            None => (None, unescaped(who)?),
        };
        let secret = Some(Secret::new(secret));
        if at > 1 && (&self.user, &self.secret) != (&user, &secret) {
            return Err(StreamAddressError::MixedUsers);
        }
        (self.user, self.secret) = (user, secret);
        Ok(())
    }
}

/// Whether TLS is wanted, and the rest.
fn split_scheme(text: &str) -> Option<(bool, &str)> {
    let plain = text.strip_prefix("nats://").map(|rest| (false, rest));
    plain.or_else(|| text.strip_prefix("tls://").map(|rest| (true, rest)))
}

/// The stream stands behind the last slash; those of schemes are no such slash.
fn split_stream(text: &str) -> (&str, &str) {
    match text.rsplit_once('/') {
        Some((before, _)) if before.ends_with(":/") || before.ends_with(':') => (text, ""),
        Some((servers, stream)) => (servers, stream),
        None => (text, ""),
    }
}

fn with_port(at: usize, server: &str) -> Result<String, StreamAddressError> {
    let end_of_host = if server.starts_with('[') { server.find(']').map_or(0, |end| end + 1) } else { 0 };
    let (before, after) = server.split_at_checked(end_of_host).unwrap_or((server, ""));
    let (host, port) = match after.rsplit_once(':') {
        Some((host, port)) => (format!("{before}{host}"), Some(port)),
        None => (server.to_owned(), None),
    };
    if host.is_empty() || host.contains(['/', '?', '#', ' ']) {
        return Err(StreamAddressError::NoHost(at));
    }
    let port = match port {
        None => PORT,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(StreamAddressError::Port(at))?,
    };
    let server = format!("{host}:{port}");
    // As the client will read it.
    match format!("nats://{server}").parse::<async_nats::ServerAddr>() {
        Ok(_) => Ok(server),
        Err(_) => Err(StreamAddressError::Host(at)),
    }
}

pub(super) fn check_name(stream: &str) -> Result<(), StreamAddressError> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if stream.is_empty() || stream.len() > 200 || !stream.bytes().all(is_fine) {
        return Err(StreamAddressError::StreamName(stream.to_owned()));
    }
    Ok(())
}

fn unescaped(text: &str) -> Result<String, StreamAddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = digit().zip(digit()).ok_or(StreamAddressError::Escape)?;
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| StreamAddressError::Escape)?);
    }
    String::from_utf8(bytes).map_err(|_| StreamAddressError::Escape)
}

/// Without user and secret.
impl fmt::Display for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme(), self.servers.join(","), self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StreamAddress, StreamAddressError> {
        text.parse()
    }

    #[test]
    fn servers_stream_and_user_are_read_as_nats_users_write_them() {
        for (text, shown) in [
            ("nats://h/events", "nats://h:4222/events"),
            ("tls://h:1/events", "tls://h:1/events"),
            ("nats://a:1,b,c:3/E-1_x", "nats://a:1,b:4222,c:3/E-1_x"),
            ("nats://a:1,nats://b:2/E", "nats://a:1,b:2/E"),
            ("nats://u:p%40ss@a:1,b:2/E", "nats://a:1,b:2/E"),
            ("nats://u:p@a:1,nats://u:p@b:2/E", "nats://a:1,b:2/E"),
            ("nats://[::1]:4333,[::2]/E", "nats://[::1]:4333,[::2]:4222/E"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), shown, "{text}");
        }
        let address = parse("nats://shop:p%40ss%25@h/E").unwrap();
        assert_eq!((address.user(), address.secret().unwrap().text()), (Some("shop"), "p@ss%"));
        let address = parse("nats://t0ken@h/E").unwrap();
        assert_eq!((address.user(), address.secret().unwrap().text()), (None, "t0ken"));
        assert!(!format!("{address:?}").contains("t0ken"));
    }

    #[test]
    fn what_is_wrong_is_named_and_no_password_with_it() {
        use StreamAddressError as Error;
        for (text, error) in [
            ("h:4222/E", Error::Scheme),
            ("http://h/E", Error::Scheme),
            ("nats://u:secret@h", Error::NoStream),
            ("nats://h/", Error::NoStream),
            ("nats:///E", Error::NoServer),
            ("nats://", Error::NoServer),
            ("nats://a,,b/E", Error::NoHost(2)),
            ("nats://u:secret@:4222/E", Error::NoHost(1)),
            ("nats://[::1/E", Error::Host(1)),
            ("nats://a,[::g]/E", Error::Host(2)),
            ("nats://::1/E", Error::Host(1)),
            ("nats://a<b/E", Error::Host(1)),
            ("nats://a:1,b:x/E", Error::Port(2)),
            ("nats://a:0/E", Error::Port(1)),
            ("nats://a:70000/E", Error::Port(1)),
            ("nats://a,tls://b/E", Error::MixedSchemes),
            ("nats://u:secret@a,v:secret@b/E", Error::MixedUsers),
            ("nats://u:secret%@a/E", Error::Escape),
            ("nats://a/E.F", Error::StreamName("E.F".to_owned())),
            ("nats://a/E>", Error::StreamName("E>".to_owned())),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
