//! The kinds of values: how each is read, what is said where it cannot be, and how it is shown again.
//!
//! Invariant: what is shown is read as the same value.

use std::{
    fmt,
    marker::PhantomData,
    net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use bytesize::ByteSize;
use jiff::{Span, SpanRelativeTo};

use super::{WhenFull, value::Value};

/// How an option that may be left out is written where it is.
pub(super) const NONE: &str = "none";
/// So that sums with the time of now never overflow.
const TIME_MAX: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);

/// What to give instead.
pub(super) type Wanted = String;

/// A kind of values.
pub(super) trait Kind {
    type Of;

    /// Reads one, or says what to give instead.
    fn read(value: &Value) -> Result<Self::Of, Wanted>;

    /// Shows one.
    fn write(of: &Self::Of) -> Value;
}

/// Any kind, or none.
pub(super) struct Optional<K>(PhantomData<K>);

impl<K: Kind> Kind for Optional<K> {
    type Of = Option<K::Of>;

    fn read(value: &Value) -> Result<Self::Of, Wanted> {
        if value.as_text() == Some(NONE) {
            return Ok(None);
        }
        K::read(value).map(Some).map_err(|wanted| format!("{wanted}; or \"{NONE}\""))
    }

    fn write(of: &Self::Of) -> Value {
        of.as_ref().map_or_else(|| Value::text(NONE), K::write)
    }
}

pub(super) struct Truth;

impl Kind for Truth {
    type Of = bool;

    fn read(value: &Value) -> Result<bool, Wanted> {
        value.as_truth().ok_or_else(|| "give true or false".to_owned())
    }

    fn write(of: &bool) -> Value {
        Value::Truth(*of)
    }
}

/// Where to listen.
pub(super) struct Address;

impl Kind for Address {
    type Of = SocketAddr;

    fn read(value: &Value) -> Result<SocketAddr, Wanted> {
        let port = value.as_number().and_then(|port| u16::try_from(port).ok());
        if let Some(port) = port {
            return Ok((Ipv4Addr::LOCALHOST, port).into());
        }
        let found = value.as_text().and_then(|text| text.to_socket_addrs().ok());
        found.and_then(|mut found| found.next()).ok_or_else(|| {
            "give HOST:PORT, or a port for this machine alone, such as \"0.0.0.0:8090\" or 8090".to_owned()
        })
    }

    fn write(of: &SocketAddr) -> Value {
        Value::text(of.to_string())
    }
}

/// A file or a folder.
pub(super) struct Place;

impl Kind for Place {
    type Of = PathBuf;

    fn read(value: &Value) -> Result<PathBuf, Wanted> {
        let path = value.as_text().filter(|text| !text.is_empty());
        path.map(PathBuf::from).ok_or_else(|| "give a path".to_owned())
    }

    fn write(of: &PathBuf) -> Value {
        Value::text(of.to_string_lossy())
    }
}

/// Ids of accounts or projects.
pub(super) struct Ids;

impl Kind for Ids {
    type Of = Vec<String>;

    fn read(value: &Value) -> Result<Vec<String>, Wanted> {
        let wanted =
            || "give a list of ids, which have letters, digits, - and _, such as [\"12345\"]".to_owned();
        let ids = value.as_list().ok_or_else(wanted)?;
        if ids.iter().all(|id| is_name(id)) { Ok(ids) } else { Err(wanted()) }
    }

    fn write(of: &Vec<String>) -> Value {
        Value::List(of.clone())
    }
}

/// Paths of URLs.
pub(super) struct UrlPaths;

impl Kind for UrlPaths {
    type Of = Vec<String>;

    fn read(value: &Value) -> Result<Vec<String>, Wanted> {
        let wanted = || {
            "give a list of paths that begin with a slash and do not end with one, such as [\"/events\"]"
                .to_owned()
        };
        let is_path = |path: &String| {
            let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
            path.len() > 1 && path.starts_with('/') && !path.ends_with('/') && is_plain
        };
        value.as_list().filter(|paths| paths.iter().all(is_path)).ok_or_else(wanted)
    }

    fn write(of: &Vec<String>) -> Value {
        Value::List(of.clone())
    }
}

/// A tenant's name, which names its folder too.
pub(super) struct Name;

impl Kind for Name {
    type Of = String;

    fn read(value: &Value) -> Result<String, Wanted> {
        let name = value.as_text().filter(|name| is_name(name) && name.len() <= 64);
        name.map(str::to_owned).ok_or_else(|| "give letters, digits, - and _, 64 at most".to_owned())
    }

