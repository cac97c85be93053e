//! The queue on disk by itself: what makes room, what is read back, and what is stored together.

use std::{collections::BTreeSet, io, sync::Arc};

use posthaste::{
    BatchEventProcessor, Queue, SpoolQueue, UserEvent,
    dispatch::Response,
    queue::{DeliveryQueue, Leased, SpoolItem},
    testing::{ManualClock, RecordingDispatcher, ScriptedDispatcher},
};
use posthaste_spool::{FaultyFilesystem, MemoryFilesystem, Operation, Spool, SpoolOptions};
use serde_json::{Map, json};

use crate::{
    house::within,
    support::{HOUR, SECOND, conversion, impression, impressions, larkspur, uuids_of},
};

/// Small segments, four of them.
fn open(disk: &FaultyFilesystem) -> SpoolQueue<UserEvent> {
    let options =
        SpoolOptions::default().segment_bytes(64 << 10).record_bytes_max(32 << 10).size_bytes_max(256 << 10);
    SpoolQueue::over(Spool::open_with(Arc::new(disk.clone()), "/spool", options).unwrap())
}

fn disk() -> FaultyFilesystem {
    FaultyFilesystem::new(MemoryFilesystem::new())
}

/// Some 2,000 bytes.
fn event() -> UserEvent {
    let note = Map::from_iter([("note".to_owned(), json!("n".repeat(1_800)))]);
    conversion(&larkspur(), "v", &note)
}

/// Adds until it is full; what was added.
fn fill(queue: &SpoolQueue<UserEvent>) -> Vec<UserEvent> {
    let mut added = Vec::new();
    loop {
        let event = event();
        match queue.add(event.clone()) {
            Ok(receipt) => receipt.wait().unwrap(),
            Err(refused) => {
                assert!(refused.reason.is_full(), "{}", refused.reason);
                return added;
            }
        }
        added.push(event);
    }
}

fn displace_one_segment(queue: &SpoolQueue<UserEvent>) -> UserEvent {
    let event = event();
    let displacing = queue.add_displacing(event.clone());
    assert!(displacing.displaced.is_empty(), "they are still in the queue");
    displacing.added.unwrap().forget();
    event
}

fn ids(leases: &[Leased<UserEvent>]) -> BTreeSet<u64> {
    leases.iter().map(|lease| lease.id).collect()
}

/// In memory, as they were added, and as an earlier process left them.
#[test]
fn what_makes_room_is_handed_out_piece_by_piece_and_never_leased() {
    for is_reopened in [false, true] {
        let disk = disk();
        let mut queue = open(&disk);
        let mut all = fill(&queue);
        if is_reopened {
            drop(queue);
            queue = open(&disk);
            all.extend(fill(&queue));
        }
        // The oldest segment is worked on, so that the second makes room.
        let mut leased = queue.lease(1).wait().unwrap();
        all.push(displace_one_segment(&queue));
        leased.extend(queue.lease(usize::MAX).wait().unwrap());
        leased.extend(queue.lease(usize::MAX).wait().unwrap());
        let mut displaced = Vec::new();
        loop {
            let piece = queue.displaced(1);
            assert!(piece.len() <= 1);
            if piece.is_empty() {
                break;
            }
            displaced.extend(piece);
        }
        assert!(displaced.len() > 5 && leased.len() > displaced.len(), "{} displaced", displaced.len());
        assert!(ids(&leased).is_disjoint(&ids(&displaced)), "{is_reopened}: leased, and displaced too");
        // The room that was promised comes, and what was added is stored.
        let gone: Vec<u64> = ids(&displaced).into_iter().collect();
        queue.settle(&gone).wait().unwrap();
        let both: Vec<UserEvent> = leased.into_iter().chain(displaced).map(|lease| lease.item).collect();
        assert_eq!(uuids_of(&both), uuids_of(&all), "{is_reopened}");
    }
}

