//! Events in and out as a file: JSON lines, a request body each.

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use serde::Serialize;

use crate::{
    Collector, Filter,
    filter::Picker,
    origin::{Dealt, Origin},
    told::Told,
};

/// What was in a file.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Imported {
    pub(crate) requests: u64,
    pub(crate) events: u64,
    pub(crate) bad: u64,
}

/// Why no more of a file was taken; what stands before stays.
#[derive(Debug)]
pub(crate) enum ImportError {
    /// The body ended in the middle.
    Broken(String),
    /// A line, counted from 1, has more bytes than a body may have.
    LineTooLong(u64),
}

impl Collector {
    /// What the filter picks, oldest first, a request body a line. No more than a piece is held at once, whoever reads
    /// however slowly; what is forgotten before its turn is left out.
    pub(crate) fn export(&self, filter: &Filter) -> Body {
        let until = self.store().newest();
        let picker = Picker::new(filter, self.config());
        let start = (self.clone(), picker, filter.after.unwrap_or_default());
        Body::from_stream(stream::unfold(start, move |(collector, picker, mut after)| async move {
            let mut lines = String::new();
            while lines.is_empty() {
                let piece = collector.store().piece_after(after);
                let last = piece.last_id().filter(|_| after < until)?;
                for view in piece.views().filter(|view| view.id() <= until && picker.picks(view)) {
                    lines.push_str(&Told::new(view, collector.config()).raw());
                    lines.push('\n');
                }
                after = last;
                // A filter that picks little lets others have their turn.
                tokio::task::yield_now().await;
            }
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(lines)), (collector, picker, after)))
        }))
    }

    /// Takes a file's bodies, each as if it had been posted.
    pub(crate) async fn import(&self, origin: &Origin, body: Body) -> Result<Imported, ImportError> {
        let bytes_max = self.options().body_bytes_max;
        let (mut imported, mut line, mut number) = (Imported::default(), Vec::new(), 1);
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| ImportError::Broken(error.to_string()))?;
            let mut pieces = chunk.split(|byte| *byte == b'\n').peekable();
            while let Some(piece) = pieces.next() {
                if line.len() + piece.len() > bytes_max {
                    return Err(ImportError::LineTooLong(number));
                }
                line.extend_from_slice(piece);
                if pieces.peek().is_some() {
                    self.import_line(origin, &line, &mut imported);
                    line.clear();
                    number += 1;
                }
            }
        }
        self.import_line(origin, &line, &mut imported);
        Ok(imported)
    }

    fn import_line(&self, origin: &Origin, line: &[u8], imported: &mut Imported) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        let dealt = Dealt { status: Some(200), ..Dealt::default() };
        let received = self.receive_from(origin.clone(), line.len(), line, dealt);
        imported.requests += 1;
        imported.events += (received.good + received.bad + received.duplicates) as u64;
        imported.bad += received.bad as u64;
    }
}
