//! The machine goes to sleep while others add: what it waits for wakes it, or it does not sleep.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use crate::{Queue, add_all, alarm::Alarm, in_every_order, two_stripes};

fn size(queue: &Queue) -> usize {
    usize::try_from(queue.count().held.items).unwrap()
}

/// Sleeps until there are two while each of two threads adds one, and says so as `rings` does.
fn sleep_while_two_come(rings: fn(usize, &Alarm, &Queue) -> bool) {
    let (queue, alarm, rung) = (two_stripes(9), Arc::new(Alarm::new()), Arc::new(AtomicBool::new(false)));
    let threads = [0, 1].map(|home| {
        let (queue, alarm, rung) = (Arc::clone(&queue), Arc::clone(&alarm), Arc::clone(&rung));
        thread::spawn(move || {
            add_all(&queue, home, [1]);
            if rings(home, &alarm, &queue) {
                rung.store(true, SeqCst);
            }
        })
    });
    let sleeps = alarm.set(2, || size(&queue));
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(!sleeps || rung.load(SeqCst), "it sleeps, and there are {}", size(&queue));
}

#[test]
fn the_last_item_that_is_missing_wakes_it() {
    in_every_order(3, || sleep_while_two_come(|_, alarm, _| alarm.one_more()));
}

#[test]
fn so_does_the_size_that_was_waited_for() {
    in_every_order(2, || sleep_while_two_come(|_, alarm, queue| alarm.grown(|| size(queue))));
}

#[test]
fn nobody_rings_while_it_is_awake() {
    in_every_order(3, || {
        let (queue, alarm) = (two_stripes(9), Alarm::new());
        assert!(alarm.set(3, || size(&queue)));
        assert!(!alarm.one_more() && !alarm.one_more(), "one is missing");
        alarm.stop();
        assert!(!alarm.one_more() && !alarm.grown(|| 9));
        assert!(alarm.set(1, || size(&queue)) && alarm.one_more() && !alarm.one_more(), "it rings once");
        assert!(!alarm.set(0, || size(&queue)), "there are as many");
    });
}
