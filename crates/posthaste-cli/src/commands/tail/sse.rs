//! Server-sent events, read piece by piece (WHATWG HTML, section 9.2.6), as far as a collector writes them.

/// Bytes that an event may have: far more than a collector sends at once.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// An event that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SentEvent {
    /// Its name; empty where it has none.
    pub(super) name: String,
    pub(super) data: String,
}

/// An event had more bytes than any has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// What has come of a stream, and is no whole event yet.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// A line without its end.
    line: Vec<u8>,
    event: SentEvent,
}

impl Reader {
    /// The events that are whole with this piece.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Vec<SentEvent>, TooLong> {
        let mut events = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.ends_with(b"\n") {
                events.extend(
                    self.event.line(String::from_utf8_lossy(&self.line).trim_end_matches(['\r', '\n'])),
                );
                self.line.clear();
            }
        }
        if self.line.len() + self.event.data.len() > EVENT_BYTES_MAX { Err(TooLong) } else { Ok(events) }
    }
}

impl SentEvent {
    /// The event, if this line ends it.
    fn line(&mut self, line: &str) -> Option<Self> {
        if line.is_empty() {
            let event = std::mem::take(self);
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // Comments, ids (the data have them) and fields that are not known.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> SentEvent {
        SentEvent { name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_whole_however_they_are_cut() {
        let text = ": hello\n\nid: 7\nevent: rows\ndata: {\"a\":\ndata: \"ä\"}\n\r\nevent:reset\r\ndata:x\r\n\r\ndata: half";
        let expected = [event("rows", "{\"a\":\n\"ä\"}"), event("reset", "x")];
        for size in 1..text.len() {
            let mut reader = Reader::default();
            let events: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|piece| reader.push(piece).unwrap()).collect();
            assert_eq!(events, expected, "pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_an_error() {
        let (mut reader, piece) = (Reader::default(), vec![b'x'; 1 << 20]);
        assert!((0..64).all(|_| reader.push(&piece).is_ok()));
        assert_eq!(reader.push(&piece), Err(TooLong));
    }
}
