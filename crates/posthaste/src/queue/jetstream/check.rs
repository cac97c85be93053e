//! From settings to promises: pure rules, with a table of what each setting breaks.
//!
//! A promise is that nothing acknowledged is lost. It takes that the acknowledgement says that the stream has the event
//! (`no_ack`, `persist_mode`), that the stream drops nothing by itself (`discard`, `max_age`, `retention`), and that what it
//! has is where the fault does not reach (`storage`, `num_replicas`, and whether servers sync before they acknowledge).
//! Dead letters are acknowledged events too: what their stream does not promise, nobody does.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};

use super::{
    holders::{Answer, Holders},
    report::{Fault, Finding, Holds, Promise, ServerSync, Syncs, for_people},
};

/// Shorter windows forget ids while a publish is still being tried again.
const DUPLICATE_WINDOW_MIN: Duration = Duration::from_secs(30);

/// Which of the two streams it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Events,
    DeadLetters,
}

/// A stream, and what the servers that hold it say of themselves.
#[derive(Debug)]
pub(super) struct Part<'a> {
    config: &'a Config,
    holders: usize,
    syncs: Vec<ServerSync>,
}

impl<'a> Part<'a> {
    pub(super) fn new(config: &'a Config, holders: &Holders, answers: &[Answer]) -> Self {
        Self { config, holders: holders.count(), syncs: holders.syncs(answers) }
    }
}

/// The settings that are not as they should be.
pub(super) fn findings(
    config: &Config,
    kind: Kind,
    subjects: &str,
    max_age_wanted: Duration,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |setting, is: String, wanted: &str, why: &str| {
        let (stream, wanted, why) = (config.name.clone(), wanted.to_owned(), why.to_owned());
        found.push(Finding { stream, setting, is, wanted, why });
    };
    if !config.subjects.iter().any(|subject| subject == subjects) {
        add("subjects", config.subjects.join(" "), subjects, "what is published arrives nowhere");
    }
    if config.storage != StorageType::File {
        add("storage", "memory".into(), "file", "what a server holds ends with its process");
    }
    if config.num_replicas < 3 {
        let is = config.num_replicas.to_string();
        add(
            "num_replicas",
            is,
            "3",
            "events are on one disk; while their server is away, nothing is taken or delivered",
        );
    }
    let retention = match kind {
        Kind::Events => (RetentionPolicy::WorkQueue, "workqueue"),
        Kind::DeadLetters => (RetentionPolicy::Limits, "limits"),
    };
    if config.retention != retention.0 {
        add(
            "retention",
            retention_name(config.retention).into(),
            retention.1,
            retention_why(config.retention),
        );
    }
    if config.discard != DiscardPolicy::New {
        add("discard", "old".into(), "new", "a full stream drops its oldest events to take new ones");
    }
    if config.max_messages_per_subject > 0 {
        let is = config.max_messages_per_subject.to_string();
        add("max_msgs_per_subject", is, "-1", "a tenant's oldest events go where more come");
    }
    if !config.max_age.is_zero() && (kind == Kind::DeadLetters || config.max_age != max_age_wanted) {
        add("max_age", text_of(config.max_age), "0", "older events go, delivered or not");
    }
    if config.no_ack {
        add("no_ack", "true".into(), "false", "the stream acknowledges nothing");
    }
    if config.persist_mode == Some(PersistenceMode::Async) {
        add("persist_mode", "async".into(), "default", "the stream acknowledges what it has not written");
    }
    if config.duplicate_window < DUPLICATE_WINDOW_MIN {
        let is = text_of(config.duplicate_window);
        add("duplicate_window", is, "2 min", "a publish that is tried again may be stored twice");
    }
    for (setting, is, wanted, why) in refusals(config, kind) {
        add(setting, is, wanted, why);
    }
    found
}

/// Settings under which something is refused that has to be done: what each is, and should be, and why.
fn refusals(config: &Config, kind: Kind) -> Vec<(&'static str, String, &'static str, &'static str)> {
    let mut found = Vec::new();
    if config.sealed {
        found.push(("sealed", "true".to_owned(), "false", "nothing can be added or removed"));
    }
    if config.deny_delete {
        let why = match kind {
            Kind::Events => "what cannot be delivered cannot be removed by hand",
            Kind::DeadLetters => "letters that are replayed or purged stay, and are replayed again",
        };
        found.push(("deny_delete", "true".to_owned(), "false", why));
    }
    if config.deny_purge {
        found.push(("deny_purge", "true".to_owned(), "false", "it cannot be emptied by hand"));
    }
    if let Some(transform) = &config.subject_transform {
        let is = format!("{} to {}", transform.source, transform.destination);
        found.push(("subject_transform", is, "none", "what is stored under another subject is nobody's"));
    }
    // Nothing consumes the dead letters.
    if let (Kind::Events, Some(limits)) = (kind, &config.consumer_limits) {
        let idle = text_of(limits.inactive_threshold);
        let is = format!("max_ack_pending {}, inactive_threshold {idle}", limits.max_ack_pending);
        let why = "consumers that ask for more are refused, and idle ones go: nobody delivers";
        found.push(("consumer_limits", is, "none", why));
    }
    if kind == Kind::DeadLetters {
        if config.max_messages > 0 {
            let why =
                "letters beyond it are refused or push others out, and their messages come again and again";
            found.push(("max_msgs", config.max_messages.to_string(), "-1", why));
        }
        if config.max_message_size > 0 {
            let why = "larger letters are refused, and their messages come again and again";
            found.push(("max_msg_size", config.max_message_size.to_string(), "-1", why));
        }
    }
    found
}

