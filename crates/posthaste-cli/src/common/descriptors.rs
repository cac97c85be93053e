//! File descriptors, where there may be few of them.
//!
//! A process that runs out of them in the middle of its work can neither go on nor end well: connections take those
//! that a spool needs to go on. So each command looks before it begins whether there are enough.

use std::fs::File;

use super::exit::Failure;

/// What a run needs besides its connections: runtimes, a spool and its dead letters, the input, files that keep lines.
pub(crate) const OF_A_RUN: usize = 36;
/// What it takes to look into a spool, or to mend it.
pub(crate) const OF_A_LOOK: usize = 16;
/// What it takes to read a file.
pub(crate) const OF_A_FILE: usize = 2;

/// Refuses to begin with fewer than this.
pub(crate) fn need(needed: usize) -> Result<(), Failure> {
    match free_up_to(needed) {
        free if free < needed => Err(Failure::Descriptors { free, needed }),
        _ => Ok(()),
    }
}

/// How many connections a run may have, of as many as are wanted: each of its two ways has as many.
pub(crate) fn connections(wanted: usize) -> usize {
    let free = free_up_to(wanted.saturating_mul(2).saturating_add(OF_A_RUN));
    (free.saturating_sub(OF_A_RUN) / 2).clamp(1, wanted.max(1))
}

/// How many are free, as far as that matters. The root folder can be opened everywhere; an image of the program alone
/// has no `/dev/null`.
fn free_up_to(enough: usize) -> usize {
    let opened: Vec<File> = (0..enough.min(ENOUGH)).map_while(|_| File::open("/").ok()).collect();
    if opened.len() < ENOUGH { opened.len() } else { enough }
}

/// Whoever has so many has enough for anything.
const ENOUGH: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_counted() {
        assert_eq!((free_up_to(0), free_up_to(7), free_up_to(100_000)), (0, 7, 100_000));
        assert_eq!((connections(0), connections(1), connections(64)), (1, 1, 64));
        assert!(need(OF_A_RUN).is_ok());
    }
}
