//! Adding, leasing, and every way in which a lease ends.

use std::time::{Duration, Instant};

use posthaste::{
    LogEvent, Queue, Refusal,
    queue::{
        DeliveryQueue,
        jetstream::{Role, message_id},
    },
};

use crate::{
    oracle::Oracle,
    servers::Servers,
    support::{
        SECOND, STREAM, add, balances, body, ids, lease, numbers, once, open, queue, request, small, until,
    },
};

#[test]
fn what_is_added_is_in_the_stream_as_it_is_and_gone_once_it_is_settled() {
    let servers = Servers::one();
    let (stream, oracle) = (open(small(&servers)), Oracle::at(&servers.urls()));
    let queue = queue(&stream, Role::Both);
    let opaque =
        LogEvent::opaque("http://127.0.0.1:9/v1/events", "neither JSON nor anything").with_taken_ms(77);
    add(&queue, 0..3);
    queue.add(opaque.clone()).unwrap().wait().unwrap();

    let seen = oracle.messages(STREAM);
    assert_eq!(
        seen.iter().map(|seen| seen.body.as_slice()).collect::<Vec<_>>()[..3],
        [body(0).as_bytes(), body(1).as_bytes(), body(2).as_bytes()]
    );
    assert!(seen.iter().all(|seen| seen.subject == "events.shop" && seen.id.len() == 36), "{seen:?}");
    let header = |name: &str| seen[0].headers.get(name).unwrap().as_str();
    assert_eq!((header("Posthaste-Version"), header("Posthaste-Events")), ("1", "1"));
    assert_eq!(header("Posthaste-To"), "http://127.0.0.1:9/v1/events");
    assert!(header("Posthaste-Taken").parse::<i64>().unwrap() > 1_600_000_000_000);

    let leases = lease(&queue, 4, SECOND * 10);
    assert_eq!(numbers(&leases[..3]), [0, 1, 2]);
    assert_eq!(leases[3].item, opaque, "what nobody can read is as it was");
    assert_eq!((queue.size(), queue.get(9).len()), (4, 4));
    balances(&queue, 0);
    assert!(queue.lease(9).wait().unwrap().is_empty(), "nobody else gets them");

    queue.settle(&ids(&leases[..2])).wait().unwrap();
    assert_eq!(oracle.count(STREAM), 2, "once settling is confirmed, the stream has them no longer");
    balances(&queue, 2);
    queue.settle(&ids(&leases)).wait().unwrap();
    queue.settle(&ids(&leases)).wait().unwrap();
    assert_eq!((oracle.count(STREAM), queue.size()), (0, 0));
    balances(&queue, 4);
    let traffic = queue.traffic();
    assert_eq!((traffic.accepted, traffic.published, traffic.leased, traffic.held), (4, 4, 4, 0));
}

#[test]
fn what_is_released_is_there_for_others_at_once() {
    let servers = Servers::one();
    let stream = open(small(&servers).ack_wait(SECOND * 600));
    let (one, other) = (queue(&stream, Role::Both), queue(&stream, Role::Deliver));
    add(&one, 0..20);
    let mut leases = lease(&one, 20, SECOND);
    leases.extend(lease(&other, 20 - leases.len(), SECOND * 10));
    assert_eq!(numbers(&leases), crate::support::all(0..20));
    one.release();
    other.release();
    balances(&one, 0);
    assert_eq!((one.counts().held, other.counts().held), (0, 0));
    let again = lease(&other, 20, SECOND * 10);
    assert_eq!(
        numbers(&again),
        crate::support::all(0..20),
        "long before the ack wait: the other one does not ask"
    );
}

