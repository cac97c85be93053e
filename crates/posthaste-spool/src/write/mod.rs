//! How records get to disk: what is taken waits in `pending`, `writer` commits it, `stock` has the empty segments that it
//! goes to, `plan` knows beforehand that they will do, and `house` keeps the cursor and gives space back.

pub(crate) mod house;
pub(crate) mod pending;
pub(crate) mod plan;
pub(crate) mod stock;
pub(crate) mod writer;
