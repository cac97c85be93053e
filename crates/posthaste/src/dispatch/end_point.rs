//! Where requests go: a URL that has been checked, or an error that says what is wrong with it and what to do.
//!
//! A typing mistake in a URL is found when a pipeline is built, not hours later in a log. Nothing here connects
//! anywhere, or asks whether a host exists.

use std::{fmt, net::Ipv6Addr, str::FromStr, sync::Arc};

use http::Uri;

use super::DispatchError;

/// Bytes that a URL may have: every HTTP implementation is to take 8,000 (RFC 9110, section 4.1).
pub const URL_BYTES_MAX: usize = 8_000;

/// Bytes that a host name may have, and each of its labels (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// How much of a wrong URL an error shows.
const SHOWN_BYTES_MAX: usize = 200;

/// A URL that requests can be sent to.
///
/// It has the scheme `http` or `https`, a host, a port from 1 to 65,535 or none, and at most [`URL_BYTES_MAX`] bytes
/// of ASCII. It has no user name, no password and no fragment. The query may hold anything.
///
/// ```
/// use posthaste::dispatch::{EndPoint, EndPointProblem};
///
/// let end_point = EndPoint::check("https://logx.optimizely.com/v1/events")?;
/// assert_eq!(end_point.address(), "logx.optimizely.com:443");
///
/// let error = EndPoint::check("http://me:secret@relay:99999/").unwrap_err();
/// assert_eq!(error.problem(), EndPointProblem::UserInfo);
/// assert!(!error.to_string().contains("secret"));
/// # Ok::<(), posthaste::dispatch::EndPointError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct EndPoint {
    url: Arc<str>,
    uri: Uri,
}

impl EndPoint {
    /// Checks a URL.
    pub fn check(url: &str) -> Result<Self, EndPointError> {
        match parse(url) {
            Ok(uri) => Ok(Self { url: url.into(), uri }),
            Err(problem) => Err(EndPointError { url: shown(url), problem }),
        }
    }

    /// The URL as it was given, its query included.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Where connections go: host and port. Safe to log: what may be secret stands elsewhere in a URL.
    pub fn address(&self) -> String {
        format!("{}:{}", self.uri.host().unwrap_or_default(), self.port())
    }

    pub(super) fn port(&self) -> u16 {
        let default = if self.uri.scheme_str() == Some("https") { 443 } else { 80 };
        self.uri.port_u16().unwrap_or(default)
    }

    #[cfg(feature = "http")]
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }
}

/// As it may be logged: a query may hold a token.
impl fmt::Debug for EndPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EndPoint").field(&shown(&self.url)).finish()
    }
}

impl fmt::Display for EndPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl FromStr for EndPoint {
    type Err = EndPointError;

    fn from_str(url: &str) -> Result<Self, EndPointError> {
        Self::check(url)
    }
}

/// A URL that no request can be sent to. Its text says what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} is no address for events: {problem}")]
pub struct EndPointError {
    url: String,
    problem: EndPointProblem,
}

impl EndPointError {
    /// The URL as it may be shown: cut to 200 bytes, `***` for user names, passwords, queries and fragments.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What is wrong with it.
    pub fn problem(&self) -> EndPointProblem {
        self.problem
    }
}

impl From<EndPointError> for DispatchError {
    fn from(error: EndPointError) -> Self {
        Self::BadEndPoint { message: error.problem.to_string(), url: error.url }
    }
}

/// What can be wrong with a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndPointProblem {
    /// There is nothing.
    #[error("it is empty; give a whole URL, such as https://logx.optimizely.com/v1/events")]
    Empty,
    /// More than [`URL_BYTES_MAX`] bytes.
    #[error("it has more than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// A space, a tab, the end of a line, or another control character.
    #[error("it holds white space or a control character; take that out, or percent-encode it (%20)")]
    WhiteSpace,
    /// A letter that is none of ASCII.
    #[error("it is not plain ASCII; write a host in Punycode (xn--…), and percent-encode a path (%C3%A9)")]
    NotAscii,
    /// No scheme, or another than `http` and `https`.
    #[error("it begins neither with http:// nor with https://")]
    Scheme,
    /// A user name or a password.
    #[error(
        "it holds a user name or a password, which is not sent; leave that out, and give the dispatcher's builder \
         header(\"authorization\", …)"
    )]
    UserInfo,
    /// No host.
    #[error("it names no host; give a whole URL, such as https://logx.optimizely.com/v1/events")]
    NoHost,
    /// A host that none can have.
    #[error(
        "its host is neither a name nor an IP address; an IPv6 address stands in brackets: http://[::1]:8080/"
    )]
    Host,
    /// A port that there is not.
    #[error("its port is no number from 1 to 65535; put that right, or leave the colon out as well")]
    Port,
    /// A fragment.
    #[error("it has a fragment (#…), which is never sent; leave that out, or percent-encode it (%23)")]
    Fragment,
    /// A character where none may stand.
    #[error("it is malformed; percent-encode what is no letter or digit")]
    Malformed,
}

