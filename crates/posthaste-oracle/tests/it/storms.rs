//! Histories made at random, of a pipeline that keeps every promise, and of the same one with a single crime in it. The
//! first are sound, whatever happens; of the second none is, and the crime is named.

use std::collections::BTreeMap;

use fastrand::Rng;
use posthaste_oracle::{Answer, Cause, Digest, Fact, Fault, Oracle, Verdict};

use crate::verdicts::{claim, digest};

const FRESH: u64 = 1_000_000;

/// An honest pipeline: what it stores survives its processes, what it holds in memory does not.
struct World {
    random: Rng,
    facts: Vec<Fact>,
    run: u32,
    next: u64,
    /// Accepted and not stored.
    memory: Vec<u64>,
    /// Events on disk; whether the producer has been told.
    disk: BTreeMap<u64, bool>,
    /// Handed back, in the producer's hands.
    returned: Vec<u64>,
}

impl World {
    fn play(seed: u64) -> Vec<Fact> {
        let mut world = Self {
            random: Rng::with_seed(seed),
            facts: vec![Fact::Started { run: 1 }],
            run: 1,
            next: 0,
            memory: Vec::new(),
            disk: BTreeMap::new(),
            returned: Vec::new(),
        };
        for _ in 0..world.random.usize(20..400) {
            world.step();
        }
        world.finish();
        world.facts
    }

    fn step(&mut self) {
        match self.random.u8(0..20) {
            0..8 => self.offer(),
            8..12 => self.store(),
            12..18 => self.deliver(),
            18 => self.kill(),
            _ => self.restart(),
        }
    }

    fn offer(&mut self) {
        let again = self.returned.pop().filter(|_| self.random.bool());
        let id = again.unwrap_or_else(|| {
            self.next += 1;
            self.next
        });
        let run = self.run;
        self.facts.push(claim(run, id));
        match self.random.u8(0..6) {
            0 => {
                self.facts.push(Fact::Refused { run, id });
                self.returned.push(id);
            }
            // Killed before it said so.
            1 => {
                if self.random.bool() {
                    self.disk.insert(id, false);
                }
                self.kill();
            }
            _ => {
                self.facts.push(Fact::Accepted { run, id });
                self.memory.push(id);
            }
        }
    }

    fn store(&mut self) {
        let run = self.run;
        for id in std::mem::take(&mut self.memory) {
            let is_told = self.random.u8(0..10) > 0;
            if is_told {
                self.facts.push(Fact::Stored { run, id });
            }
            self.disk.insert(id, is_told);
        }
    }

    fn deliver(&mut self) {
        let Some(id) = self.random.choice(self.disk.keys().copied()) else { return };
        let is_bad = id % 7 == 0;
        let answer = match self.random.u8(0..6) {
            0 => Answer::NotNow,
            1 => Answer::RefusedInCompany,
            _ if is_bad => Answer::Refused,
            _ => Answer::Taken,
        };
        self.facts.push(Fact::Arrived { id, digest: digest(id), answer, at_ms: 0 });
        let is_over = matches!(answer, Answer::Taken | Answer::Refused);
        if answer == Answer::Refused {
            self.facts.push(Fact::Dead { id, digest: digest(id), cause: Cause::Refused });
        }
        // The acknowledgement may be forgotten: it comes again.
        if is_over && self.random.u8(0..10) > 0 {
            self.disk.remove(&id);
        }
    }

    fn kill(&mut self) {
        self.facts.push(Fact::Killed { run: self.run });
        self.memory.clear();
        self.start();
    }

    fn restart(&mut self) {
        self.store();
        self.facts.push(Fact::Ended { run: self.run });
        self.start();
    }

    fn start(&mut self) {
        self.run += 1;
        self.facts.push(Fact::Started { run: self.run });
    }

    fn finish(&mut self) {
        self.store();
        let run = self.run;
        self.facts.extend([claim(run, FRESH), Fact::Fresh { id: FRESH }, Fact::Accepted { run, id: FRESH }]);
        self.disk.insert(FRESH, true);
        while !self.disk.is_empty() {
            self.deliver();
        }
        self.facts.push(Fact::Ended { run });
    }
}

fn verdict(facts: &[Fact]) -> Verdict {
    let mut oracle = Oracle::new();
    oracle.extend(facts.iter().copied());
    oracle.verdict()
}

/// A crime against a history: what it is called, and of which event. `None`: the history has no occasion for it.
type Crime = fn(&mut Vec<Fact>, &mut Rng) -> Option<(Fault, u64)>;

