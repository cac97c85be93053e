//! `--load`: the events of a file that `--out` or `GET /export` has written, judged anew.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use posthaste_collector::Collector;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::common::{
    exit::Failure,
    output::{Output, counted},
};

/// A line of `--out`; one of `GET /export` is a request body, and has no `raw`.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    raw: Option<&'a RawValue>,
    #[serde(default)]
    event: Event,
}

#[derive(Deserialize, Default)]
struct Event {
    session: Option<String>,
}

/// Takes every line, and says how many there were. A line that is no JSON is a bad event like any other.
pub(super) fn load(collector: &Collector, path: &Path, output: &Output) -> Result<(), Failure> {
    let failed = |source| Failure::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let (mut line, mut count) = (Vec::new(), 0);
    while file.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        let text = line.trim_ascii();
        if !text.is_empty() {
            take(collector, text);
            count += 1;
        }
        line.clear();
    }
    output.inform(format_args!("loaded {} of {}", counted(count, "line", "lines"), path.display()));
    Ok(())
}

fn take(collector: &Collector, text: &[u8]) {
    let Ok(Line { raw: Some(raw), event }) = serde_json::from_slice(text) else {
        collector.receive_again(text, None);
        return;
    };
    // What could not be read is kept as a string.
    let unread: Option<String> = serde_json::from_str(raw.get()).ok();
    let body = unread.as_deref().unwrap_or(raw.get());
    collector.receive_again(body.as_bytes(), event.session.as_deref());
}
