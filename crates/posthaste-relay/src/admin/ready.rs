//! `GET /readyz`: whether events are taken, and how everything behind that is. Load balancers send elsewhere where they
//! are not.
//!
//! Ready means: the relay is not on its way to its end, and the queue of at least one tenant takes events. One tenant's
//! full queue is no reason to take the relay from all others; the answer names it, and
//! `posthaste_relay_queue_writable` is there for an alert. An upstream that is away is no reason at all; nor is a stream,
//! where a bridge takes events meanwhile. One that takes no events anyway is ready while it serves.

use std::{future::Future, pin::Pin, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;

use super::{Admin, stream::StreamReadiness, upstream::Upstream};
use crate::{
    config::{Store, WhenFull},
    relay::{Phase, Relay},
    tenants::{Kind, Stage, Tenant},
};

/// How long a disk may take to sync what it was given before it counts as stalled.
const DISK_ANSWERS: Duration = Duration::from_millis(500);
/// A queue in memory with less room is full, or a sixteenth of one that is small: most requests find some in more.
const ROOM_BYTES: u64 = 64 << 10;

#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    ready: bool,
    phase: &'static str,
    tenants: Vec<TenantReadiness>,
    /// Where relays share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<StreamReadiness>,
}

#[derive(Debug, Serialize)]
struct TenantReadiness {
    name: String,
    /// Whether the config has it: one that an earlier config had takes nothing, and is delivered.
    in_config: bool,
    queue: QueueReadiness,
    /// `null`: somebody else delivers.
    upstream: Option<Upstream>,
}

#[derive(Debug, Serialize)]
struct QueueReadiness {
    writable: bool,
    /// Why not.
    trouble: Option<String>,
}

pub(super) async fn readyz(State(admin): State<Admin>) -> (StatusCode, Json<Readiness>) {
    let relay = admin.relay();
    let phase = relay.vitals().phase();
    let own = relay.config().tenants.len();
    let looks =
        relay.tenants().iter().zip(&admin.0.disks.0).enumerate().map(|(at, (tenant, disk))| async move {
            let intake = tenant.intake();
            let trouble = match trouble_of(relay, tenant, intake) {
                Some(trouble) => Some(trouble),
                None if disk.answers(intake).await => None,
                None => Some("the disk does not answer".to_owned()),
            };
            TenantReadiness {
                name: tenant.name().to_owned(),
                in_config: at < own,
                queue: QueueReadiness { writable: trouble.is_none(), trouble },
                upstream: tenant.delivery().map(|stage| Upstream::of(relay, tenant, stage)),
            }
        });
    // Whoever goes is told so at once, whatever its disks do.
    let tenants = if phase == Phase::Serving { join_all(looks).await } else { Vec::new() };
    let takes = |tenant: &TenantReadiness| tenant.in_config && tenant.queue.writable;
    let ready = phase == Phase::Serving && (!relay.config().accepts() || tenants.iter().any(takes));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, phase: name_of(phase), tenants, stream: StreamReadiness::of(relay) }))
}

fn name_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Serving => "serving",
        Phase::LameDuck => "lame_duck",
        Phase::Closing => "closing",
    }
}

/// Why this pipeline's queue takes nothing, as far as it knows without asking the disk.
pub(super) fn trouble_of(relay: &Relay, tenant: &Tenant, stage: &Stage) -> Option<String> {
    if stage.kind() == Kind::Shared
        && let Some(trouble) = relay.stream_trouble()
    {
        return Some(trouble.to_string());
    }
    if let Some(why) = tenant.refuses(relay.clock().elapsed()) {
        return Some(format!("it has just refused a request: {why}"));
    }
    let drops_oldest = relay.config().outage.when_full == WhenFull::DropOldest;
    match (stage.spool(), &relay.config().store) {
        (Some(queue), _) => {
            let stats = queue.spool().stats();
            // Where the oldest make room, there is some as soon as somebody asks for it.
            stats.trouble.filter(|_| stats.is_failing || !drops_oldest)
        }
        (None, Store::Memory { bytes_max }) if !drops_oldest && stage.kind() != Kind::Shared => {
            let left = (*bytes_max as u64).saturating_sub(stage.dispatcher().queue_bytes());
            let is_full = left < ROOM_BYTES.min(*bytes_max as u64 / 16);
            is_full.then(|| format!("the queue is full: it holds about the {bytes_max} bytes that it may"))
        }
        _ => None,
    }
}

/// Each tenant's disk.
#[derive(Debug)]
pub(super) struct Disks(Vec<Disk>);

/// A sync that has been asked for. While it does not come, no other is: a stall costs one, however often it is looked at.
#[derive(Debug, Default)]
struct Disk(Mutex<Option<Syncing>>);

struct Syncing(Pin<Box<dyn Future<Output = bool> + Send>>);

impl Disks {
    pub(super) fn new(relay: &Relay) -> Self {
        Self(relay.tenants().iter().map(|_| Disk::default()).collect())
    }
}

impl Disk {
    /// Whether what the queue was given reaches the disk. In memory there is none to ask.
    async fn answers(&self, stage: &Stage) -> bool {
        let Some(queue) = stage.spool() else { return true };
        let asking = async {
            let mut under_way = self.0.lock().await;
            let syncing = under_way.get_or_insert_with(|| {
                let receipt = queue.spool().sync();
                Syncing(Box::pin(async move { receipt.await.is_ok() }))
            });
            let is_synced = syncing.0.as_mut().await;
            *under_way = None;
            is_synced
        };
        tokio::time::timeout(DISK_ANSWERS, asking).await.unwrap_or(false)
    }
}

impl std::fmt::Debug for Syncing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Syncing")
    }
}