fn ids(facts: &[Fact], pick: impl Fn(&Fact) -> Option<u64>) -> Vec<u64> {
    facts.iter().filter_map(pick).filter(|id| *id != FRESH).collect()
}

fn lose_a_stored_one(facts: &mut Vec<Fact>, random: &mut Rng) -> Option<(Fault, u64)> {
    let stored = ids(facts, |fact| if let Fact::Stored { id, .. } = fact { Some(*id) } else { None });
    let lost = *random.choice(&stored)?;
    facts.retain(|fact| !matches!(fact, Fact::Arrived { id, .. } | Fact::Dead { id, .. } if *id == lost));
    Some((Fault::LostStored, lost))
}

#[expect(clippy::unnecessary_wraps, reason = "a crime among others")]
fn invent_one(facts: &mut Vec<Fact>, random: &mut Rng) -> Option<(Fault, u64)> {
    let id = FRESH + 1;
    let at = random.usize(..facts.len());
    facts.insert(at, Fact::Arrived { id, digest: digest(id), answer: Answer::Taken, at_ms: 0 });
    Some((Fault::Invented, id))
}

#[expect(clippy::ptr_arg, reason = "a crime among others")]
fn alter_one(facts: &mut Vec<Fact>, random: &mut Rng) -> Option<(Fault, u64)> {
    let arrivals: Vec<usize> = (0..facts.len())
        .filter(|at| matches!(facts[*at], Fact::Arrived { .. } | Fact::Dead { .. }))
        .collect();
    match &mut facts[*random.choice(&arrivals)?] {
        Fact::Arrived { id, digest, .. } | Fact::Dead { id, digest, .. } => {
            *digest = Digest::of(b"changed");
            Some((Fault::Altered, *id))
        }
        _ => None,
    }
}

fn keep_a_refused_one(facts: &mut Vec<Fact>, random: &mut Rng) -> Option<(Fault, u64)> {
    let mut last = BTreeMap::new();
    let mut offers: BTreeMap<u64, u32> = BTreeMap::new();
    for fact in &*facts {
        match fact {
            Fact::Claimed { id, .. } => *offers.entry(*id).or_default() += 1,
            Fact::Refused { id, .. } | Fact::Accepted { id, .. } => drop(last.insert(*id, *fact)),
            _ => {}
        }
    }
    last.retain(|id, fact| offers[id] == 1 && matches!(fact, Fact::Refused { .. }));
    let id = *random.choice(last.keys())?;
    facts.push(Fact::Arrived { id, digest: digest(id), answer: Answer::NotNow, at_ms: 0 });
    Some((Fault::RefusedButThere, id))
}

fn bury_a_good_one(facts: &mut Vec<Fact>, random: &mut Rng) -> Option<(Fault, u64)> {
    let is_taken = |fact: &Fact| matches!(fact, Fact::Arrived { answer: Answer::Taken, .. });
    let taken =
        ids(
            facts,
            |fact| if let Fact::Arrived { id, .. } = fact { is_taken(fact).then_some(*id) } else { None },
        );
    let id = *random.choice(&taken)?;
    facts.push(Fact::Dead { id, digest: digest(id), cause: Cause::Refused });
    Some((Fault::UnjustlyDead, id))
}

#[test]
fn an_honest_pipeline_is_found_honest() {
    let (mut kills, mut repeats, mut vanished) = (0, 0, 0);
    for seed in 0..2_000 {
        let verdict = verdict(&World::play(seed));
        assert!(verdict.ok(), "seed {seed}: {verdict:?}");
        kills += verdict.kills;
        repeats += verdict.repeated;
        vanished += verdict.vanished;
    }
    assert!(kills > 1_000 && repeats > 1_000 && vanished > 100, "{kills} {repeats} {vanished}: too tame");
}

#[test]
fn no_crime_goes_unnoticed() {
    let crimes: [Crime; 5] = [lose_a_stored_one, invent_one, alter_one, keep_a_refused_one, bury_a_good_one];
    for (number, crime) in crimes.into_iter().enumerate() {
        let mut committed = 0;
        for seed in 0..500 {
            let mut facts = World::play(seed);
            let Some((fault, id)) = crime(&mut facts, &mut Rng::with_seed(seed)) else { continue };
            committed += 1;
            let verdict = verdict(&facts);
            let found: Vec<_> = verdict.findings.iter().map(|finding| (finding.fault, finding.id)).collect();
            assert_eq!(found, [(fault, id)], "crime {number}, seed {seed}: {verdict:?}");
            assert!(!verdict.ok());
        }
        assert!(committed > 100, "crime {number} had no occasion");
    }
}
