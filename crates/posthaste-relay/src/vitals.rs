//! Signs of life: how far the relay is on its way to its end, and whether its accept loop goes round.

use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::relay::Phase;

/// What tells whether the relay lives.
#[derive(Debug)]
pub(crate) struct Vitals {
    phase: watch::Sender<Phase>,
    /// Somebody wants to know whether the accept loop goes round.
    asked: Notify,
    /// How often it has said so.
    beats: watch::Sender<u64>,
    started: Duration,
    started_ms: i64,
}

impl Vitals {
    /// Of a relay that starts now: by the clock, and in milliseconds since 1970.
    pub(crate) fn new(started: Duration, started_ms: i64) -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            asked: Notify::new(),
            beats: watch::Sender::new(0),
            started,
            started_ms,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(crate) fn watch_phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(crate) fn started(&self) -> Duration {
        self.started
    }

    pub(crate) fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// For the accept loop: resolves when somebody asks; [`beat`](Self::beat) answers.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    pub(crate) fn beat(&self) {
        self.beats.send_modify(|beats| *beats += 1);
    }

    /// Whether the accept loop answers within this time.
    pub(crate) async fn accepts(&self, within: Duration) -> bool {
        let mut beats = self.beats.subscribe();
        self.asked.notify_one();
        tokio::time::timeout(within, beats.changed()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loop_that_goes_round_answers_everybody_who_asks_and_one_that_does_not_nobody() {
        let vitals = Vitals::new(Duration::ZERO, 0);
        assert!(!vitals.accepts(Duration::from_millis(10)).await, "there is no loop");
        let within = Duration::from_secs(30);
        let goes_round = async {
            loop {
                vitals.asked().await;
                vitals.beat();
            }
        };
        let asking = async {
            futures_util::future::join3(
                vitals.accepts(within),
                vitals.accepts(within),
                vitals.accepts(within),
            )
            .await
        };
        tokio::select! {
            answers = asking => assert_eq!(answers, (true, true, true)),
            () = goes_round => {}
        }
    }
}
