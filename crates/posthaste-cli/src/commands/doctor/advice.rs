//! What to do about what is not as it should be.

use posthaste::queue::jetstream::{Fault, Finding, Holds, Inspection, Promise};

/// What to do where a promise does not hold.
pub(super) fn of_promise(promise: &Promise, look: &Inspection) -> Option<String> {
    if promise.holds == Holds::Yes {
        return None;
    }
    let stream = &look.events.name;
    let advice = match promise.fault {
        Fault::AllLosePower if promise.holds == Holds::Unknown => {
            "give --monitor http://HOST:8222 for each server (`http_port: 8222` in its configuration)".to_owned()
        }
        Fault::AllLosePower if look.events.storage == "file" => {
            "write `sync_interval: always` into the jetstream block of each server's configuration, and restart them in turn"
                .to_owned()
        }
        _ if look.events.storage == "memory" => of_storage(stream),
        Fault::ServerLost => format!("with three servers in one cluster: nats stream edit {stream} --replicas 3"),
        _ => "see the settings that are named below".to_owned(),
    };
    Some(advice)
}

/// How to set a setting right.
pub(super) fn of_finding(finding: &Finding) -> String {
    let stream = &finding.stream;
    let edit = |what: &str| format!("nats stream edit {stream} {what}");
    match finding.setting {
        "num_replicas" => format!("with three servers in one cluster: {}", edit("--replicas 3")),
        "subjects" => edit(&format!("--subjects '{stream}.*'")),
        "discard" => edit("--discard new"),
        "max_age" => edit("--max-age 0"),
        "max_msgs_per_subject" => edit("--max-msgs-per-subject=-1"),
        "duplicate_window" => edit("--dupe-window 2m"),
        "no_ack" => edit("--ack"),
        "storage" => of_storage(stream),
        _ => format!("no server changes it where it is: {}", anew(stream)),
    }
}

fn of_storage(stream: &str) -> String {
    format!("storage cannot be changed where it is: {}", anew(stream))
}

fn anew(stream: &str) -> String {
    format!(
        "once everything is delivered, delete the stream {stream}; a relay makes it anew, as it should be"
    )
}
