//! How many connections there are, in total and from each address.

use std::{net::IpAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{config::Limits, counters::TurnedAway};

/// Everybody who is connected.
#[derive(Debug)]
pub(super) struct Crowd {
    max: usize,
    of_one_max: usize,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    all: usize,
    by_address: FxHashMap<IpAddr, usize>,
}

/// A connection's place among the others, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Crowd {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            max: limits.connections_max,
            of_one_max: limits.connections_per_address_max,
            present: Mutex::default(),
        }
    }

    /// One more from this address, if there may be.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, TurnedAway> {
        let mut present = self.present.lock();
        if present.all >= self.max {
            return Err(TurnedAway::TooMany);
        }
        let of_one = present.by_address.entry(address).or_default();
        if *of_one >= self.of_one_max {
            return Err(TurnedAway::TooManyOfOne);
        }
        *of_one += 1;
        present.all += 1;
        Ok(Place { crowd: Arc::clone(self), address })
    }

    fn leave(&self, address: IpAddr) {
        let mut present = self.present.lock();
        present.all -= 1;
        if let Some(of_one) = present.by_address.get_mut(&address) {
            *of_one -= 1;
            if *of_one == 0 {
                present.by_address.remove(&address);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.leave(self.address);
    }
}

/// Tells a client that there are too many, and why the connection ends.
pub(super) async fn turn_away(mut stream: TcpStream, retry_after: Duration) {
    let seconds = retry_after.as_secs().max(1);
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {seconds}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    // Whoever does not read it waits for nothing else.
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    drop(tokio::time::timeout(Duration::from_secs(1), told).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_may_be_and_places_come_back() {
        let limits = Limits { connections_max: 3, connections_per_address_max: 2, ..Limits::default() };
        let crowd = Arc::new(Crowd::new(&limits));
        let (ann, bob) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let (first, _second) = (crowd.enter(ann).unwrap(), crowd.enter(ann).unwrap());
        assert_eq!(crowd.enter(ann).unwrap_err(), TurnedAway::TooManyOfOne);
        let _third = crowd.enter(bob).unwrap();
        assert_eq!(crowd.enter(bob).unwrap_err(), TurnedAway::TooMany);
        drop(first);
        let _again = crowd.enter(ann).unwrap();
        assert_eq!(crowd.present.lock().all, 3);
    }
}
