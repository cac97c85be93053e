//! The result: for people and for machines.

use std::{fmt, time::Duration};

use posthaste::{
    Clock, SystemClock,
    queue::jetstream::{Fault, Holds, Inspection, StreamFacts, StreamReport, TenantFacts},
};
use serde::Serialize;

use super::advice;
use crate::common::output::{counted, grouped, plain};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    ok: bool,
    /// What it promises, and which settings are wrong.
    stream: StreamReport,
    /// What there is.
    found: Inspection,
    /// The promises that are asked for.
    asked: Vec<&'static str>,
    /// How old the oldest message is.
    oldest_age_ms: Option<u64>,
    /// What breaks no promise, and is worth a look.
    notes: Vec<String>,
    /// What to do, in the order of what is wrong.
    advice: Vec<String>,
    #[serde(skip)]
    faults: Vec<Fault>,
}

impl Report {
    pub(super) fn new(stream: StreamReport, found: Inspection, asked: &[Fault]) -> Self {
        let age = |ms: i64| u64::try_from(SystemClock.now_ms().saturating_sub(ms)).unwrap_or_default();
        let mut report = Self {
            ok: false,
            asked: asked.iter().map(|fault| fault.name()).collect(),
            oldest_age_ms: found.events.oldest_ms.map(age),
            notes: notes(&found),
            advice: Vec::new(),
            faults: asked.to_vec(),
            stream,
            found,
        };
        report.ok = report.promises_hold() && report.wrong_settings().next().is_none();
        report.advice = report.all_advice();
        report
    }

    pub(super) fn is_well(&self) -> bool {
        self.ok
    }

    fn is_asked(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    fn promises_hold(&self) -> bool {
        self.faults.iter().all(|fault| self.stream.holds(*fault) == Holds::Yes)
    }

    /// Settings that matter to what is asked for.
    fn wrong_settings(&self) -> impl Iterator<Item = &posthaste::queue::jetstream::Finding> {
        let is_wrong = |setting: &str| setting != "num_replicas" || self.is_asked(Fault::ServerLost);
        self.stream.findings.iter().filter(move |finding| is_wrong(finding.setting))
    }

    fn all_advice(&self) -> Vec<String> {
        let promises = self.stream.promises.iter().filter(|promise| self.is_asked(promise.fault));
        let promises =
            promises.filter_map(|promise| advice::of_promise(promise, &self.found, &self.stream.syncs));
        let mut all: Vec<String> = Vec::new();
        for advice in
            promises.chain(self.wrong_settings().map(|finding| advice::of_finding(finding, &self.found)))
        {
            if !all.contains(&advice) {
                all.push(advice);
            }
        }
        all
    }
}

/// What is worth a look, and breaks no promise.
fn notes(found: &Inspection) -> Vec<String> {
    let mut notes = Vec::new();
    for stream in [Some(&found.events), found.dead.as_ref()].into_iter().flatten() {
        let behind = stream.followers.iter().filter(|follower| !follower.is_current);
        notes.extend(behind.map(|follower| {
            format!("stream {}: server {} is away, or has not everything yet", stream.name, follower.name)
        }));
    }
    if found.dead.is_none() {
        notes.push(format!(
            "there is no stream {}-dead yet: the first relay or sender makes it",
            found.events.name
        ));
    }
    for tenant in &found.tenants {
        if tenant.is_forsaken() {
            let messages = counted(tenant.messages, "message waits", "messages wait");
            notes.push(format!("{}: {messages}, and nobody delivers them", name_of(tenant)));
        }
        if tenant.dead_letters > 0 {
            let letters = counted(tenant.dead_letters, "dead letter", "dead letters");
            notes.push(format!("{}: {letters}", name_of(tenant)));
        }
    }
    notes
}

fn name_of(tenant: &TenantFacts) -> String {
    if tenant.tenant.is_empty() { "events without a tenant".to_owned() } else { plain(&tenant.tenant) }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamReport { server_version, promises, syncs, findings, .. } = &self.stream;
        write_stream(f, &self.found.events)?;
        if let Some(dead) = &self.found.dead {
            write_stream(f, dead)?;
        }
        writeln!(f, "servers    version {server_version}")?;
        if let Some(ms) = self.oldest_age_ms {
            writeln!(f, "oldest     {}", age_in_words(ms))?;
        }
        for tenant in &self.found.tenants {
            write_tenant(f, tenant)?;
        }
        writeln!(f)?;
        for promise in promises {
            let asked = if self.is_asked(promise.fault) { "" } else { " (not asked for)" };
            writeln!(f, "{promise}{asked}")?;
        }
        for sync in syncs {
            writeln!(f, "{sync}")?;
        }
        for finding in findings {
            writeln!(f, "{}", plain(&finding.to_string()))?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for advice in &self.advice {
            writeln!(f, "to do: {advice}")?;
        }
        f.write_str(if self.ok { "Everything that is asked for holds." } else { "Not everything holds." })
    }
}

fn write_stream(f: &mut fmt::Formatter<'_>, stream: &StreamFacts) -> fmt::Result {
    let limit = |limit: Option<u64>, what: &str| match limit {
        Some(limit) => format!("at most {} {what}", grouped(limit)),
        None => format!("any number of {what}"),
    };
    let age =
        stream.age_max_ms.map_or("of any age".to_owned(), |ms| format!("until {} old", time_in_words(ms)));
    let current = stream.followers.iter().filter(|follower| follower.is_current).count();
    writeln!(
        f,
        "stream     {}: {}, {}",
        stream.name,
        counted(stream.messages, "message", "messages"),
        counted(stream.bytes, "byte", "bytes")
    )?;
    writeln!(
        f,
        "           {} storage, {} ({} in step), retention {}, discard {}",
        stream.storage,
        counted(stream.replicas as u64, "replica", "replicas"),
        current + 1,
        stream.retention,
        stream.discard
    )?;
    writeln!(
        f,
        "           {}, {}, {age}; knows ids for {}",
        limit(stream.bytes_max, "bytes"),
        limit(stream.messages_max, "messages"),
        time_in_words(stream.duplicate_window_ms)
    )
}

fn write_tenant(f: &mut fmt::Formatter<'_>, tenant: &TenantFacts) -> fmt::Result {
    let name = name_of(tenant);
    let messages = counted(tenant.messages, "message", "messages");
    match &tenant.delivery {
        None => writeln!(f, "tenant     {name}: {messages}, nobody has ever delivered any"),
        Some(delivery) => writeln!(
            f,
            "tenant     {name}: {messages}, {} leased, {} of them again; who asks for more: {}; leases last {}",
            grouped(delivery.leased),
            grouped(delivery.redelivered),
            counted(delivery.waiting_pulls, "sender", "senders"),
            time_in_words(delivery.ack_wait_ms)
        ),
    }
}

fn age_in_words(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..=119 => format!("{seconds} s old"),
        120..=7_199 => format!("{} min old", seconds / 60),
        7_200..=172_799 => format!("{} h old", seconds / 3_600),
        _ => format!("{} days old", seconds / 86_400),
    }
}

fn time_in_words(ms: u64) -> String {
    format!("{:?}", Duration::from_millis(ms))
}
