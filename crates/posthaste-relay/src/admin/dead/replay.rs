//! Puts dead letters back into queues. One that nobody could use goes through repair and judging again: it stays where it
//! is unless this version can use it. A kill in between leaves it in both places, and the Event API drops the repeat.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use posthaste::{DeadLetter, DeadReason, LogEvent};

use super::{Chosen, Replayed};
use crate::{intake, relay::Relay, tenants::Stage};

/// Letters that are looked at together.
const AT_ONCE: usize = 16;
/// How long the disk may take to store what is mended.
const STORED_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn replay(relay: &Relay, chosen: &Chosen) -> Replayed {
    let mut sum = Replayed::default();
    for (_, stage) in chosen.stages(relay) {
        let may_go = |letter: &DeadLetter<LogEvent>| !is_unusable(letter.reason) && chosen.wants(letter);
        sum.replayed += stage.dispatcher().replay_dead_letters_where(&may_go);
        if chosen.reason.is_none_or(is_unusable) {
            let (mended, left) = mend(relay, stage);
            (sum.replayed, sum.still_unusable) = (sum.replayed + mended, sum.still_unusable + left);
        }
    }
    sum
}

/// What has become of a letter that was looked at again.
enum Second {
    /// So many events are in a queue now, safely.
    PutBack(usize),
    /// Nobody can use it, even now.
    Unusable,
    /// The queue takes nothing more.
    Refused,
}

/// Tries every unusable letter of this pipeline again, until the queue takes no more. Returns how many events are in a queue
/// again, and how many stay.
fn mend(relay: &Relay, stage: &Stage) -> (usize, usize) {
    let (mut mended, mut left, mut after) = (0, 0, None);
    loop {
        let page = stage.dispatcher().dead_letters_page(after, AT_ONCE);
        let Some((last, _)) = page.last() else { return (mended, left) };
        after = Some(*last);
        let mut gone: HashSet<(i64, Bytes)> = HashSet::new();
        let mut is_over = false;
        for (_, letter) in page.into_iter().filter(|(_, letter)| is_unusable(letter.reason)) {
            match second(relay, letter.item.body()) {
                Second::PutBack(events) => {
                    mended += events;
                    gone.insert((letter.time_ms, letter.item.body().clone()));
                }
                Second::Unusable => left += 1,
                Second::Refused => {
                    is_over = true;
                    break;
                }
            }
        }
        forget(stage, &gone);
        if is_over {
            return (mended, left);
        }
    }
}

fn second(relay: &Relay, body: &Bytes) -> Second {
    let Some((tenant, request)) = intake::again(relay, body) else { return Second::Unusable };
    let events = request.events();
    let Ok(receipt) = tenant.intake().dispatcher().add(request) else { return Second::Refused };
    let stored = async { tokio::time::timeout(STORED_WITHIN, receipt).await };
    match tokio::runtime::Handle::current().block_on(stored) {
        Ok(Ok(())) => Second::PutBack(events),
        _ => Second::Refused,
    }
}

fn forget(stage: &Stage, gone: &HashSet<(i64, Bytes)>) {
    let is_gone = |letter: &DeadLetter<LogEvent>| {
        is_unusable(letter.reason) && gone.contains(&(letter.time_ms, letter.item.body().clone()))
    };
    if !gone.is_empty() {
        stage.dispatcher().purge_dead_letters_where(&is_gone);
    }
}

fn is_unusable(reason: DeadReason) -> bool {
    reason == DeadReason::Unusable
}
