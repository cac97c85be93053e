//! A process that is killed while it holds leases.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use posthaste::queue::jetstream::{JetStreamOptions, Role};

use crate::{
    servers::Servers,
    support::{SECOND, add, lease, numbers, open, queue, small},
};

const ADDRESS: &str = "POSTHASTE_KILLED_ADDRESS";

/// The one that is killed: it leases everything, says so, and waits.
#[test]
fn a_sender_that_waits_to_be_killed() {
    let Ok(address) = env::var(ADDRESS) else { return };
    let options = JetStreamOptions::at(&address).unwrap().replicas(1).ack_wait(SECOND * 2);
    let queue = queue(&open(options), Role::Deliver);
    let leases = lease(&queue, 100, SECOND * 30);
    println!("leased {}", leases.len());
    // It renews them all the while.
    loop {
        std::thread::sleep(SECOND / 2);
        let ids = crate::support::ids(&leases);
        posthaste::queue::DeliveryQueue::renew(&queue, &ids).wait().unwrap();
    }
}

#[test]
fn a_process_that_is_killed_leaves_its_leases_to_others_within_the_ack_wait_and_a_second() {
    let servers = Servers::one();
    let stream = open(small(&servers));
    add(&queue(&stream, Role::Accept), 0..100);
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "killed::a_sender_that_waits_to_be_killed", "--nocapture", "--test-threads=1"])
        .env(ADDRESS, servers.address("events"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let leased = lines.map(Result::unwrap).find(|line| line.contains("leased"));
    assert!(leased.as_ref().is_some_and(|line| line.ends_with("leased 100")), "{leased:?}");
    std::thread::sleep(SECOND * 3);
    child.kill().unwrap();
    let killed = Instant::now();
    child.wait().unwrap();
    let heir = queue(&stream, Role::Deliver);
    assert_eq!(numbers(&lease(&heir, 100, SECOND * 20)), crate::support::all(0..100));
    assert!(killed.elapsed() < SECOND * 3, "{:?}", killed.elapsed());
}