#[test]
fn what_was_to_make_room_waits_again_once_nobody_delivers() {
    let queue = open(&disk());
    let mut all = fill(&queue);
    let first = queue.lease(1).wait().unwrap();
    all.push(displace_one_segment(&queue));
    assert_eq!(first.len(), 1);
    queue.release();
    assert!(queue.displaced(1).is_empty());
    let mut again = Vec::new();
    while again.len() < all.len() {
        let leases = queue.lease(usize::MAX).wait().unwrap();
        assert!(!leases.is_empty(), "{} of {}", again.len(), all.len());
        again.extend(leases.into_iter().map(|lease| lease.item));
    }
    assert_eq!(uuids_of(&again), uuids_of(&all));
}

#[test]
fn what_could_not_be_read_is_read_bit_by_bit_once_it_can_be() {
    let disk = disk();
    let events = impressions(&larkspur(), 10);
    let queue = open(&disk);
    for event in &events {
        queue.spool().add(event.to_record()).unwrap().wait().unwrap();
    }
    drop(queue);
    let queue = open(&disk);
    disk.fail_always(Operation::Read, io::ErrorKind::PermissionDenied);
    assert!(queue.lease(3).wait().unwrap().is_empty());
    assert_eq!(queue.unreadable(), 10);
    disk.heal();
    let mut read = Vec::new();
    for expected in [3, 3, 3, 1, 0] {
        let leases = queue.lease(3).wait().unwrap();
        assert_eq!(leases.len(), expected);
        read.extend(leases.into_iter().map(|lease| lease.item));
        assert_eq!(queue.unreadable(), 10 - read.len() as u64);
    }
    assert_eq!(uuids_of(&read), uuids_of(&events));
}

#[test]
fn what_is_stored_together_is_in_the_queue_together_and_delivered_at_once() {
    let queue = open(&disk());
    // Nothing but news of the queue wakes delivery: its clock stands still.
    let builder = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).batch_size(1);
    let builder = builder.clock(ManualClock::at_ms(1_700_000_000_000));
    let processor = Arc::new(builder.queue(queue.clone()).flush_interval(HOUR).build().unwrap());
    for round in 1..=3 {
        queue.add_all(impressions(&larkspur(), 3), "so far").unwrap().wait().unwrap();
        assert_eq!(processor.ledger().accepted, round * 3);
        let ledger = within("delivery", SECOND * 20, {
            let processor = Arc::clone(&processor);
            move || {
                while processor.ledger().delivered < round * 3 {
                    std::thread::yield_now();
                }
                processor.ledger()
            }
        });
        assert_eq!((ledger.delivered, ledger.queued), (round * 3, 0));
    }
}

#[test]
fn a_letter_that_was_put_back_is_not_there_for_the_next_process() {
    let disk = disk();
    let queue = open(&disk);
    let refusing = ScriptedDispatcher::by(|_| Ok(Response::status(400)));
    let builder = BatchEventProcessor::builder().event_dispatcher(refusing).queue(queue);
    let processor = builder.build().unwrap();
    processor.process_event(impression(&larkspur(), "v")).unwrap().forget();
    assert_eq!(processor.close(HOUR).wait().dead_lettered, 1);
    drop(processor);

    let queue = open(&disk);
    assert_eq!(queue.spool().dead().len().unwrap(), 1);
    let builder = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new());
    let processor = builder.queue(queue.clone()).build().unwrap();
    assert_eq!(processor.replay_dead_letters(), 1);
    assert!(processor.flush(HOUR).wait().is_complete());
    within("the letter goes", SECOND * 20, move || {
        while queue.spool().dead().len().unwrap() > 0 {
            std::thread::yield_now();
        }
    });
    assert_eq!(processor.close(HOUR).wait().delivered, 1);
}

