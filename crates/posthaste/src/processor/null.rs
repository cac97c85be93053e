//! Events that nobody wants: for programs in which experiments are off.

use std::time::Duration;

use super::Processor;
use crate::{
    delivery::Pending,
    event::UserEvent,
    outcome::{CloseReport, FlushReport, Health},
    queue::{Receipt, Refused},
};

/// Takes every event and forgets it. Nothing is sent, kept or counted.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{BatchEventProcessor, Processor, processor::NullProcessor};
///
/// fn processor(are_experiments_on: bool) -> Result<Box<dyn Processor>, posthaste::OptionsError> {
///     Ok(if are_experiments_on {
///         Box::new(BatchEventProcessor::builder().build()?)
///     } else {
///         Box::new(NullProcessor)
///     })
/// }
///
/// let report = processor(false)?.close(Duration::ZERO).wait();
/// assert!(report.is_complete());
/// # Ok::<(), posthaste::OptionsError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct NullProcessor;

impl Processor for NullProcessor {
    fn process_event(&self, _event: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        Ok(Receipt::stored())
    }

    fn flush(&self, _within: Duration) -> Pending<FlushReport> {
        Pending::ready(FlushReport::default())
    }

    fn close(&self, _within: Duration) -> Pending<CloseReport> {
        Pending::ready(CloseReport::default())
    }

    fn health(&self) -> Health {
        Health::default()
    }
}
