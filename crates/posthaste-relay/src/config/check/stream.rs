//! What has to go together where events wait in a stream, and what makes no sense without one.

use posthaste::queue::jetstream::StreamAddress;

use super::{Checks, Origin};
use crate::config::{Nats, Role};

/// Where a stream is named.
const QUEUE: &str = "--queue nats://HOST:4222/STREAM, or queue in a file";

impl Checks<'_> {
    pub(super) fn stream(&mut self) {
        let draft = &self.settings.draft;
        match draft.queue.as_deref().map(str::parse::<StreamAddress>) {
            None => self.without_stream(),
            Some(Err(error)) => self.fault(self.settings.origin("queue"), error.to_string()),
            Some(Ok(_)) => {
                match draft.role {
                    Role::Deliver => self.only_delivers(),
                    Role::Accept | Role::Both => self.bridge(),
                }
                self.how_it_is_used();
            }
        }
    }

    /// Nobody is to believe that events are in a stream while they are not.
    fn without_stream(&mut self) {
        if !self.settings.is_sure(&["queue"]) {
            return;
        }
        let (draft, usual) = (&self.settings.draft, Nats::default());
        for (key, is_usual, what) in [
            ("role", draft.role == Role::default(), "role is a part in a stream"),
            ("nats.bridge", draft.nats.bridge == usual.bridge, "a bridge leads to a stream"),
            ("nats.replicas", draft.nats.replicas == usual.replicas, "replicas are of a stream"),
        ] {
            // What stands there as it would be anyway asks for nothing.
            if !is_usual {
                let why = format!("{what}, and none is named; give {QUEUE}, or leave this out");
                self.fault(self.settings.origin(key), why);
            }
        }
    }

    fn only_delivers(&mut self) {
        for (key, what) in [
            ("listen", "listens for none"),
            ("data", "keeps none on disk"),
            ("memory", "keeps none in memory"),
            ("nats.bridge", "has no bridge to go without"),
        ] {
            self.is_of_no_use(key, &format!("a relay that only delivers takes no events, and {what}"));
        }
    }

    fn bridge(&mut self) {
        if !self.settings.draft.nats.bridge {
            for key in ["data", "memory"] {
                self.is_of_no_use(key, "without a bridge no events are kept here");
            }
        } else if self.settings.draft.memory {
            self.fault(
                self.settings.origin("memory"),
                "a bridge in memory would lose what the stream does not have yet when the process ends; leave memory out \
                 (--data DIR), or do without a bridge (--no-bridge)",
            );
        }
    }

    /// In a file, which relays of several roles may share, it is no fault.
    fn is_of_no_use(&mut self, key: &str, why: &str) {
        let origin = self.settings.origin(key);
        if matches!(origin, Origin::Flag(_)) {
            self.fault(origin, format!("{why}; leave this out"));
        }
    }

    fn how_it_is_used(&mut self) {
        let Nats { replicas, creds_file, nkey_file, cert_file, key_file, .. } = &self.settings.draft.nats;
        let mut found = Vec::new();
        if !matches!(replicas, 1 | 3 | 5) {
            let why = format!("nats.replicas is {replicas}; give 1, 3 or 5: servers decide by majority");
            found.push(("nats.replicas", why));
        }
        if creds_file.is_some() && nkey_file.is_some() {
            found.push((
                "nats.nkey_file",
                "nats.creds_file says who the relay is as well; give one of them".to_owned(),
            ));
        }
        for (one, is_there, other) in [
            ("nats.cert_file", cert_file.is_some() && key_file.is_none(), "nats.key_file"),
            ("nats.key_file", key_file.is_some() && cert_file.is_none(), "nats.cert_file"),
        ] {
            if is_there {
                found.push((one, format!("a certificate and its key go together; give {other} as well")));
            }
        }
        for (key, why) in found {
            self.fault(self.settings.origin(key), why);
        }
    }
}