#[test]
fn what_an_earlier_process_lost_was_taken_and_is_counted_once() {
    let disk = disk();
    let queue = open(&disk);
    for (n, event) in impressions(&larkspur(), 9).into_iter().enumerate() {
        if n == 4 {
            disk.lose_next_write("seg-");
        }
        queue.add(event).unwrap().wait().unwrap();
    }
    drop(queue);
    for _ in 0..2 {
        let queue = open(&disk);
        let mut read = queue.lease(usize::MAX).wait().unwrap();
        read.extend(queue.lease(usize::MAX).wait().unwrap());
        let (counts, lost) = (queue.counts(), 9 - read.len() as u64);
        assert!((1..9).contains(&lost), "{counts:?}");
        assert_eq!((counts.taken, counts.held, counts.lost), (9, 9 - lost, lost));
    }
}

fn uuids_leased(leases: &[Leased<UserEvent>]) -> Vec<String> {
    leases.iter().map(|lease| lease.item.uuid().to_string()).collect()
}

fn uuids_in_order(events: &[UserEvent]) -> Vec<String> {
    events.iter().map(|event| event.uuid().to_string()).collect()
}

/// From memory and from the disk, through two outages: each event once, the backlog in its order, and what is newer
/// before it.
#[test]
fn what_is_new_passes_the_backlog_wherever_that_is() {
    for is_reopened in [false, true] {
        let disk = disk();
        let mut queue = open(&disk);
        let add = |queue: &SpoolQueue<UserEvent>, count: usize| -> Vec<UserEvent> {
            let events: Vec<UserEvent> = (0..count).map(|_| event()).collect();
            for event in &events {
                queue.add(event.clone()).unwrap().wait().unwrap();
            }
            events
        };
        let mut old = add(&queue, 10);
        if is_reopened {
            drop(queue);
            queue = open(&disk);
        }
        let lease = |count| queue.lease(count).wait().unwrap();
        let lease_backlog = |count| queue.lease_backlog(count, usize::MAX).wait().unwrap();
        assert!(queue.begin_backlog() && lease(5).is_empty());
        let new = add(&queue, 4);
        assert_eq!(queue.newer_than_backlog(), Some(4));
        let first = lease(3);
        assert_eq!(uuids_leased(&first), uuids_in_order(&new[..3]));
        assert_eq!(uuids_leased(&lease_backlog(6)), uuids_in_order(&old[..6]));
        queue.settle(&ids(&first).into_iter().collect::<Vec<_>>()).wait().unwrap();
        assert_eq!(queue.newer_than_backlog(), Some(1));

        assert!(queue.begin_backlog());
        let newest = add(&queue, 1);
        old.extend_from_slice(&new[3..]);
        assert_eq!((queue.newer_than_backlog(), queue.size()), (Some(1), 12));
        assert_eq!(uuids_leased(&lease_backlog(100)), uuids_in_order(&old[6..]));
        assert_eq!(queue.newer_than_backlog(), None);
        assert_eq!(uuids_leased(&lease(100)), uuids_in_order(&newest));
        queue.release();
        assert_eq!(lease(100).len(), 12, "everything waits again, in one line");
    }
}

/// The oldest segment of the backlog makes room; what is leased behind it stays.
#[test]
fn what_makes_room_is_of_the_backlog_while_newer_events_are_under_way() {
    let disk = disk();
    let queue = open(&disk);
    let old = fill(&queue);
    assert!(queue.begin_backlog());
    let new = displace_one_segment(&queue);
    let under_way = queue.lease(100).wait().unwrap();
    assert_eq!(uuids_leased(&under_way), uuids_in_order(&[new]));
    let displaced = queue.displaced(1_000);
    assert_eq!(uuids_leased(&displaced), uuids_in_order(&old[..displaced.len()]), "the oldest");
    assert!(!displaced.is_empty());
    assert_eq!(
        uuids_leased(&queue.lease_backlog(1_000, usize::MAX).wait().unwrap()),
        uuids_in_order(&old[displaced.len()..])
    );
    assert_eq!(queue.newer_than_backlog(), None);
}
