//! What flush and close answer.

use std::fmt;

use super::{
    DeadLetter, Ledger,
    health::{Trouble, fmt_list},
};
use crate::event::UserEvent;

/// What a flush has achieved. As text, it is one line for a log.
///
/// ```
/// use posthaste::{FlushReport, processor::{NullProcessor, Processor}};
///
/// let report: FlushReport = NullProcessor.flush(std::time::Duration::ZERO).wait();
/// if !report.is_complete() {
///     eprintln!("{} events are left: {report}", report.left);
/// }
/// assert_eq!(report.to_string(), "0 delivered, 0 dead-lettered, 0 left");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FlushReport {
    /// Events accepted before the call that had not come to an end by its deadline. 0: the flush is complete.
    pub left: u64,
    /// The ledger at the end of the flush.
    pub ledger: Ledger,
    /// Why these are left, the gravest reason first; eight at most.
    pub reasons: Vec<Trouble>,
}

/// What has become of everything, once nothing more is taken. As text, it is one line for a log.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{BatchEventProcessor, testing::RecordingDispatcher};
///
/// let processor = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).build()?;
/// let report = processor.close(Duration::from_secs(10)).wait();
/// println!("{report}");
/// if !report.is_complete() {
///     for trouble in &report.reasons {
///         eprintln!("{trouble}");
///     }
///     // In memory, what is left ends with the process: write it somewhere, or wait longer. A queue on disk keeps it.
///     let left = processor.get_events(usize::MAX);
/// }
/// assert_eq!(report.ledger.accepted, report.delivered + report.dead_lettered + report.left);
/// # Ok::<(), posthaste::OptionsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CloseReport<T = UserEvent> {
    /// Events that were delivered, since the start.
    pub delivered: u64,
    /// Events that were dead-lettered, since the start.
    pub dead_lettered: u64,
    /// Events left in the queue.
    pub left: u64,
    /// Why these are left, the gravest reason first; eight at most. Empty where nothing is; a forked child, which has
    /// no delivery, says so here.
    pub reasons: Vec<Trouble>,
    /// The same numbers as a ledger.
    pub ledger: Ledger,
    /// What the dispatcher's own queue had to say, where it has one.
    pub dispatcher: Option<FlushReport>,
    /// The dead letters of events that the disk never confirmed ([`NotStored`](crate::DeadReason::NotStored)): empty
    /// unless the queue is on disk. Nobody else has them in memory. A request of which some events had come to their end
    /// before is here as a whole; the ledger counts the others only.
    pub not_stored: Vec<DeadLetter<T>>,
}

impl FlushReport {
    pub(crate) fn new(left: u64, ledger: Ledger, reasons: Vec<Trouble>) -> Self {
        Self { left, ledger, reasons }
    }

    /// Whether everything accepted before the call has come to an end.
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }
}

/// `12 delivered, 0 dead-lettered, 3 left: http://…: status 503 (4 times since …)`
impl fmt::Display for FlushReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_numbers(&self.ledger, self.left, &self.reasons, f)
    }
}

/// Nothing was ever taken.
impl<T> Default for CloseReport<T> {
    fn default() -> Self {
        Self::new(Ledger::default(), Vec::new(), None, Vec::new())
    }
}

impl<T> CloseReport<T> {
    pub(crate) fn new(
        ledger: Ledger,
        reasons: Vec<Trouble>,
        dispatcher: Option<FlushReport>,
        not_stored: Vec<DeadLetter<T>>,
    ) -> Self {
        let Ledger { delivered, dead_lettered, queued: left, .. } = ledger;
        let reasons = if left > 0 || ledger == Ledger::default() { reasons } else { Vec::new() };
        Self { delivered, dead_lettered, left, reasons, ledger, dispatcher, not_stored }
    }

    /// Whether nothing is left, here and in the dispatcher's own queue, as far as the dispatcher has said so.
    pub fn is_complete(&self) -> bool {
        let is_done = |flush: &FlushReport| flush.is_complete() && flush.reasons.is_empty();
        self.left == 0 && self.dispatcher.as_ref().is_none_or(is_done)
    }
}

/// `12 delivered, 0 dead-lettered, 3 left: http://…: status 503 (4 times since …)`
impl<T> fmt::Display for CloseReport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_numbers(&self.ledger, self.left, &self.reasons, f)?;
        match &self.dispatcher {
            Some(dispatcher) => write!(f, "; the dispatcher: {dispatcher}"),
            None => Ok(()),
        }
    }
}

fn fmt_numbers(ledger: &Ledger, left: u64, reasons: &[Trouble], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{} delivered, {} dead-lettered, {left} left", ledger.delivered, ledger.dead_lettered)?;
    if reasons.is_empty() {
        return Ok(());
    }
    f.write_str(": ")?;
    fmt_list(reasons.iter(), f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line() {
        let ledger = Ledger::new(15, 12, 0, 3, 0);
        let trouble = Trouble::at("http://127.0.0.1/v1/events", "status 503: busy", 784_111_777_000);
        let report = FlushReport::new(3, ledger, vec![trouble.with_events(3)]);
        assert_eq!(
            report.to_string(),
            "12 delivered, 0 dead-lettered, 3 left: 3 events: http://127.0.0.1/v1/events: status 503: busy \
             (1 time since Sun, 06 Nov 1994 08:49:37 GMT)"
        );
    }

    #[test]
    fn what_is_left_is_not_complete() {
        let (done, open) = (Ledger::new(3, 2, 1, 0, 0), Ledger::new(3, 1, 1, 1, 0));
        assert!(FlushReport::new(0, done, Vec::new()).is_complete());
        assert!(!FlushReport::new(1, open, Vec::new()).is_complete());
        let close = |ledger, dispatcher| CloseReport::<u8>::new(ledger, Vec::new(), dispatcher, Vec::new());
        assert!(close(done, None).is_complete());
        assert!(!close(open, None).is_complete());
        assert!(close(done, Some(FlushReport::default())).is_complete());
        assert!(!close(done, Some(FlushReport::new(1, open, Vec::new()))).is_complete());
        // The dispatcher could not say what it has left.
        let silent = FlushReport::new(0, Ledger::default(), vec![Trouble::new("no answer", 0)]);
        assert!(!close(done, Some(silent)).is_complete());
    }

    #[test]
    fn reasons_are_for_what_is_left_and_for_a_pipeline_that_never_was() {
        let reasons = |ledger| {
            CloseReport::<u8>::new(ledger, vec![Trouble::new("a reason", 0)], None, Vec::new()).reasons.len()
        };
        assert_eq!(reasons(Ledger::new(3, 2, 1, 0, 0)), 0);
        assert_eq!(reasons(Ledger::new(3, 2, 0, 1, 0)), 1);
        assert_eq!(reasons(Ledger::default()), 1);
    }
}