#[test]
fn a_lease_lasts_while_it_is_renewed_and_is_then_named_as_lost() {
    let servers = Servers::one();
    let stream = open(small(&servers));
    let one = queue(&stream, Role::Both);
    add(&one, 0..10);
    let leases = lease(&one, 10, SECOND * 10);
    // It keeps what it has, and fetches no more.
    one.close();
    let other = queue(&stream, Role::Deliver);
    // Twice as long as a lease lasts.
    let begun = Instant::now();
    while begun.elapsed() < SECOND * 4 {
        assert_eq!(one.renew(&ids(&leases)).wait(), Ok(vec![]));
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(other.lease(10).wait().unwrap().is_empty(), "nobody else has got them");

    let renewed = Instant::now();
    let theirs = lease(&other, 10, SECOND * 10);
    assert_eq!(numbers(&theirs), crate::support::all(0..10));
    assert!(renewed.elapsed() < SECOND * 3, "within the ack wait and a second: {:?}", renewed.elapsed());
    let mut lost = one.renew(&ids(&leases)).wait().unwrap();
    lost.sort_unstable();
    assert_eq!(lost, ids(&leases));
    assert_eq!((one.counts().held, one.counts().handed_over), (0, 20), "published, and lost");
    balances(&one, 0);
}

#[test]
fn what_a_dead_sender_had_comes_back_within_the_ack_wait_and_a_second() {
    let servers = Servers::one();
    let stream = open(small(&servers));
    let (living, dying) = (queue(&stream, Role::Accept), open(small(&servers)));
    add(&living, 0..50);
    let doomed = queue(&dying, Role::Deliver);
    assert_eq!(lease(&doomed, 50, SECOND * 10).len(), 50);
    // Neither settled nor released: as if it had been killed.
    drop((doomed, dying));
    let died = Instant::now();
    let heir = queue(&stream, Role::Deliver);
    assert_eq!(numbers(&lease(&heir, 50, SECOND * 10)), crate::support::all(0..50));
    assert!(died.elapsed() < SECOND * 3, "{:?}", died.elapsed());
}

#[test]
fn what_nobody_takes_from_a_sender_goes_to_others() {
    let servers = Servers::one();
    let stream = open(small(&servers));
    let idle = queue(&stream, Role::Deliver);
    add(&queue(&stream, Role::Accept), 0..10);
    until("it has fetched them", || idle.get(10).len() == 10);
    let busy = queue(&stream, Role::Deliver);
    let leases = lease(&busy, 10, SECOND * 10);
    assert_eq!(numbers(&leases), crate::support::all(0..10));
    busy.settle(&ids(&leases)).wait().unwrap();
    until("it has let them go", || idle.get(10).is_empty());
    add(&busy, 10..11);
    let back = lease(&busy, 1, SECOND * 10);
    assert_eq!(numbers(&back), [10]);
}

#[test]
fn tenants_do_not_stand_in_one_line() {
    let servers = Servers::one();
    let (stream, oracle) = (open(small(&servers).leases_max(5)), Oracle::at(&servers.urls()));
    let stuck = stream.queue("stuck.shop", Role::Both).unwrap();
    let other = stream.queue("other shop", Role::Both).unwrap();
    for number in 0..20 {
        stuck.add(request(number)).unwrap().wait().unwrap();
    }
    assert_eq!(lease(&stuck, 20, SECOND * 2).len(), 5, "all that its senders may have together");
    other.add(request(99)).unwrap().wait().unwrap();
    assert_eq!(numbers(&lease(&other, 1, SECOND * 10)), [99]);
    let subjects: Vec<String> = oracle.messages(STREAM).into_iter().map(|seen| seen.subject).collect();
    assert_eq!(subjects.iter().filter(|subject| *subject == "events.stuck=2Eshop").count(), 20);
    assert_eq!(subjects.last().unwrap(), "events.other=20shop");
    let tenants = stream.tenants().unwrap();
    assert_eq!(
        tenants.into_iter().collect::<Vec<_>>(),
        [("other shop".to_owned(), 1), ("stuck.shop".to_owned(), 20)]
    );
}

#[test]
fn an_id_of_the_callers_makes_a_request_that_is_added_again_be_there_once() {
    let servers = Servers::one();
    let oracle = Oracle::at(&servers.urls());
    for _ in 0..3 {
        // Another process each time.
        let queue = queue(&open(small(&servers)), Role::Accept);
        for number in 0..10 {
            let request = request(number);
            let id = message_id(&request);
            queue.publish(request, &id).unwrap().wait().unwrap();
        }
    }
    assert_eq!(oracle.bodies(STREAM), once(0..10));
    let refused = queue(&open(small(&servers)), Role::Accept).publish(request(1), "").unwrap_err();
    assert!(matches!(refused.reason, Refusal::Invalid(_)));
}

#[test]
fn a_request_that_no_message_can_hold_is_refused() {
    let servers = Servers::with("max_payload: 64KB");
    let queue = queue(&open(small(&servers)), Role::Accept);
    let large = LogEvent::opaque("http://127.0.0.1/", vec![b'x'; 64 << 10]);
    let refused = queue.add(large.clone()).unwrap_err();
    assert!(matches!(refused.reason, Refusal::TooLarge { bytes_max: 65_536, .. }), "{}", refused.reason);
    assert_eq!(refused.item.body(), large.body());
    let odd = LogEvent::opaque("http://127.0.0.1/\r\nNats-Rollup: all", "x");
    assert!(matches!(queue.add(odd).unwrap_err().reason, Refusal::Invalid(_)));
}
