//! What requests have in common: a client says the same of itself again and again, and it is kept once.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use serde_json::Value;

use super::layout;
use crate::origin::Origin;

/// Shapes that are remembered for the next request.
const SHAPES_MAX: usize = 128;
/// Bytes of a shape that is remembered; a larger one is kept with each of its requests.
const SHARED_BYTES_MAX: usize = 8_192;

/// What two requests of one client mostly share.
#[derive(Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Shape {
    pub(crate) origin: Origin,
    pub(crate) envelope: Envelope,
}

/// A request body around its visitors.
#[derive(Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Envelope {
    /// Its fields as JSON without the last brace; empty where the body is no object.
    pub(crate) json: Box<str>,
    pub(crate) account_id: Box<str>,
    pub(crate) project_id: Box<str>,
    pub(crate) revision: Box<str>,
    pub(crate) client_name: Box<str>,
    pub(crate) client_version: Box<str>,
}

impl Envelope {
    pub(crate) fn of(body: &Value) -> Self {
        let text = |name| body.get(name).and_then(Value::as_str).unwrap_or_default().into();
        Self {
            json: layout::envelope(body).into(),
            account_id: text("account_id"),
            project_id: text("project_id"),
            revision: text("revision"),
            client_name: text("client_name"),
            client_version: text("client_version"),
        }
    }

    fn bytes(&self) -> usize {
        let ids =
            [&self.account_id, &self.project_id, &self.revision, &self.client_name, &self.client_version];
        self.json.len() + ids.into_iter().map(|text| text.len() + 16).sum::<usize>()
    }
}

impl Shape {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Envelope>() + self.envelope.bytes() + self.origin.bytes() + 32
    }

    pub(crate) fn session(&self) -> Option<&str> {
        self.origin.session()
    }
}

/// Shapes of late, each in the place that its hash says.
///
/// Invariant: at most [`SHAPES_MAX`] shapes of at most [`SHARED_BYTES_MAX`] are known here, so that what is counted with
/// the request that brought it, and outlives that, stays below a megabyte.
#[derive(Debug)]
pub(crate) struct Shapes {
    known: Box<[Option<Arc<Shape>>]>,
    hashes: RandomState,
}

impl Default for Shapes {
    fn default() -> Self {
        Self { known: vec![None; SHAPES_MAX].into(), hashes: RandomState::new() }
    }
}

impl Shapes {
    /// The shape, shared where it is known, and the bytes that it takes beside those that are shared.
    pub(crate) fn share(&mut self, shape: Shape) -> (Arc<Shape>, usize) {
        let bytes = shape.bytes();
        if bytes > SHARED_BYTES_MAX {
            return (Arc::new(shape), bytes);
        }
        let place = usize::try_from(self.hashes.hash_one(&shape) % SHAPES_MAX as u64).unwrap_or_default();
        let Some(known) = self.known.get_mut(place) else { return (Arc::new(shape), bytes) };
        match known {
            Some(known) if **known == shape => (Arc::clone(known), 0),
            _ => {
                let shape = Arc::new(shape);
                *known = Some(Arc::clone(&shape));
                (shape, bytes)
            }
        }
    }
}