fn parse(url: &str) -> Result<Uri, EndPointProblem> {
    check_text(url)?;
    let (scheme, rest) = url.split_once("://").ok_or(EndPointProblem::Scheme)?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(&*scheme, "http" | "https") {
        return Err(EndPointProblem::Scheme);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = checked_authority(authority, path)?;
    if path.contains('#') {
        return Err(EndPointProblem::Fragment);
    }
    let uri: Uri = format!("{scheme}://{rest}").parse().map_err(|_| EndPointProblem::Malformed)?;
    // What connects must understand the text as we do.
    let is_same = uri.host() == Some(host) && uri.port_u16() == port;
    if is_same { Ok(uri) } else { Err(EndPointProblem::Malformed) }
}

/// What holds for any URL, a proxy's too.
pub(super) fn check_text(url: &str) -> Result<(), EndPointProblem> {
    if url.is_empty() {
        Err(EndPointProblem::Empty)
    } else if url.len() > URL_BYTES_MAX {
        Err(EndPointProblem::TooLong)
    } else if url.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        Err(EndPointProblem::WhiteSpace)
    } else if !url.is_ascii() {
        Err(EndPointProblem::NotAscii)
    } else {
        Ok(())
    }
}

fn checked_authority<'a>(authority: &'a str, path: &str) -> Result<(&'a str, Option<u16>), EndPointProblem> {
    if authority.contains('@') {
        return Err(EndPointProblem::UserInfo);
    }
    host_and_port(authority).map_err(|problem| {
        // A password with a slash that should be percent-encoded ends the authority too early.
        let is_user_info = problem == EndPointProblem::Port && path.contains('@');
        if is_user_info { EndPointProblem::UserInfo } else { problem }
    })
}

/// Takes `host:port` apart, the port being optional. The brackets of an IPv6 address stay.
pub(super) fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), EndPointProblem> {
    let host_ends = if authority.starts_with('[') {
        authority.find(']').ok_or(EndPointProblem::Host)? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(host_ends);
    check_host(host, rest)?;
    let port = match rest.strip_prefix(':') {
        Some(port) => Some(port_of(port)?),
        None if rest.is_empty() => None,
        None => return Err(EndPointProblem::Host),
    };
    Ok((host, port))
}

fn check_host(host: &str, rest: &str) -> Result<(), EndPointProblem> {
    let is_bare_v6 = rest.matches(':').count() > 1;
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    match (host.is_empty(), is_host && !is_bare_v6) {
        (true, _) if !is_bare_v6 => Err(EndPointProblem::NoHost),
        (false, true) => Ok(()),
        _ => Err(EndPointProblem::Host),
    }
}

/// A name as resolvers take it, underscores (as of containers) and a final dot included; or an IPv4 address.
fn is_name(host: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(is_letter);
    let name = host.strip_suffix('.').unwrap_or(host);
    name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label)
}

fn port_of(port: &str) -> Result<u16, EndPointProblem> {
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = if is_number { port.parse().ok() } else { None };
    port.filter(|port| *port != 0).ok_or(EndPointProblem::Port)
}

/// A URL as it may be shown: `***` for what may be a password, a query or a fragment. What is wrong with the URL may
/// be that its password is not encoded, so that all before the last `@` may belong to it.
pub(super) fn shown(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('@') => (format!("{scheme}://"), rest),
        _ => (String::new(), url),
    };
    let (user_info, place) = rest.rsplit_once('@').map_or(("", rest), |(_, place)| ("***@", place));
    let (place, hidden) = place.split_at(place.find(['?', '#']).unwrap_or(place.len()));
    let hidden = hidden.chars().next().map(|mark| format!("{mark}***")).unwrap_or_default();
    let mut shown = format!("{scheme}{user_info}{place}{hidden}");
    if shown.len() > SHOWN_BYTES_MAX {
        shown.truncate(shown.floor_char_boundary(SHOWN_BYTES_MAX));
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
