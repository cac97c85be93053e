//! What a run needs of the system, whatever it delivers: taken before anything else, so that it fails before anything
//! has happened.

use std::io;

use tokio::runtime::Runtime;

use crate::common::signals::Uncaught;

#[derive(Debug)]
pub(crate) struct Stage {
    pub(super) runtime: Runtime,
    pub(super) signals: Uncaught,
}

impl Stage {
    pub(crate) fn set_up() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = runtime.block_on(async { Uncaught::open() })?;
        Ok(Self { runtime, signals })
    }
}
