//! How records get to disk: what is taken waits in `pending`, `writer` commits it, `stock` has the empty segments that it
//! goes to, `plan` knows beforehand that they will do, and `house` and
//! `cursor_file` write down what is settled and give space back.

pub(crate) mod cursor_file;
pub(crate) mod house;
pub(crate) mod pending;
pub(crate) mod plan;
pub(crate) mod stock;
pub(crate) mod writer;
