//! What is of no tenant: requests as they came, connections, the disk, the process.

use super::text::Text;
use crate::{
    config::Store,
    relay::{Phase, Relay},
};

/// `free`: bytes on the disk, if somebody could say.
pub(super) fn write(relay: &Relay, free: Option<u64>, text: &mut Text) {
    write_requests(relay, text);
    write_connections(relay, text);
    let version = env!("CARGO_PKG_VERSION");
    text.gauge("build_info", "The running version, as a label; always 1.").sample(&[("version", version)], 1);
    let up = relay.clock().elapsed().saturating_sub(relay.vitals().started());
    text.gauge("uptime_seconds", "How long the relay has been up.").sample(&[], up.as_secs_f64());
    let is_taking = relay.vitals().phase() == Phase::Serving;
    text.gauge("serving", "1 until the relay is told to stop, then 0.").sample(&[], u8::from(is_taking));
    if let (Store::Disk { .. }, true) = (&relay.config().store, relay.config().keeps()) {
        let mut family =
            text.gauge("disk_free_bytes", "Bytes free for the relay on the disk of its data folder.");
        // What cannot be read is not a number, rather than no series.
        match free {
            Some(bytes) => family.sample(&[], bytes),
            None => family.sample(&[], "NaN"),
        };
    }
}

fn write_requests(relay: &Relay, text: &mut Text) {
    let counts = relay.counters().counts();
    let mut family =
        text.counter("requests_total", "Requests of clients by why they were answered as they were.");
    for (reason, count) in counts.requests {
        family.sample(&[("reason", reason.name()), ("status", reason.status().as_str())], count);
    }
    let mut family = text.counter("repairs_total", "Bodies in which something was mended, by kind.");
    for (repair, count) in counts.repairs {
        family.sample(&[("kind", repair.name())], count);
    }
    text.counter("repeated_events_total", "Events that had come before.").sample(&[], counts.repeats);
    text.counter("left_out_events_total", "Of these, events that were left out.")
        .sample(&[], counts.left_out);
    text.counter("body_bytes_total", "Bytes of bodies, as they came.").sample(&[], counts.body_bytes);
}

fn write_connections(relay: &Relay, text: &mut Text) {
    let counts = relay.counters().counts();
    text.counter("connections_total", "Connections of clients that were taken.")
        .sample(&[], counts.connections);
    text.gauge("connections_open", "Connections of clients that are open.").sample(&[], counts.open);
    let mut family =
        text.counter("connections_turned_away_total", "Connections that were turned away, by why.");
    for (why, count) in counts.turned_away {
        family.sample(&[("reason", why.name())], count);
    }
    let help = "Connections that ended with a head that was none, too large, or too slow.";
    text.counter("broken_heads_total", help).sample(&[], counts.broken_heads);
}
