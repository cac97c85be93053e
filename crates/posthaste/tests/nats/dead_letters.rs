//! Dead letters: in a stream of their own before the message goes, and there for every process.

use async_nats::HeaderMap;
use posthaste::{
    DeadReason, LogEvent, QueueEventDispatcher,
    dispatch::Response,
    queue::{DeliveryQueue, jetstream::Role},
    testing::ScriptedDispatcher,
};

use crate::{
    oracle::Oracle,
    servers::Servers,
    support::{
        SECOND, STREAM, add, balances, body, ids, lease, number_of, numbers, once, open, queue, request,
        small, until,
    },
};

const DEAD: &str = "events-dead";

fn refuses_odd(request: &LogEvent) -> posthaste::dispatch::Answer {
    let number = number_of(std::str::from_utf8(request.body()).unwrap());
    Ok(if number % 2 == 1 { Response::status(400).with_text("odd\r\nnumber") } else { Response::status(204) })
}

#[test]
fn letters_are_listed_replayed_and_purged_by_any_process() {
    let servers = Servers::one();
    let (stream, oracle) = (open(small(&servers)), Oracle::at(&servers.urls()));
    let builder = QueueEventDispatcher::builder(ScriptedDispatcher::by(refuses_odd)).batch_size(1);
    let dispatcher = builder.queue(queue(&stream, Role::Both)).build().unwrap();
    for number in 0..20 {
        dispatcher.add(request(number)).unwrap().wait().unwrap();
    }
    until("all have come to an end", || {
        let ledger = dispatcher.ledger();
        assert!(ledger.balances(), "{ledger:?}");
        (ledger.delivered, ledger.dead_lettered) == (10, 10)
    });
    until("the stream knows", || oracle.count(STREAM) == 0);
    assert_eq!(oracle.bodies(DEAD), once((1..20).step_by(2)), "each letter once");
    assert_eq!(dispatcher.dead_letters().len(), 10);

    // Another process.
    let elsewhere = open(small(&servers));
    let letters = elsewhere.dead_letters("shop").unwrap();
    assert_eq!(letters.count().unwrap(), 10);
    assert_eq!(
        elsewhere.dead_letter_counts().unwrap().into_iter().collect::<Vec<_>>(),
        [("shop".to_owned(), 10)]
    );
    let (first, second) = (letters.page(None, 6).unwrap(), letters.page(None, 99).unwrap());
    assert_eq!((first.len(), second.len()), (6, 10));
    let rest = letters.page(Some(first[5].0), 99).unwrap();
    assert_eq!(rest, second[6..]);
    let letter = &first[0].1;
    assert_eq!(
        (letter.reason, letter.status, letter.text.as_str()),
        (DeadReason::Rejected, Some(400), "odd\r\nnumber")
    );
    assert_eq!(letter.item.body(), body(1).as_bytes());
    assert!(elsewhere.dead_letters("others").unwrap().page(None, 9).unwrap().is_empty());

    let handled = letters.purge_where(|letter| letter.item.body() == body(3).as_bytes()).unwrap();
    assert_eq!((handled.letters, handled.events), (1, 1));
    dispatcher.close(SECOND).wait();
    let handled = letters.replay_where(|letter| letter.item.body() != body(5).as_bytes()).unwrap();
    assert_eq!((handled.letters, handled.events), (8, 8));
    assert_eq!(oracle.bodies(DEAD), once([5]));
    let wanted: Vec<usize> = (1..20).step_by(2).filter(|number| ![3, 5].contains(number)).collect();
    assert_eq!(oracle.bodies(STREAM), once(wanted.clone()));
    let heir = queue(&elsewhere, Role::Deliver);
    let leases = lease(&heir, 8, SECOND * 10);
    assert_eq!(numbers(&leases), wanted);
    assert!(leases.iter().all(|lease| lease.item.put_back_ms().is_some()));
}

#[test]
fn a_pipeline_puts_back_letters_of_its_own_and_of_others_and_its_ledger_balances() {
    let servers = Servers::one();
    let (stream, oracle) = (open(small(&servers)), Oracle::at(&servers.urls()));
    let refusing = |_: &LogEvent| Ok(Response::status(400));
    let first = QueueEventDispatcher::builder(ScriptedDispatcher::by(refusing)).batch_size(1);
    let first = first.queue(queue(&stream, Role::Both)).build().unwrap();
    (0..3).for_each(|number| first.add(request(number)).unwrap().wait().unwrap());
    until("three letters", || first.ledger().dead_lettered == 3);
    first.close(SECOND).wait();

    let (again, taking) = (open(small(&servers)), ScriptedDispatcher::by(|_| Ok(Response::status(204))));
    let second = QueueEventDispatcher::builder(taking.clone()).batch_size(1);
    let second = second.queue(queue(&again, Role::Both)).build().unwrap();
    let ledger = second.ledger();
    assert_eq!((ledger.accepted, ledger.dead_lettered), (0, 0), "others count what they have buried");
    assert_eq!(second.replay_dead_letters(), 3);
    until("they are delivered", || {
        let ledger = second.ledger();
        assert!(ledger.balances(), "{ledger:?}");
        ledger.delivered == 3
    });
    until("no letters are left", || oracle.count(DEAD) == 0 && oracle.count(STREAM) == 0);
    let mut delivered: Vec<usize> = taking
        .requests()
        .iter()
        .map(|request| number_of(std::str::from_utf8(request.body()).unwrap()))
        .collect();
    delivered.sort_unstable();
    assert_eq!(delivered, [0, 1, 2]);
}

#[test]
fn a_message_that_cannot_be_read_becomes_a_letter_as_it_is() {
    let servers = Servers::one();
    let (stream, oracle) = (open(small(&servers)), Oracle::at(&servers.urls()));
    let queue = queue(&stream, Role::Both);
    let mut newer = HeaderMap::new();
    newer.insert("Posthaste-Version", "2");
    newer.insert("Posthaste-To", "http://127.0.0.1/");
    newer.insert("Posthaste-Events", "7");
    oracle.publish("events.shop", newer, "of another form");
    oracle.publish("events.shop", HeaderMap::new(), "of somebody else");
    add(&queue, 0..1);
    let leases = lease(&queue, 1, SECOND * 10);
    assert_eq!(numbers(&leases), [0], "it holds nothing up");
    queue.settle(&ids(&leases)).wait().unwrap();
    until("they are letters", || queue.counts().unreadable == 8);
    balances(&queue, 1);
    assert_eq!(oracle.count(STREAM), 0);
    let letters = stream.dead_letters("shop").unwrap().page(None, 9).unwrap();
    let said: Vec<_> = letters.iter().map(|(_, letter)| (letter.reason, letter.text.as_str())).collect();
    assert_eq!(said[0].0, DeadReason::Unreadable);
    assert!(said.iter().any(|(_, text)| text.contains("form 2")), "{said:?}");
    assert!(said.iter().any(|(_, text)| text.contains("no headers")), "{said:?}");
    let mut bodies: Vec<_> = letters.iter().map(|(_, letter)| &letter.item.body()[..]).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, [&b"of another form"[..], b"of somebody else"]);
}
