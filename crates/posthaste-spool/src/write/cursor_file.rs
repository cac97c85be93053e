//! Keeps the cursor's file: what is settled and stored, written so that one slot is whole on disk all the time.

use super::stock;
use crate::{
    error::{At, DiskError},
    filesystem::SpoolFile,
    format::cursor::{self, Cursor, Slot},
    log::Log,
};

/// The cursor's file.
#[derive(Debug)]
pub(crate) struct CursorFile {
    file: Option<Box<dyn SpoolFile>>,
    generation: u64,
    pub(crate) owner: u32,
    /// Whether a slot has been written and synced in this life. Until then it is not known which of the others are on
    /// disk: an earlier process may have left one that can be read and is not.
    pub(crate) is_sure: bool,
}

impl CursorFile {
    pub(crate) fn new(generation: u64) -> Self {
        Self { file: None, generation, owner: std::process::id(), is_sure: false }
    }

    /// A slot's bytes, and how many acknowledgements in it are not written down yet.
    fn snapshot(&self, log: &Log, place: (u64, u64), letters: Option<&Log>) -> (Vec<u8>, u64) {
        // Before the acknowledgements: a letter that comes in between has one of these to wait for.
        let next_letter = letters.map_or(0, |letters| letters.state.lock().next);
        let mut state = log.state.lock();
        let (segment, offset) = place;
        let cursor = Cursor {
            spool: log.id,
            generation: self.generation + 1,
            acks: state.acks.clone(),
            end: state.stored,
            next: state.next,
            segment,
            offset,
            lost: state.counters.lost_records,
            letters: state
                .letters
                .values()
                .copied()
                .min()
                .unwrap_or(next_letter)
                .min(next_letter)
                .min(state.letters_unknown),
            owner: self.owner,
            meta: state.meta.clone(),
        };
        let holes = state.holes();
        (cursor.encode(&holes), state.acks_unwritten)
    }

    /// Writes down what is settled, and syncs it.
    pub(crate) fn write(
        &mut self,
        log: &Log,
        place: (u64, u64),
        letters: Option<&Log>,
    ) -> Result<(), DiskError> {
        let (slot, unwritten) = self.snapshot(log, place, letters);
        // The third slot first, so that whatever the other two are, one is whole on disk all the time.
        let sure = if self.is_sure { Ok(()) } else { self.put(log, &slot, Slot::Unsynced, true) };
        let written = sure.and_then(|()| self.put(log, &slot, Slot::InTurn, true));
        let mut state = log.state.lock();
        if written.is_ok() {
            // On failure the same slot is written again, and the other stays sound.
            self.generation += 1;
            state.acks_unwritten = state.acks_unwritten.saturating_sub(unwritten);
        } else {
            state.counters.cursor_failures += 1;
        }
        drop(state);
        if written.is_ok() {
            self.is_sure = true;
            // Should this slot be damaged, another says the same.
            let _ = self.put_at(log, &slot, Slot::Unsynced, self.generation, false);
        }
        written
    }

    fn put(&mut self, log: &Log, slot: &[u8], which: Slot, syncs: bool) -> Result<(), DiskError> {
        self.put_at(log, slot, which, self.generation + 1, syncs)
    }

    fn put_at(
        &mut self,
        log: &Log,
        slot: &[u8],
        which: Slot,
        generation: u64,
        syncs: bool,
    ) -> Result<(), DiskError> {
        if self.file.is_none() {
            self.file = Some(open(log)?);
        }
        let file = self.file.as_ref().expect("it is open now");
        file.write_at(slot, cursor::place(generation, which)).at("write", &log.path(cursor::NAME))?;
        if syncs { log.sync_file(&**file, cursor::NAME) } else { Ok(()) }
    }

    /// Notes the same where a killed process leaves it, at the cost of a copy. It does no harm where that fails.
    pub(crate) fn note(&mut self, log: &Log, place: (u64, u64), letters: Option<&Log>) {
        if self.is_sure {
            let (slot, _) = self.snapshot(log, place, letters);
            let _ = self.put(log, &slot, Slot::Unsynced, false);
        }
    }
}

/// Opens the cursor's file, made with its full length where it is not there.
fn open(log: &Log) -> Result<Box<dyn SpoolFile>, DiskError> {
    let path = log.path(cursor::NAME);
    let file = match log.folder.open(cursor::NAME, crate::filesystem::OpenMode::Write) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            log.open(cursor::NAME, crate::filesystem::OpenMode::Create)?
        }
        file => file.at("open", &path)?,
    };
    let size = file.size().at("measure", &path)?;
    if size < cursor::FILE_BYTES as u64 {
        // The last byte comes last: a file of full length has its name on disk.
        let last = cursor::FILE_BYTES as u64 - 1;
        stock::write_zeros(&*file, size, last).at("write", &path)?;
        log.sync_file(&*file, cursor::NAME)?;
        log.sync_folder()?;
        stock::write_zeros(&*file, last, last + 1).at("write", &path)?;
    }
    Ok(file)
}
