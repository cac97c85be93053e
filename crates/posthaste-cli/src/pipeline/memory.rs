//! Both ways to the Event API: events through a processor, which batches them; batches through a queueing dispatcher,
//! which leaves them alone. Each has a dispatcher of its own, since connections belong to the thread that made them.

use std::{sync::Arc, time::Duration};

use posthaste::{
    BatchEventProcessor, InMemoryQueue, OptionsError, ProjectConfig, QueueEventDispatcher, RawBatch, Refusal,
    Region, UserEvent, WhenFull,
    outcome::{Health, Trouble},
};

use super::{
    args::DeliveryArgs,
    books::{Books, NotTaken},
    dead::DeadLetterOffice,
    keep::Keep,
    request::{region_of, request},
    to::To,
};
use crate::lines::{self, Fault};

/// Bytes of memory that may be queued on each way, unless a single request may have more.
const QUEUE_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// A full queue makes the reader wait for as long as it takes: closing the queue ends the wait.
const WAIT_FOR_ROOM: WhenFull = WhenFull::Block(Duration::from_hours(1));

#[derive(Debug)]
pub(crate) struct InMemory {
    /// `None` without a datafile.
    events: Option<EventWay>,
    batches: QueueEventDispatcher,
    endpoint: Option<Arc<str>>,
    /// The region of batches that do not say theirs.
    region: Region,
}

#[derive(Debug)]
struct EventWay {
    processor: BatchEventProcessor,
    config: Arc<ProjectConfig>,
}

impl InMemory {
    /// Starts delivery. Each of the two queues holds this many items.
    pub(crate) fn start(
        args: &DeliveryArgs,
        queue_size: usize,
        config: Option<Arc<ProjectConfig>>,
        to: &To,
        office: &Arc<DeadLetterOffice>,
    ) -> Result<Self, OptionsError> {
        let bytes_max = QUEUE_BYTES_MAX.max(args.max_batch_bytes.saturating_mul(4));
        let letters = Arc::clone(office);
        let batches = QueueEventDispatcher::builder(to.dispatcher(args)?)
            .queue(InMemoryQueue::new(queue_size).bytes_max(bytes_max))
            .in_flight(args.in_flight())
            .when_full(WAIT_FOR_ROOM)
            .dead_letters_max(0)
            .on_dead_letter(move |letter| letters.take_batch(letter))
            .build()?;
        let region = config.as_ref().map(|config| config.region()).unwrap_or_default();
        let events = config
            .map(|config| EventWay::start(args, (queue_size, bytes_max), config, to, office))
            .transpose()?;
        Ok(Self { events, batches, endpoint: args.endpoint.as_deref().map(Arc::from), region })
    }

    /// Hands an event over, waiting for room.
    pub(crate) fn add_event(&self, mut event: UserEvent) -> Result<(), NotTaken> {
        let way = self.events.as_ref().expect("an event is made with the datafile that this is started with");
        loop {
            match way.processor.process_event(event) {
                Ok(_stored_in_memory) => return Ok(()),
                Err(refused) => event = again(refused.item, refused.reason)?,
            }
        }
    }

    /// Hands a request body over as it is, waiting for room.
    pub(crate) fn add_batch(&self, body: &str) -> Result<(), NotTaken> {
        let fault = |error| NotTaken::Fault(Fault::NotABatch(error));
        let endpoint = if let Some(endpoint) = &self.endpoint {
            Arc::clone(endpoint)
        } else {
            let batch = RawBatch::parse(body.as_bytes()).map_err(fault)?;
            region_of(&batch, self.region).event_end_point().into()
        };
        let mut request = request(endpoint, body)?;
        loop {
            match self.batches.add(request) {
                Ok(_stored_in_memory) => return Ok(()),
                Err(refused) => request = again(refused.item, refused.reason)?,
            }
        }
    }

    pub(crate) fn books(&self) -> Books {
        let events = self.events.as_ref().map(|way| way.processor.ledger()).unwrap_or_default();
        let batches = self.batches.ledger();
        Books { by_kind: Some((events, batches)), total: events + batches, spooled: None }
    }

    /// Delivers everything that has been taken, within this time.
    pub(crate) async fn flush(&self, within: Duration) {
        let events = self.events.as_ref().map(|way| way.processor.flush(within));
        let batches = self.batches.flush(within);
        if let Some(events) = events {
            events.await;
        }
        batches.await;
    }

    /// Takes nothing more from now on; the future delivers what there is, within this time, and says why something is
    /// left.
    pub(crate) fn close(&self, within: Duration) -> impl Future<Output = Vec<Trouble>> + use<> {
        let events = self.events.as_ref().map(|way| way.processor.close(within));
        let batches = self.batches.close(within);
        async move {
            let mut reasons = match events {
                Some(events) => events.await.reasons,
                None => Vec::new(),
            };
            reasons.extend(batches.await.reasons);
            reasons
        }
    }

    /// Of events, and of batches.
    pub(crate) fn health(&self) -> Vec<Health> {
        let events = self.events.as_ref().map(|way| way.processor.health());
        events.into_iter().chain([self.batches.health()]).collect()
    }

    /// Writes what is left in the queues, in the form that `send` reads.
    pub(crate) fn keep_leftover(&self, keep: &Keep) {
        if let Some(way) = &self.events {
            for event in way.processor.get_events(usize::MAX) {
                keep.put(&lines::event_line(&event, &way.config));
            }
        }
        for request in self.batches.get(usize::MAX) {
            keep.put(&[request.body(), &b"\n"[..]].concat());
        }
    }
}

impl EventWay {
    fn start(
        args: &DeliveryArgs,
        (queue_size, bytes_max): (usize, usize),
        config: Arc<ProjectConfig>,
        to: &To,
        office: &Arc<DeadLetterOffice>,
    ) -> Result<Self, OptionsError> {
        let (letters, known) = (Arc::clone(office), Arc::clone(&config));
        let mut builder = BatchEventProcessor::builder()
            .batch_size(args.batch_size)
            .queue_size(queue_size)
            .queue_bytes(bytes_max)
            .flush_interval(args.flush_interval)
            .in_flight(args.in_flight())
            .max_batch_bytes(args.max_batch_bytes)
            .when_full(WAIT_FOR_ROOM)
            .dead_letters_max(0)
            .on_dead_letter(move |letter| letters.take_event(letter, &known))
            .event_dispatcher(to.dispatcher(args)?);
        if let Some(endpoint) = args.endpoint.as_deref() {
            builder = builder.event_end_point(endpoint);
        }
        Ok(Self { processor: builder.build()?, config })
    }
}

/// A full queue is tried again, anything else is not.
fn again<T>(item: T, reason: Refusal) -> Result<T, NotTaken> {
    match reason {
        reason if reason.is_full() => Ok(item),
        Refusal::Closed => Err(NotTaken::Closed),
        reason => Err(NotTaken::Fault(Fault::Refused(reason))),
    }
}
