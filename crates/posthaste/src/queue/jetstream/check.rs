//! From settings to promises: pure rules, with a table of what each setting breaks.
//!
//! A promise is that nothing acknowledged is lost. It takes that the acknowledgement says that the stream has the event
//! (`no_ack`, `persist_mode`), that the stream drops nothing by itself (`discard`, `max_age`, `retention`), and that what it
//! has is where the fault does not reach (`storage`, `num_replicas`, and whether servers sync before they acknowledge).

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};

use super::report::{Fault, Finding, Holds, Promise, ServerSync, Syncs, for_people};

/// Shorter windows forget ids while a publish is still being tried again.
const DUPLICATE_WINDOW_MIN: Duration = Duration::from_secs(30);

/// Which of the two streams it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Events,
    DeadLetters,
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
    if config.sealed {
        add("sealed", "true".into(), "false", "nothing can be added or removed");
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

/// What the stream promises, fault by fault.
pub(super) fn promises(config: &Config, syncs: &[ServerSync]) -> Vec<Promise> {
    if let Some(why) = lost_anyway(config) {
        return Fault::ALL.map(|fault| Promise::new(fault, Holds::No, why.clone())).into();
    }
    Fault::ALL.map(|fault| promise(fault, config, syncs)).into()
}

fn promise(fault: Fault, config: &Config, syncs: &[ServerSync]) -> Promise {
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
        Fault::AllLosePower => power(replicas, syncs),
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
mod tests {
    use super::*;

    fn good() -> Config {
        Config {
            name: "events".to_owned(),
            subjects: vec!["events.*".to_owned()],
            storage: StorageType::File,
            num_replicas: 3,
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            duplicate_window: Duration::from_secs(120),
            ..Config::default()
        }
    }

    fn named(config: &Config) -> Vec<&'static str> {
        let found = findings(config, Kind::Events, "events.*", Duration::ZERO);
        found.into_iter().map(|finding| finding.setting).collect()
    }

    fn held(config: &Config, syncs: &[ServerSync]) -> String {
        let holds = |promise: Promise| match promise.holds {
            Holds::Yes => 'y',
            Holds::No => 'n',
            Holds::Unknown => '?',
        };
        promises(config, syncs).into_iter().map(holds).collect()
    }

    #[test]
    fn each_wrong_setting_is_named_and_breaks_what_it_breaks() {
        let second = Duration::from_secs(1);
        // Killed: a process, a server, all servers; a server lost; all without power.
        for (config, setting, holds) in [
            (good(), None, "yyyy?"),
            (Config { subjects: vec!["x.*".into()], ..good() }, Some("subjects"), "yyyy?"),
            (Config { storage: StorageType::Memory, ..good() }, Some("storage"), "yynyn"),
            (Config { num_replicas: 1, ..good() }, Some("num_replicas"), "yyyn?"),
            (Config { retention: RetentionPolicy::Limits, ..good() }, Some("retention"), "yyyy?"),
            (Config { retention: RetentionPolicy::Interest, ..good() }, Some("retention"), "nnnnn"),
            (Config { discard: DiscardPolicy::Old, ..good() }, Some("discard"), "yyyy?"),
            (Config { discard: DiscardPolicy::Old, max_bytes: 9, ..good() }, Some("discard"), "nnnnn"),
            (Config { max_messages_per_subject: 9, ..good() }, Some("max_msgs_per_subject"), "nnnnn"),
            (Config { max_age: second, ..good() }, Some("max_age"), "nnnnn"),
            (Config { no_ack: true, ..good() }, Some("no_ack"), "nnnnn"),
            (Config { persist_mode: Some(PersistenceMode::Async), ..good() }, Some("persist_mode"), "yyny?"),
            (Config { duplicate_window: second, ..good() }, Some("duplicate_window"), "yyyy?"),
            (Config { sealed: true, ..good() }, Some("sealed"), "yyyy?"),
            (Config { max_bytes: 1 << 40, ..good() }, None, "yyyy?"),
        ] {
            assert_eq!(
                (named(&config), held(&config, &[])),
                (setting.into_iter().collect(), holds.to_owned())
            );
        }
        let one = Config { num_replicas: 1, storage: StorageType::Memory, ..good() };
        assert_eq!(held(&one, &[]), "ynnnn");
        let one = Config { num_replicas: 1, persist_mode: Some(PersistenceMode::Async), ..good() };
        assert_eq!(held(&one, &[]), "ynnn?");
        let asked_for = findings(&Config { max_age: second, ..good() }, Kind::Events, "events.*", second);
        assert!(asked_for.is_empty(), "{asked_for:?}");
    }

    #[test]
    fn power_may_fail_where_every_server_syncs_always() {
        let sync = |server: &str, sync| ServerSync::new("http://127.0.0.1:8222", server, sync);
        let always = |server| sync(server, Syncs::Always);
        let three = [always("a"), always("b"), always("c")];
        assert_eq!(held(&good(), &three), "yyyyy");
        assert_eq!(held(&good(), &three[..2]), "yyyy?");
        assert_eq!(
            held(&good(), &[always("a"), always("a"), always("a")]),
            "yyyy?",
            "one server, asked three times"
        );
        assert_eq!(
            held(&good(), &[always("a"), sync("", Syncs::Unknown("away".into())), always("c")]),
            "yyyy?"
        );
        assert_eq!(held(&good(), &[always("a"), always("b"), sync("c", Syncs::EveryMs(120_000))]), "yyyyn");
        let promise = promise(Fault::AllLosePower, &good(), &[sync("c", Syncs::EveryMs(120_000))]);
        assert!(promise.why.contains("server c syncs every 2 min"), "{}", promise.why);
    }
}
