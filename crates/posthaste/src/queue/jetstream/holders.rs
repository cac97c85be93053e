//! Which servers hold a stream: only what these say of themselves counts for what it promises.
//!
//! Invariant: nobody is taken for a holder who is not one. A cluster names the holders; a server alone is the one that we
//! are connected to, and there its id is held against too, as names of servers alone need not differ.

use async_nats::jetstream::stream::ClusterInfo;

use super::report::{Finding, ServerSync, Syncs};

/// What a monitoring address has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) sync: ServerSync,
    /// Empty where it did not say so.
    pub(super) id: String,
}

/// The server that we are connected to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connected<'a> {
    pub(super) name: &'a str,
    pub(super) id: &'a str,
}

/// The servers that hold a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holders {
    names: Vec<String>,
    /// Name and id of the server that we are connected to.
    connected: (String, String),
}

impl Holders {
    pub(super) fn of(cluster: Option<&ClusterInfo>, connected: Connected<'_>) -> Self {
        let mut names: Vec<String> = match cluster {
            Some(cluster) => {
                let peers = cluster.replicas.iter().map(|peer| &peer.name);
                cluster.leader.iter().chain(peers).cloned().collect()
            }
            None => vec![connected.name.to_owned()],
        };
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        Self { names, connected: (connected.name.to_owned(), connected.id.to_owned()) }
    }

    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// Whether this is the answer of one of them. Who has not said who he is may be one.
    pub(super) fn may_have(&self, answer: &Answer) -> bool {
        let (name, id) = (&answer.sync.server, &answer.id);
        let is_another = *name == self.connected.0 && *id != self.connected.1;
        match answer.sync.sync {
            Syncs::Unknown(_) if name.is_empty() => true,
            _ => self.names.contains(name) && !is_another,
        }
    }

    /// What they say.
    pub(super) fn syncs(&self, answers: &[Answer]) -> Vec<ServerSync> {
        answers.iter().filter(|answer| self.may_have(answer)).map(|answer| answer.sync.clone()).collect()
    }

    /// The answers of others, of which no stream has anything.
    pub(super) fn strangers(&self, stream: &str, answers: &[Answer]) -> Vec<Finding> {
        let finding = |answer: &Answer| Finding {
            stream: stream.to_owned(),
            setting: "monitor",
            is: format!("{} of server {}", answer.sync.monitor, answer.sync.server),
            wanted: format!("that of a server that holds the stream ({})", self.names.join(", ")),
            why: "that server holds nothing of it, and what it says of itself does not count".to_owned(),
        };
        answers.iter().filter(|answer| !self.may_have(answer)).map(finding).collect()
    }

    /// Those of both.
    pub(super) fn with(&self, others: Option<&Self>) -> Self {
        let mut all = self.clone();
        all.names.extend(others.iter().flat_map(|others| others.names.clone()));
        all.names.sort_unstable();
        all.names.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream::stream::PeerInfo;

    use super::*;

    const CONNECTED: Connected<'_> = Connected { name: "a", id: "ID-a" };

    fn answer(name: &str, id: &str) -> Answer {
        Answer { sync: ServerSync::new("http://127.0.0.1:8222", name, Syncs::Always), id: id.to_owned() }
    }

    fn cluster(leader: Option<&str>, peers: &[&str]) -> ClusterInfo {
        let peer = |name: &&str| PeerInfo { name: (*name).to_owned(), current: true, ..PeerInfo::default() };
        ClusterInfo {
            leader: leader.map(str::to_owned),
            replicas: peers.iter().map(peer).collect(),
            ..ClusterInfo::default()
        }
    }

    #[test]
    fn only_leader_and_followers_hold_a_stream_of_a_cluster() {
        let led = cluster(Some("b"), &["a", "c"]);
        let holders = Holders::of(Some(&led), CONNECTED);
        assert_eq!(holders.count(), 3);
        for (name, id, holds) in [
            ("a", "ID-a", true),
            ("a", "ID-x", false),
            ("b", "ID-b", true),
            ("c", "", true),
            ("d", "ID-d", false),
            ("", "", false),
        ] {
            assert_eq!(holders.may_have(&answer(name, id)), holds, "{name} {id}");
        }
        // One replica on another server than the one that we are connected to.
        let elsewhere = Holders::of(Some(&cluster(Some("b"), &[])), CONNECTED);
        assert!(!elsewhere.may_have(&answer("a", "ID-a")) && elsewhere.may_have(&answer("b", "ID-b")));
        // While nobody leads, nobody is guessed.
        assert_eq!(Holders::of(Some(&cluster(None, &[])), CONNECTED).count(), 0);
    }

    #[test]
    fn a_server_alone_is_known_by_its_name_and_id() {
        let holders = Holders::of(None, CONNECTED);
        assert!(holders.may_have(&answer("a", "ID-a")));
        assert!(!holders.may_have(&answer("a", "ID-b")), "another of the same name");
        assert!(!holders.may_have(&answer("b", "ID-b")));
    }

    #[test]
    fn strangers_are_named_and_the_silent_are_none() {
        let holders = Holders::of(None, CONNECTED);
        let silent = Answer {
            sync: ServerSync::new("http://127.0.0.1:1", "", Syncs::Unknown("away".to_owned())),
            id: String::new(),
        };
        let answers = [answer("a", "ID-a"), answer("x", "ID-x"), silent];
        assert_eq!(holders.syncs(&answers).len(), 2);
        let [found] = &holders.strangers("events", &answers)[..] else { panic!("one stranger") };
        assert_eq!((found.setting, found.is.as_str()), ("monitor", "http://127.0.0.1:8222 of server x"));
        let both = holders.with(Some(&Holders::of(Some(&cluster(Some("x"), &[])), CONNECTED)));
        assert!(both.strangers("events", &answers).is_empty(), "the dead letters are there");
    }
}
