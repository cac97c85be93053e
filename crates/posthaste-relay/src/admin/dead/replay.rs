//! Puts dead letters back into queues. One that nobody could use goes through repair and judging again: it stays where it
//! is unless this version can use it. A kill in between leaves it in both places, and the Event API drops the repeat.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use posthaste::{DeadLetter, DeadReason, LogEvent};

use super::{Chosen, Replayed};
use crate::admin::ahead::Ahead as _;
use crate::{intake, relay::Relay, tenants::Tenant};

/// Letters that are looked at together.
const AT_ONCE: usize = 16;
/// How long the disk may take to store what is mended.
const STORED_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn replay(relay: &Relay, chosen: &Chosen) -> Replayed {
    let mut sum = Replayed::default();
    for tenant in chosen.tenants(relay) {
        let may_go = |letter: &DeadLetter<LogEvent>| !is_unusable(letter.reason) && chosen.wants(letter);
        sum.replayed += tenant.dispatcher().replay_dead_letters_where(&may_go);
        if chosen.reason.is_none_or(is_unusable) {
            let (mended, left) = mend(relay, tenant);
            (sum.replayed, sum.still_unusable) = (sum.replayed + mended, sum.still_unusable + left);
        }
    }
    sum
}

/// Tries every unusable letter of this tenant again. Returns how many events are in a queue, and how many stay.
fn mend(relay: &Relay, tenant: &Tenant) -> (usize, usize) {
    let (mut mended, mut left, mut after) = (0, 0, None);
    loop {
        let page = tenant.dispatcher().dead_letters_page(after, AT_ONCE);
        let Some((last, _)) = page.last() else { return (mended, left) };
        after = Some(*last);
        let mut gone: HashSet<(i64, Bytes)> = HashSet::new();
        for (_, letter) in page.into_iter().filter(|(_, letter)| is_unusable(letter.reason)) {
            match put_back(relay, letter.item.body()) {
                Some(events) => {
                    mended += events;
                    gone.insert((letter.time_ms, letter.item.body().clone()));
                }
                None => left += 1,
            }
        }
        if !gone.is_empty() {
            let is_gone = |letter: &DeadLetter<LogEvent>| {
                is_unusable(letter.reason) && gone.contains(&(letter.time_ms, letter.item.body().clone()))
            };
            tenant.dispatcher().purge_dead_letters_where(&is_gone);
        }
    }
}

/// How many events are in a queue now, safely; `None`: none.
fn put_back(relay: &Relay, body: &Bytes) -> Option<usize> {
    let (tenant, request) = intake::again(relay, body)?;
    let events = request.events();
    let receipt = tenant.dispatcher().add(request).ok()?;
    let stored = async { tokio::time::timeout(STORED_WITHIN, receipt).await };
    tokio::runtime::Handle::current().block_on(stored).ok()?.ok()?;
    Some(events)
}

fn is_unusable(reason: DeadReason) -> bool {
    reason.name() == "unusable"
}
