//! What each setting breaks, of either stream.

use async_nats::jetstream::stream::{ConsumerLimits, SubjectTransform};

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

fn transform() -> SubjectTransform {
    SubjectTransform { source: "events.*".to_owned(), destination: "x.events".to_owned() }
}

fn limits() -> ConsumerLimits {
    ConsumerLimits { inactive_threshold: Duration::from_secs(60), max_ack_pending: 10 }
}

fn named(config: &Config) -> Vec<&'static str> {
    let found = findings(config, Kind::Events, "events.*", Duration::ZERO);
    found.into_iter().map(|finding| finding.setting).collect()
}

fn part<'a>(config: &'a Config, syncs: &[ServerSync]) -> Part<'a> {
    Part { config, holders: config.num_replicas, syncs: syncs.to_vec() }
}

fn held(config: &Config, syncs: &[ServerSync]) -> String {
    held_by(&part(config, syncs), None)
}

fn held_by(events: &Part<'_>, dead: Option<&Part<'_>>) -> String {
    let holds = |promise: Promise| match promise.holds {
        Holds::Yes => 'y',
        Holds::No => 'n',
        Holds::Unknown => '?',
    };
    promises(events, dead).into_iter().map(holds).collect()
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
        (Config { deny_delete: true, ..good() }, Some("deny_delete"), "yyyy?"),
        (Config { deny_purge: true, ..good() }, Some("deny_purge"), "yyyy?"),
        (Config { subject_transform: Some(transform()), ..good() }, Some("subject_transform"), "yyyy?"),
        (Config { consumer_limits: Some(limits()), ..good() }, Some("consumer_limits"), "yyyy?"),
        (Config { max_bytes: 1 << 40, ..good() }, None, "yyyy?"),
    ] {
        assert_eq!((named(&config), held(&config, &[])), (setting.into_iter().collect(), holds.to_owned()));
    }
    let one = Config { num_replicas: 1, storage: StorageType::Memory, ..good() };
    assert_eq!(held(&one, &[]), "ynnnn");
    let one = Config { num_replicas: 1, persist_mode: Some(PersistenceMode::Async), ..good() };
    assert_eq!(held(&one, &[]), "ynnn?");
    let asked_for = findings(&Config { max_age: second, ..good() }, Kind::Events, "events.*", second);
    assert!(asked_for.is_empty(), "{asked_for:?}");
}

/// As it is made.
fn good_dead() -> Config {
    Config {
        name: "events-dead".to_owned(),
        subjects: vec!["events-dead.*".to_owned()],
        retention: RetentionPolicy::Limits,
        ..good()
    }
}

#[test]
fn what_the_dead_letters_stream_loses_is_promised_by_nobody() {
    let (second, always) = (Duration::from_secs(1), ["a", "b", "c"]);
    let always = always.map(|name| ServerSync::new("http://127.0.0.1:8222", name, Syncs::Always));
    for (dead, setting, holds) in [
        (good_dead(), None, "yyyyy"),
        (Config { storage: StorageType::Memory, ..good_dead() }, Some("storage"), "yynyn"),
        (Config { num_replicas: 1, ..good_dead() }, Some("num_replicas"), "yyyny"),
        (
            Config { num_replicas: 1, storage: StorageType::Memory, ..good_dead() },
            Some("storage num_replicas"),
            "ynnnn",
        ),
        (Config { max_age: second, ..good_dead() }, Some("max_age"), "nnnnn"),
        (
            Config { discard: DiscardPolicy::Old, max_messages: 9, ..good_dead() },
            Some("discard max_msgs"),
            "nnnnn",
        ),
        (Config { max_messages_per_subject: 9, ..good_dead() }, Some("max_msgs_per_subject"), "nnnnn"),
        (Config { max_messages: 9, ..good_dead() }, Some("max_msgs"), "yyyyy"),
        (Config { max_message_size: 9, ..good_dead() }, Some("max_msg_size"), "yyyyy"),
        (Config { deny_delete: true, ..good_dead() }, Some("deny_delete"), "yyyyy"),
    ] {
        let found = findings(&dead, Kind::DeadLetters, "events-dead.*", Duration::ZERO);
        let named: Vec<_> = found.iter().map(|finding| finding.setting).collect();
        let (events, dead) = (good(), part(&dead, &always));
        let events = part(&events, &always);
        assert_eq!(
            (named.join(" "), held_by(&events, Some(&dead))),
            (setting.unwrap_or_default().to_owned(), holds.to_owned())
        );
        for promise in promises(&events, Some(&dead)) {
            let is_said = promise.why.contains("because of the dead letters (stream events-dead)");
            assert_eq!(is_said, promise.holds == Holds::No, "{promise}");
        }
    }
    // On other servers, of which nobody knows when they sync.
    let (events, dead) = (good(), good_dead());
    assert_eq!(held_by(&part(&events, &always), Some(&part(&dead, &[]))), "yyyy?");
    // What the events' stream breaks by itself is its own.
    let events = Config { max_age: second, ..good() };
    let all = promises(&part(&events, &[]), Some(&part(&dead, &[])));
    assert!(all.iter().all(|promise| !promise.why.contains("dead letters")), "{all:?}");
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
    assert_eq!(held(&good(), &[always("a"), sync("", Syncs::Unknown("away".into())), always("c")]), "yyyy?");
    assert_eq!(held(&good(), &[always("a"), always("b"), sync("c", Syncs::EveryMs(120_000))]), "yyyyn");
    let config = good();
    let promise = promise(Fault::AllLosePower, &part(&config, &[sync("c", Syncs::EveryMs(120_000))]));
    assert!(promise.why.contains("server c syncs every 2 min"), "{}", promise.why);
}
