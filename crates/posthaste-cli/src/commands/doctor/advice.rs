//! What to do about what is not as it should be.

use posthaste::queue::jetstream::{Fault, Finding, Holds, Inspection, Promise, ServerSync, Syncs};

use crate::common::output::{counted, plain};

/// What to do where a promise does not hold.
pub(super) fn of_promise(promise: &Promise, look: &Inspection, syncs: &[ServerSync]) -> Option<String> {
    if promise.holds == Holds::Yes {
        return None;
    }
    let is_lazy = syncs.iter().any(|server| matches!(server.sync, Syncs::EveryMs(_)));
    let dead_in_memory = look.dead.as_ref().filter(|dead| dead.storage == "memory");
    let stream = match &look.dead {
        Some(dead) if dead.replicas < look.events.replicas => &dead.name,
        _ => &look.events.name,
    };
    let advice = match promise.fault {
        Fault::AllLosePower if promise.holds == Holds::Unknown => {
            "give --monitor http://HOST:8222 for each server (`http_port: 8222` in its configuration)".to_owned()
        }
        Fault::AllLosePower if look.events.storage == "file" && is_lazy => {
            "write `sync_interval: always` into the jetstream block of each server's configuration, and restart them in turn"
                .to_owned()
        }
        _ if look.events.storage == "memory" => of_storage(&look.events.name, look),
        Fault::ServerLost => format!("with three servers in one cluster: nats stream edit {stream} --replicas 3"),
        _ => match dead_in_memory {
            Some(dead) => of_storage(&dead.name, look),
            None => "see the settings that are named below".to_owned(),
        },
    };
    Some(advice)
}

/// How to set a setting right.
pub(super) fn of_finding(finding: &Finding, look: &Inspection) -> String {
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
        "max_msgs" => edit("--max-msgs=-1"),
        "max_msg_size" => edit("--max-msg-size=-1"),
        "subject_transform" => edit("--no-transform"),
        "consumer_limits" => edit("--config FILE, with its configuration without consumer_limits"),
        "consumer" => format!(
            "once whoever it serves has stopped: nats consumer rm {stream} '{}'",
            plain(&finding.is).replace('\'', "'\\''")
        ),
        "monitor" => format!("give --monitor of {}", plain(&finding.wanted)),
        "storage" => of_storage(stream, look),
        _ => format!("no server changes it where it is: {}", anew(stream, look)),
    }
}

fn of_storage(stream: &str, look: &Inspection) -> String {
    format!("storage cannot be changed where it is: {}", anew(stream, look))
}

/// A stream goes with what is in it: nobody is told to let letters go that are nowhere else.
fn anew(stream: &str, look: &Inspection) -> String {
    if let Some(dead) = look.dead.as_ref().filter(|dead| dead.name == stream) {
        return anew_dead(stream, dead.messages);
    }
    format!(
        "once everything is delivered, delete the stream {stream}; a relay makes it anew, as it should be"
    )
}

fn anew_dead(stream: &str, letters: u64) -> String {
    if letters > 0 {
        let letters = counted(letters, "dead letter", "dead letters");
        return format!(
            "{letters} would go with the stream {stream}: first replay them at a relay's admin interface, or copy them \
             (nats stream add {stream}-copy --source {stream} --storage file), and then ask again"
        );
    }
    format!("as long as it is empty, delete the stream {stream}; a relay makes it anew, as it should be")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_with_letters_in_it_is_not_to_be_deleted() {
        let text = anew_dead("events-dead", 2);
        assert!(text.contains("replay") && text.contains("copy") && !text.contains("delete"), "{text}");
        assert!(anew_dead("events-dead", 0).contains("delete the stream events-dead"));
    }
}
