//! Whether requests come back to who sends them on: events would go round in a circle for ever.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};

use super::EndPoint;

impl EndPoint {
    /// Whether requests to this URL come to who listens there: for a server that sends on what it takes.
    ///
    /// Names are looked up only where the port is the same. One that cannot be is nobody's now; it is no circle.
    ///
    /// ```
    /// use posthaste::dispatch::EndPoint;
    ///
    /// let listens = "127.0.0.1:8080".parse()?;
    /// assert!(EndPoint::check("http://127.0.0.1:8080/v1/events")?.leads_to(listens));
    /// assert!(!EndPoint::check("http://127.0.0.1:8081/v1/events")?.leads_to(listens));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn leads_to(&self, listener: SocketAddr) -> bool {
        if listener.port() == 0 || self.port() != listener.port() {
            return false;
        }
        let found = self.address().to_socket_addrs().into_iter().flatten();
        found.map(|found| found.ip().to_canonical()).any(|to| reaches(to, listener.ip()))
    }
}

/// Whether a connection to this address comes to who listens at that one.
fn reaches(to: IpAddr, listen: IpAddr) -> bool {
    let listen = listen.to_canonical();
    // A system that connects to "anywhere" connects to itself.
    let is_here = to.is_loopback() || to.is_unspecified();
    match listen {
        listen if listen == to => true,
        IpAddr::V4(listen) if listen.is_unspecified() => to.is_ipv4() && (is_here || is_own(to)),
        IpAddr::V6(listen) if listen.is_unspecified() => is_here || is_own(to),
        listen => to.is_unspecified() && listen.is_loopback() && to.is_ipv4() == listen.is_ipv4(),
    }
}

/// Whether the address is one of this machine: nobody else's can be bound.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_every_name() {
        for (upstream, listen, is_circle) in [
            ("http://127.0.0.1:8090/v1/events", "127.0.0.1:8090", true),
            ("http://127.0.0.1:8090/elsewhere", "127.0.0.1:8090", true),
            ("http://localhost:8090/v1/events", "127.0.0.1:8090", true),
            ("http://0.0.0.0:8090/v1/events", "127.0.0.1:8090", true),
            ("http://127.0.0.1:8090/v1/events", "0.0.0.0:8090", true),
            ("http://127.8.9.1:8090/v1/events", "0.0.0.0:8090", true),
            ("http://127.0.0.1:8090/v1/events", "[::]:8090", true),
            ("http://[::1]:8090/v1/events", "[::]:8090", true),
            ("http://[::ffff:127.0.0.1]:8090/", "127.0.0.1:8090", true),
            ("http://127.0.0.1/v1/events", "0.0.0.0:80", true),
            ("https://localhost/v1/events", "127.0.0.1:443", true),
            ("http://127.0.0.1:8091/v1/events", "127.0.0.1:8090", false),
            ("http://127.0.0.2:8090/v1/events", "127.0.0.1:8090", false),
            ("http://[::1]:8090/v1/events", "0.0.0.0:8090", false),
            ("http://192.0.2.1:8090/v1/events", "0.0.0.0:8090", false),
            ("http://no.such.host.invalid:8090/v1/events", "0.0.0.0:8090", false),
            ("http://127.0.0.1:8090/v1/events", "127.0.0.1:0", false),
        ] {
            let leads = EndPoint::check(upstream).unwrap().leads_to(listen.parse().unwrap());
            assert_eq!(leads, is_circle, "{upstream} {listen}");
        }
    }
}
