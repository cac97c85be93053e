//! All that is remembered of one event: what its producer was told, and where it was seen.

use crate::{Answer, Cause, Digest};

/// One event. Some forty bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entry {
    /// `None`: nobody offered it, or that has not been heard of yet.
    pub(crate) offer: Option<Offer>,
    /// `None`: it was seen nowhere.
    pub(crate) sight: Option<Sight>,
}

/// What its producer said of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) digest: Digest,
    /// The process that offered it last.
    pub(crate) run: u32,
    pub(crate) told: Told,
    /// An earlier process was killed with it: it may be there whatever a later one says.
    pub(crate) may_be_there: bool,
    pub(crate) fresh: bool,
}

/// What the producer was told at its last offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    Refused,
    Accepted,
    NotStored,
    Stored,
}

/// What was seen of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    /// As it was seen first.
    pub(crate) digest: Digest,
    /// It was seen differently later.
    pub(crate) changed: bool,
    /// How often the receiver took it.
    pub(crate) taken: u32,
    /// The receiver refused it, alone.
    pub(crate) refused_alone: bool,
    pub(crate) letters: u32,
    /// Of those, the ones that blame the receiver.
    pub(crate) blaming_letters: u32,
    pub(crate) waiting: bool,
}

/// A fact that cannot follow those before it: the harness is wrong, or its log is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contradiction;

impl Entry {
    /// It is about to be offered. `was_killed`: what became of the process that offered it before.
    pub(crate) fn claim(
        &mut self,
        run: u32,
        digest: Digest,
        was_killed: impl Fn(u32) -> bool,
    ) -> Result<(), Contradiction> {
        let Some(offer) = &mut self.offer else {
            self.offer = Some(Offer { digest, run, told: Told::Nothing, may_be_there: false, fresh: false });
            return Ok(());
        };
        let may_be_there = match offer.told {
            Told::Refused => false,
            Told::Nothing | Told::Accepted | Told::NotStored if was_killed(offer.run) => true,
            _ => return Err(Contradiction),
        };
        if offer.digest != digest {
            return Err(Contradiction);
        }
        offer.may_be_there |= may_be_there;
        (offer.run, offer.told) = (run, Told::Nothing);
        Ok(())
    }

    /// Its producer was told something.
    pub(crate) fn tell(&mut self, run: u32, told: Told) -> Result<(), Contradiction> {
        let before = match told {
            Told::Nothing => return Err(Contradiction),
            Told::Refused | Told::Accepted => Told::Nothing,
            Told::NotStored | Told::Stored => Told::Accepted,
        };
        match &mut self.offer {
            Some(offer) if offer.run == run && offer.told == before => offer.told = told,
            _ => return Err(Contradiction),
        }
        Ok(())
    }

    pub(crate) fn arrive(&mut self, digest: Digest, answer: Answer) {
        let sight = self.see(digest);
        sight.taken += u32::from(answer == Answer::Taken);
        sight.refused_alone |= answer == Answer::Refused;
    }

    pub(crate) fn bury(&mut self, digest: Digest, cause: Cause) {
        let sight = self.see(digest);
        sight.letters += 1;
        sight.blaming_letters += u32::from(cause == Cause::Refused);
    }

    pub(crate) fn wait(&mut self, digest: Digest) {
        self.see(digest).waiting = true;
    }

    fn see(&mut self, digest: Digest) -> &mut Sight {
        let sight = self.sight.get_or_insert(Sight {
            digest,
            changed: false,
            taken: 0,
            refused_alone: false,
            letters: 0,
            blaming_letters: 0,
            waiting: false,
        });
        sight.changed |= sight.digest != digest;
        sight
    }
}

impl Sight {
    /// Whether it has come to an end, or will.
    pub(crate) fn is_kept(&self) -> bool {
        self.taken > 0 || self.letters > 0 || self.waiting
    }

    /// Whether a dead letter says of the receiver what it did not do.
    pub(crate) fn is_unjustly_dead(&self) -> bool {
        self.blaming_letters > 0 && !self.refused_alone
    }
}
