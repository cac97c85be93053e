//! What is measured: the table of cases.

use std::{fmt, path::PathBuf};

use super::Arguments;

/// One kind of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Case {
    /// Events are made and handed over.
    Enqueue { threads: usize },
    /// Events are delivered to a server.
    Deliver(Deliver),
    /// `posthaste send` delivers a file.
    Send { posthaste: PathBuf, how: Deliver },
    /// Records are stored, one a commit, by the spool and by a database.
    Spool { program: PathBuf },
}

impl Case {
    /// Whether there is no such thing among the peers.
    pub(crate) fn is_of_ours_alone(&self) -> bool {
        matches!(self, Self::Send { .. } | Self::Spool { .. })
    }
}

/// How events are delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deliver {
    pub(crate) batch: usize,
    pub(crate) in_flight: usize,
    pub(crate) delay_ms: usize,
}

const FULL: [(usize, usize, usize); 8] = [
    (10, 64, 0),
    (100, 64, 0),
    (500, 64, 0),
    (10, 64, 50),
    (10, 256, 50),
    (10, 1_024, 50),
    (100, 64, 50),
    (500, 64, 50),
];
const SEND: [(usize, usize, usize); 4] = [(10, 64, 0), (500, 64, 0), (10, 256, 50), (500, 64, 50)];

/// In the order of the tables.
pub(crate) fn cases(arguments: &Arguments) -> Vec<Case> {
    let how = |(batch, in_flight, delay_ms)| Deliver { batch, in_flight, delay_ms };
    let (threads, deliver, sends): (&[usize], Vec<_>, Vec<_>) = if arguments.quick {
        (&[1, 2], vec![(10, 64, 0), (10, 64, 50)], vec![(10, 64, 0)])
    } else {
        (&[1, 2, 4], FULL.to_vec(), SEND.to_vec())
    };
    let mut cases: Vec<Case> = threads.iter().map(|&threads| Case::Enqueue { threads }).collect();
    cases.extend(deliver.into_iter().map(|case| Case::Deliver(how(case))));
    if let Some(posthaste) = &arguments.posthaste {
        let send = |case| Case::Send { posthaste: posthaste.clone(), how: how(case) };
        cases.extend(sends.into_iter().map(send));
    }
    cases.extend(arguments.spool.clone().map(|program| Case::Spool { program }));
    cases
}

/// Events that are queued.
pub(crate) fn thousands(arguments: &Arguments) -> usize {
    if arguments.quick { 20_000 } else { arguments.thousand * 1_000 }
}

pub(crate) fn seconds(arguments: &Arguments) -> f64 {
    if arguments.quick { 0.3 } else { arguments.seconds }
}

/// How long a file takes to be sent, about.
pub(crate) fn send_seconds(arguments: &Arguments) -> f64 {
    if arguments.quick { 0.01 } else { arguments.seconds }
}

pub(crate) fn commits(arguments: &Arguments) -> usize {
    if arguments.quick { 50 } else { arguments.commits }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enqueue { threads: 1 } => f.write_str("create + enqueue, 1 thread"),
            Self::Enqueue { threads } => write!(f, "create + enqueue, {threads} threads"),
            Self::Deliver(how) => write!(f, "delivery, {how}"),
            Self::Send { how, .. } => write!(f, "`posthaste send`, {how}"),
            Self::Spool { .. } => f.write_str("stored, 1 record a commit"),
        }
    }
}

impl fmt::Display for Deliver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, in_flight, delay_ms } = self;
        write!(f, "batch {batch}, {in_flight} in flight, answers after {delay_ms} ms")
    }
}
