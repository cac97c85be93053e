//! Where a relay listens: on sockets that whoever starts it holds and passes on (`LISTEN_FDS`, as systemd does), or on
//! such that it opens itself.
//!
//! What is passed on counts for more than any option, and is the address that all checks look at. A socket that this
//! does not know what to do with is an error: whoever connects to it would wait for ever.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
};

use listenfd::ListenFd;
use posthaste_relay::{Config, config::Settings};

use crate::common::exit::Failure;

/// What settings and errors call the place where these come from.
const ORIGIN: &str = "LISTEN_FDS";

/// Sockets that were passed on.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    public: Option<TcpListener>,
    admin: Option<TcpListener>,
}

/// Sockets that a relay listens on.
#[derive(Debug)]
pub(super) struct Listeners {
    /// `None`: it takes no events.
    pub(super) public: Option<tokio::net::TcpListener>,
    pub(super) admin: Option<tokio::net::TcpListener>,
}

impl Inherited {
    /// Takes what was passed on to this process: the first is for events, the second for the admin interface. Must be
    /// called before there are threads, since it takes variables out of the environment.
    pub(super) fn take() -> Result<Self, Failure> {
        let mut passed = ListenFd::from_env();
        if passed.len() > 2 {
            return Err(Failure::Inherited(format!("there are {}", passed.len())));
        }
        let mut next = |at| {
            let socket =
                passed.take_tcp_listener(at).map_err(|error| Failure::Inherited(error.to_string()))?;
            socket.map(|socket| listening(at, socket)).transpose()
        };
        Ok(Self { public: next(0)?, admin: next(1)? })
    }

    /// Where these listen is what is in force.
    pub(super) fn tell(&self, settings: &mut Settings) -> Result<(), Failure> {
        for (key, socket) in [("listen", &self.public), ("admin", &self.admin)] {
            if let Some(socket) = socket {
                settings.flag(ORIGIN, key, &socket.local_addr()?.to_string());
            }
        }
        Ok(())
    }

    /// These, and what the config asks for beside them. Must be called within a runtime.
    pub(super) async fn complete(self, config: &Config) -> Result<Listeners, Failure> {
        let public = if config.accepts() { Some(open(self.public, config.listen).await?) } else { None };
        let admin = match config.admin {
            Some(address) => Some(open(self.admin, address).await?),
            None => None,
        };
        Ok(Listeners { public, admin })
    }
}

/// A socket with a peer is a connection, such as systemd passes on with `Accept=yes`.
fn listening(at: usize, socket: TcpListener) -> Result<TcpListener, Failure> {
    let socket = TcpStream::from(OwnedFd::from(socket));
    match socket.peer_addr() {
        Ok(peer) => {
            Err(Failure::Inherited(format!("number {} is a connection with {peer} (Accept=yes?)", at + 1)))
        }
        Err(_) => Ok(TcpListener::from(OwnedFd::from(socket))),
    }
}

async fn open(
    inherited: Option<TcpListener>,
    address: SocketAddr,
) -> Result<tokio::net::TcpListener, Failure> {
    let Some(socket) = inherited else {
        return tokio::net::TcpListener::bind(address)
            .await
            .map_err(|source| Failure::Listen { address, source });
    };
    socket.set_nonblocking(true)?;
    Ok(tokio::net::TcpListener::from_std(socket)?)
}