fn retention_name(retention: RetentionPolicy) -> &'static str {
    match retention {
        RetentionPolicy::Limits => "limits",
        RetentionPolicy::Interest => "interest",
        RetentionPolicy::WorkQueue => "workqueue",
    }
}

fn retention_why(retention: RetentionPolicy) -> &'static str {
    match retention {
        RetentionPolicy::Limits => "what has been delivered stays, until the stream is full",
        RetentionPolicy::Interest => "what is published while nobody delivers is dropped",
        RetentionPolicy::WorkQueue => "letters go as soon as somebody reads them",
    }
}

fn text_of(time: Duration) -> String {
    for_people(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Why events are lost though nothing happens, if they may be.
fn lost_anyway(config: &Config) -> Option<String> {
    let limited = config.max_bytes > 0 || config.max_messages > 0 || config.max_messages_per_subject > 0;
    if config.no_ack {
        Some("the stream acknowledges nothing (no_ack)".to_owned())
    } else if config.retention == RetentionPolicy::Interest {
        Some("what is published while nobody delivers is dropped (retention interest)".to_owned())
    } else if config.discard != DiscardPolicy::New && limited {
        Some("a full stream drops its oldest events (discard old)".to_owned())
    } else if config.max_messages_per_subject > 0 {
        Some("a tenant's oldest events go where more come (max_msgs_per_subject)".to_owned())
    } else if !config.max_age.is_zero() {
        Some(format!("events older than {} are dropped (max_age)", text_of(config.max_age)))
    } else {
        None
    }
}

/// What both streams promise together, fault by fault: the worse of the two.
pub(super) fn promises(events: &Part<'_>, dead: Option<&Part<'_>>) -> Vec<Promise> {
    let both = |fault| {
        let of_events = promise(fault, events);
        let Some(dead) = dead else { return of_events };
        let of_dead = promise(fault, dead);
        let is_worse = match of_dead.holds {
            Holds::Yes => false,
            Holds::Unknown => of_events.holds == Holds::Yes,
            Holds::No => of_events.holds != Holds::No,
        };
        if !is_worse {
            return of_events;
        }
        let why = format!("because of the dead letters (stream {}): {}", dead.config.name, of_dead.why);
        Promise::new(fault, of_dead.holds, why)
    };
    Fault::ALL.map(both).into()
}

/// What one of them promises.
fn promise(fault: Fault, part: &Part<'_>) -> Promise {
    let config = part.config;
    if let Some(why) = lost_anyway(config) {
        return Promise::new(fault, Holds::No, why);
    }
    let replicas = config.num_replicas.max(1);
    let (is_memory, is_async) =
        (config.storage != StorageType::File, config.persist_mode == Some(PersistenceMode::Async));
    let (holds, why) = match fault {
        Fault::ProcessKilled => {
            (Holds::Yes, "the stream has what was acknowledged; leases of the dead come back".to_owned())
        }
        Fault::ServerKilled if replicas >= 3 => {
            (Holds::Yes, format!("{} others have each event, and go on", replicas - 1))
        }
        Fault::ServerKilled | Fault::AllServersKilled | Fault::AllLosePower if is_memory => {
            (Holds::No, "the servers hold events in memory (storage memory)".to_owned())
        }
        Fault::ServerKilled | Fault::AllServersKilled if is_async => {
            (Holds::No, "the servers acknowledge before they write (persist_mode async)".to_owned())
        }
        Fault::ServerKilled => (
            Holds::Yes,
            format!(
                "its disk has them; until it is back, nothing is taken or delivered ({})",
                in_words(replicas)
            ),
        ),
        Fault::AllServersKilled => (
            Holds::Yes,
            "their disks have them; until most are back, nothing is taken or delivered".to_owned(),
        ),
        Fault::ServerLost if replicas >= 3 => (
            Holds::Yes,
            format!("{} others have each event, unless it comes back empty under its name", replicas - 1),
        ),
        Fault::ServerLost => {
            (Holds::No, format!("nobody else surely has its events ({})", in_words(replicas)))
        }
        Fault::AllLosePower => power(replicas.max(part.holders), &part.syncs),
    };
    Promise::new(fault, holds, why)
}

fn in_words(replicas: usize) -> String {
    if replicas == 1 { "1 replica".to_owned() } else { format!("{replicas} replicas") }
}

/// Whether what was acknowledged is on disks, as far as the servers say.
fn power(replicas: usize, syncs: &[ServerSync]) -> (Holds, String) {
    let lazy = syncs.iter().find_map(|server| match &server.sync {
        Syncs::EveryMs(ms) => Some((&server.server, *ms)),
        Syncs::Always | Syncs::Unknown(_) => None,
    });
    if let Some((server, ms)) = lazy {
        let why = format!(
            "server {server} syncs every {}, and what it acknowledged since then is lost: set sync_interval: always",
            for_people(ms)
        );
        return (Holds::No, why);
    }
    let mut always: Vec<&str> = syncs
        .iter()
        .filter(|server| server.sync == Syncs::Always)
        .map(|server| server.server.as_str())
        .collect();
    always.sort_unstable();
    always.dedup();
    if always.len() >= replicas {
        return (Holds::Yes, "each server syncs before it acknowledges".to_owned());
    }
    let why = format!(
        "only the servers know whether they sync always, and {} of {replicas} have said so: give their monitoring \
         addresses (http://HOST:8222)",
        always.len()
    );
    (Holds::Unknown, why)
}

#[cfg(test)]
mod tests;
