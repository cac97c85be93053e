//! What lines are handed to, and where what cannot be delivered ends.
//!
//! ```text
//! way      one of the three:
//! memory     event ─▶ BatchEventProcessor, batch ─▶ QueueEventDispatcher: what is left at the end is in --leftover
//! spooled    --spool: both ─▶ one QueueEventDispatcher over a spool: what is left at the end stays there
//! streamed   --deliver: a stream ─▶ a QueueEventDispatcher for each tenant: what is left at the end stays there
//!
//! to       where requests go: to the Event API, or with --queue into a stream
//! args     how it is delivered, as the command line says
//! books    what has become of it
//! dead     what the API refused is told, and kept if that is asked for
//! keep     the files that keep lines
//! ```

mod args;
mod books;
mod dead;
mod keep;
mod memory;
mod request;
mod spooled;
mod streamed;
mod to;
mod way;

pub(crate) use self::{
    args::DeliveryArgs,
    books::{Books, NotTaken, SpooledBooks},
    dead::DeadLetterOffice,
    keep::{Keep, check_distinct},
    memory::InMemory,
    spooled::{Limits, Spooled},
    streamed::Streamed,
    to::To,
    way::Pipeline,
};
