//! The trouble that the model is in: failing calls, lies, full disks, hands from outside, crashes; and dead letters.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use posthaste_spool::{Fault, Operation, Spool};

use crate::{model::World, raw, support::dir};

pub(crate) const ERRORS: [Fault; 5] = [Fault::EIO, Fault::ENOSPC, Fault::EDQUOT, Fault::EROFS, Fault::EMFILE];

impl World {
    pub(crate) fn plan_crash(&mut self) {
        let number = self.faulty.operations() + self.rng.u64(..20);
        let torn = self.rng.usize(..1_500);
        self.tell(format_args!("crash at {number}, {torn} bytes written"));
        self.faulty.crash_at(number, torn);
    }

    pub(crate) fn plan_fault(&mut self) {
        let number = self.faulty.operations() + self.rng.u64(..20);
        let fault = self.rng.choice(ERRORS).expect("there are some");
        self.tell(format_args!("fail {number} with {fault:?}"));
        self.faulty.fail_at(number, fault);
    }

    pub(crate) fn fail_for_a_while(&mut self) {
        use Operation::{Allocate, Open, Remove, Rename, Sync, SyncFolder, Write};
        let operations = [Sync, Sync, Write, SyncFolder, Rename, Remove, Open, Allocate];
        let operation = self.rng.choice(operations).expect("there are some");
        let fault = self.rng.choice(ERRORS).expect("there are some");
        self.tell(format_args!("{operation:?} fails with {fault:?}"));
        self.faulty.fail_always(operation, fault);
    }

    pub(crate) fn fill_disk(&mut self) {
        let space = self.rng.u64(..40_000);
        self.tell(format_args!("space for {space}"));
        self.faulty.set_space(Some(space));
    }

    /// A write that says that all is well goes nowhere, or elsewhere.
    pub(crate) fn lie(&mut self) {
        self.oracle.is_hurt = true;
        if self.rng.bool() {
            self.tell("lose a write");
            self.faulty.lose_next_write("seg-");
        } else {
            let delta = self.rng.choice([-8_192, -4_096, 4_096, 8_192, 512]).expect("there are some");
            self.tell(format_args!("misdirect a write by {delta}"));
            self.faulty.misdirect_next_write("seg-", delta);
        }
    }

    pub(crate) fn fail_reads(&mut self) {
        // What is lost is told before, so that nothing more is.
        self.faulty.heal();
        self.check();
        let from = self.rng.u64(..16_384);
        self.tell(format_args!("reads of {from} fail"));
        self.faulty.fail_reads("seg-", from..from + self.rng.u64(1..5_000));
        self.check_unreadable();
        self.faulty.heal();
    }

    /// Hands from outside, at a quiet moment: then it is known to the record what is lost.
    pub(crate) fn hurt(&mut self) {
        self.settle_down();
        let files = self.disk.files();
        let segments: Vec<_> = files.keys().filter(|path| raw::name(path, &dir()).is_some()).collect();
        let Some(victim) = self.rng.choice(segments) else { return };
        let (length, rng) = (files[victim].len() as u64, &mut self.rng);
        self.oracle.is_hurt = true;
        let at = rng.u64(..length.max(1));
        let what = rng.u8(..4);
        let hurt = match what {
            0 => self.disk.remove_file(victim),
            1 => self.disk.truncate(victim, at),
            2 => {
                let other = rng.choice(files.values()).expect("there are some");
                let page = rng.usize(..=other.len() / 4_096) * 4_096;
                let page = &other[page.min(other.len())..other.len().min(page + 4_096)];
                self.disk.overwrite(victim, at / 4_096 * 4_096, page)
            }
            _ => {
                let old = files[victim].get(usize::try_from(at).expect("small")).copied().unwrap_or(0);
                self.disk.overwrite(victim, at, &[old ^ 0x40])
            }
        };
        hurt.expect("outside hands can");
        self.tell(format_args!("hurt {} at {at} by {what}", victim.display()));
        if self.rng.bool() { self.crash() } else { self.reopen() }
    }

    pub(crate) fn give_up(&mut self) {
        self.tell("give up");
        let mut given_up = self.spool().give_up();
        given_up.sort_unstable();
        assert_eq!(given_up, self.oracle.to_give_up());
        self.oracle.listen(true);
        self.crash();
    }

    /// The power fails, or just the process; then the spool is opened again, perhaps failing half way.
    pub(crate) fn crash(&mut self) {
        let power = self.survives_power && self.rng.bool();
        self.tell(if power { "power cut" } else { "kill" });
        if power {
            self.disk.crash(&mut self.rng);
        } else {
            self.disk.kill();
        }
        self.log = None;
        self.faulty.heal();
        while self.rng.u8(..3) == 0 {
            if self.rng.bool() {
                self.plan_crash();
            } else {
                self.plan_fault();
            }
            let opened = Spool::open_by_hand(Arc::new(self.faulty.clone()), dir(), self.options.clone());
            if let Ok((spool, turns)) = opened {
                turns.turn(Duration::from_secs(1));
                drop((spool, turns));
            }
            if self.survives_power && self.rng.bool() {
                self.tell("power cut while opening");
                self.disk.crash(&mut self.rng);
            }
            self.disk.kill();
            self.faulty.heal();
        }
        self.open();
    }

    /// The process ends, or the power.
    pub(crate) fn die(&mut self, power: bool, dice: u64) {
        if power {
            self.disk.crash(&mut fastrand::Rng::with_seed(dice));
        } else {
            self.disk.kill();
        }
        self.log = None;
        self.faulty.heal();
    }

    pub(crate) fn letter(&mut self) {
        let open = self.oracle.unacked();
        let Some(sequence) = self.rng.choice(open).filter(|sequence| self.letters_asked.insert(*sequence))
        else {
            return;
        };
        self.tell(format_args!("letter about {sequence}"));
        let letter =
            format!("letter {sequence} {}", String::from_utf8_lossy(&self.oracle.entries[&sequence].bytes));
        let told = Arc::clone(&self.letter_told);
        let then = move |stored: Result<_, _>| {
            if stored.is_ok() {
                told.lock().push(sequence);
            }
        };
        let _ = self.spool().dead().add(Some(sequence), letter.as_bytes(), then);
        self.turn(0);
    }

    /// The records that the letters are about. Each has one at most.
    pub(crate) fn letters(&self) -> BTreeSet<String> {
        let letters = self.spool().dead().list(0, usize::MAX, usize::MAX).expect("readable");
        let mut ids = BTreeSet::new();
        for letter in letters.records {
            let text = String::from_utf8_lossy(&letter.bytes).into_owned();
            let id = text.split(' ').nth(3).expect("an id").to_owned();
            // Where the cursor is not believed, what has its letter comes again.
            assert!(ids.insert(id.clone()) || self.oracle.is_hurt, "the letter about {id} is there twice");
        }
        for id in &self.oracle.letters {
            // A page that went elsewhere may have been one of theirs.
            assert!(self.oracle.is_hurt || ids.contains(id), "the letter about {id} was stored and is gone");
        }
        ids
    }
}
