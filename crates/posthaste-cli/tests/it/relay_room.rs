//! A relay on a disk that really fills up, and has room again.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use posthaste::{Clock, SystemClock};

use crate::{
    relay_process::{MIB, RelayProcess, body, say, uuids},
    room::SmallDisk,
    support::{LONG, Server},
};

/// Refused in a row, it is full.
const FULL: usize = 10;

#[test]
fn a_full_disk_refuses_loses_nothing_and_takes_events_again_once_there_is_room() {
    let Some(disk) = SmallDisk::mount("128m") else { return };
    let (answer, arrived) = (Arc::new(AtomicU16::new(503)), Arc::<Mutex<BTreeSet<String>>>::default());
    let (says, counts) = (Arc::clone(&answer), Arc::clone(&arrived));
    let sink = Server::start(false, move |body| {
        let status = says.load(SeqCst);
        if status == 204 {
            counts.lock().unwrap().extend(uuids(body));
        }
        status
    });
    let data = disk.path("data");
    let args = ["--upstream", &sink.url, "--data", &data];
    let relay = RelayProcess::start(&args, &[]);
    let (mut client, mut taken, mut most) = (relay.client(), Vec::new(), 0);
    for round in 0..2 {
        let (mut refused, mut slowest, mut since) = (0, Duration::ZERO, 0);
        while refused < FULL {
            let uuid = format!("{round}-{}", taken.len());
            let began = SystemClock.elapsed();
            match client.post("", &body(&uuid, 200_000)) {
                (204, _) => {
                    taken.push(uuid);
                    (refused, since) = (0, since + 1);
                    if since == 20 {
                        disk.fill();
                    }
                }
                (503, head) => {
                    assert!(head.contains("retry-after: 1\r\n"), "{head}");
                    slowest = slowest.max(SystemClock.elapsed().saturating_sub(began));
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        most = most.max(relay.resident());
        say(&format!("{} taken when it was full; refused in {slowest:?} at most", taken.len()));
        // Nobody restarts anything.
        fs::remove_file(disk.path("ballast")).unwrap();
        let uuid = format!("again-{round}");
        client.post_until_taken(&body(&uuid, 200_000));
        taken.push(uuid);
    }
    say(&format!("{} MiB resident at most", relay.resident_most() / MIB));
    // 48 MiB at rest, and what waits for the disk, as a record and as a request.
    assert!(most < (48 + 2 * 32 + 16) * MIB, "{most}");
    relay.kill();
    let relay = RelayProcess::start(&args, &[]);
    answer.store(204, SeqCst);
    let until = SystemClock.elapsed() + LONG;
    let lost = || taken.iter().filter(|uuid| !arrived.lock().unwrap().contains(*uuid)).count();
    while lost() > 0 {
        assert!(SystemClock.elapsed() < until, "{} of {} have not arrived", lost(), taken.len());
        thread::sleep(Duration::from_millis(50));
    }
    relay.stop();
}