    fn write(of: &String) -> Value {
        Value::text(of)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// A number, so much at least.
pub(super) struct Count<const MIN: usize>;

impl<const MIN: usize> Kind for Count<MIN> {
    type Of = usize;

    fn read(value: &Value) -> Result<usize, Wanted> {
        let number = value.as_number().and_then(|number| usize::try_from(number).ok());
        number.filter(|number| *number >= MIN).ok_or_else(|| format!("give a number, {MIN} at least"))
    }

    fn write(of: &usize) -> Value {
        Value::Number(*of as u64)
    }
}

/// Things in a second.
pub(super) struct Rate;

impl Kind for Rate {
    type Of = NonZeroU32;

    fn read(value: &Value) -> Result<NonZeroU32, Wanted> {
        let number = value.as_number().and_then(|number| u32::try_from(number).ok());
        number.and_then(NonZeroU32::new).ok_or_else(|| "give a number, 1 at least".to_owned())
    }

    fn write(of: &NonZeroU32) -> Value {
        Value::Number(of.get().into())
    }
}

/// Bytes, so many at least.
pub(super) struct Size<N, const MIN: u64>(PhantomData<N>);

impl<N: TryFrom<u64> + Copy + TryInto<u64>, const MIN: u64> Kind for Size<N, MIN> {
    type Of = N;

    fn read(value: &Value) -> Result<N, Wanted> {
        let parsed = || match value.as_text()?.parse() {
            // What is larger than any number is cut to the largest.
            Err(_) | Ok(ByteSize(u64::MAX)) => None,
            Ok(ByteSize(bytes)) => Some(bytes),
        };
        let bytes = value.as_number().or_else(parsed).filter(|bytes| *bytes >= MIN);
        bytes
            .and_then(|bytes| N::try_from(bytes).ok())
            .ok_or_else(|| format!("give a size such as \"64 MiB\" or 3_500_000, {} at least", Bytes(MIN)))
    }

    fn write(of: &N) -> Value {
        let bytes = (*of).try_into().unwrap_or(u64::MAX);
        match Bytes(bytes) {
            whole if whole.unit().is_some() => Value::text(whole.to_string()),
            Bytes(bytes) => Value::Number(bytes),
        }
    }
}

/// Bytes, in the largest unit that they are a whole number, or a whole number and a half, of.
pub(super) struct Bytes(pub(super) u64);

impl Bytes {
    fn unit(&self) -> Option<(u64, &'static str)> {
        let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        // What people write is a few digits and a unit, or a number.
        let is_plain = |unit: u64| self.0.is_multiple_of(unit / 2) && (1..10_000).contains(&(self.0 / unit));
        units.into_iter().find(|(unit, _)| is_plain(*unit))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit() {
            Some((unit, name)) => {
                let half = if self.0.is_multiple_of(unit) { "" } else { ".5" };
                write!(f, "{}{half} {name}", self.0 / unit)
            }
            None => write!(f, "{}", self.0),
        }
    }
}

/// A length of time, so many milliseconds at least.
pub(super) struct Time<const MIN_MILLIS: u64>;

impl<const MIN_MILLIS: u64> Kind for Time<MIN_MILLIS> {
    type Of = Duration;

    fn read(value: &Value) -> Result<Duration, Wanted> {
        let parsed = || {
            let span: Span = value.as_text()?.parse().ok()?;
            let time = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
            Duration::try_from(time).ok()
        };
        let min = Duration::from_millis(MIN_MILLIS);
        parsed().filter(|time| (min..=TIME_MAX).contains(time)).ok_or_else(|| {
            let least = if MIN_MILLIS > 0 { format!(", {} at least", InUnits(min)) } else { String::new() };
            format!("give a time such as \"500ms\", \"30s\", \"2h\" or \"30d\"{least}")
        })
    }

    fn write(of: &Duration) -> Value {
        Value::text(InUnits(*of).to_string())
    }
}

/// A time in the largest unit that it is a whole number of.
pub(super) struct InUnits(pub(super) Duration);

impl fmt::Display for InUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u128, &str); 6] = [
            (24 * 3_600_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
        ];
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let (unit, name) =
            UNITS.into_iter().find(|(unit, _)| nanos.is_multiple_of(*unit)).unwrap_or((1, "ns"));
        write!(f, "{}{name}", nanos / unit)
    }
}

/// What happens to new events once a queue is full.
pub(super) struct Fullness;

impl Kind for Fullness {
    type Of = WhenFull;

    fn read(value: &Value) -> Result<WhenFull, Wanted> {
        match value.as_text() {
            Some("refuse-new") => Ok(WhenFull::RefuseNew),
            Some("drop-oldest") => Ok(WhenFull::DropOldest),
            _ => Err("give \"refuse-new\" or \"drop-oldest\"".to_owned()),
        }
    }

    fn write(of: &WhenFull) -> Value {
        Value::text(match of {
            WhenFull::RefuseNew => "refuse-new",
            WhenFull::DropOldest => "drop-oldest",
        })
    }
}

#[cfg(test)]
mod tests;
