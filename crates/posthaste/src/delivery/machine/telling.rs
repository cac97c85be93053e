//! What others are told: metrics and health as it goes, reports to those who asked, and everything at the end.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;

use super::Machine;
use crate::{
    delivery::item::Item,
    outcome::{CloseReport, FlushReport, Ledger, Trouble, merged},
};

/// How long a disk may take, after the deadline, to say that it has everything. Most say so at once.
const DISK_GRACE: Duration = Duration::from_millis(250);

/// How long after the deadline a dispatcher may still say what is left in its own queue.
const DISPATCHER_GRACE: Duration = Duration::from_millis(100);

impl<T: Item> Machine<T> {
    pub(super) fn publish(&mut self, now_or_never: bool) {
        if self.is_health_to_be_told() {
            self.shared.set_health(self.lanes.health(), self.trouble().cloned());
        }
        self.published.publish(&self.shared, &self.lanes, now_or_never);
    }

    fn is_health_to_be_told(&mut self) -> bool {
        let (has_trouble, found) = (self.trouble().is_some(), self.lanes.found());
        let had_trouble = std::mem::replace(&mut self.told_of_trouble, has_trouble);
        let had_found = std::mem::replace(&mut self.told_of_lanes, found);
        let is_stale = std::mem::take(&mut self.is_health_stale) | self.ends.has_news();
        is_stale || has_trouble != had_trouble || found != had_found
    }

    /// What is wrong with the queue or the dead letters.
    fn trouble(&self) -> Option<&Trouble> {
        self.ends.trouble().or_else(|| self.supply.trouble()).or_else(|| self.backlog.supply().trouble())
    }

    /// Why what is left is left.
    fn reasons(&self) -> Vec<Trouble> {
        let now_ms = self.shared.clock().now_ms();
        let known = self.shared.health();
        let of_lanes = self.lanes.iter().flat_map(|lane| lane.troubles(now_ms));
        let unleased = [
            (self.unleased_new(), "not taken from the queue yet"),
            (self.unleased_backlog(), "not taken from the queue yet: drain_rate sets the pace"),
        ];
        let in_queue = unleased
            .into_iter()
            .filter(|(items, _)| *items > 0)
            .map(|(items, what)| Trouble::new(what, now_ms).with_events(items as u64));
        merged(known.ended.into_iter().chain(known.queue).chain(of_lanes).chain(in_queue))
    }

    /// Answers whoever need not or cannot wait any longer, while others do.
    pub(super) fn answer_waiters(&mut self) {
        let over = self.ends.take_over(self.unleased_lines());
        if over.is_empty() {
            return;
        }
        let ledger = self.shared.ledger();
        for (asked, left) in over {
            let reasons = if left > 0 { self.reasons() } else { Vec::new() };
            // Others may have taken events out meanwhile.
            let left = left.min(ledger.queued);
            asked.answer(left, &CloseReport::new(ledger, reasons, None, Vec::new()));
        }
    }

    /// Everything unfinished goes back to the queue, and everybody who waits is told.
    pub(super) async fn finish(&mut self) {
        let until = self.ends.closing().unwrap_or_default();
        let reasons = self.reasons();
        self.in_flight.clear();
        self.ends.tell_of_room();
        self.ends.finish(until, &mut self.lanes).await;
        self.shared.queue().release();
        let within = until.saturating_sub(self.now()).saturating_add(DISK_GRACE);
        self.shared.queue().finish(within).await;
        let not_stored = self.shared.give_up();
        let dispatcher = self.flush_dispatcher(until).await;
        self.publish(true);
        let told = self.shared.mailbox().end().unwrap_or_default();
        let asked = self.ends.take_waiters().into_iter().chain(told.into_iter().map(|command| command.asked));
        let report = CloseReport::new(self.shared.ledger(), reasons, dispatcher, not_stored);
        asked.for_each(|asked| asked.answer(report.left, &report));
    }

    /// A dispatcher with a queue of its own gets what is left of the time, and a moment more to say what is left: its
    /// deadline is ours.
    async fn flush_dispatcher(&mut self, until: Duration) -> Option<FlushReport> {
        let within = until.saturating_sub(self.now());
        let flush = AssertUnwindSafe(async { self.dispatcher.flush(within).await }).catch_unwind();
        let what = tokio::select! {
            biased;
            report = flush => match report {
                Ok(report) => return report,
                Err(_) => "the dispatcher panicked in flush",
            },
            () = self.shared.clock().sleep(within.saturating_add(DISPATCHER_GRACE)) => {
                "the dispatcher did not say in time what is left"
            }
        };
        let trouble = Trouble::new(what, self.shared.clock().now_ms());
        Some(FlushReport::new(0, Ledger::default(), vec![trouble]))
    }
}
