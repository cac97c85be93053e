//! What every example needs: a project, and an Event API to send to.

use std::{error::Error, io, net::SocketAddr, thread};

use posthaste::ProjectConfig;
use posthaste_collector::{Collector, CollectorOptions, Filter, GoodEvent};
use tokio::sync::oneshot;

/// What an example ends with.
pub(crate) type Ended = Result<(), Box<dyn Error>>;

/// The project of all examples.
pub(crate) fn larkspur() -> Result<ProjectConfig, Box<dyn Error>> {
    Ok(ProjectConfig::from_datafile(include_str!("../../tests/vectors/larkspur.json"))?)
}

/// A collector on a free port of this machine, on a thread of its own: what `posthaste collect` starts. It judges each
/// event by the project, and refuses a request with a bad one.
pub(crate) struct LocalApi {
    collector: Collector,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl LocalApi {
    /// Starts it.
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let mut options = CollectorOptions::default();
        (options.config, options.strict) = (Some(larkspur()?), true);
        let collector = Collector::new(options);
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let served = collector.clone();
        let thread = thread::spawn(move || serve(&served, listener, stopped));
        Ok(Self { collector, address, stop, thread })
    }

    /// Its URL for events.
    pub(crate) fn end_point(&self) -> String {
        format!("http://{}/v1/events", self.address)
    }

    /// Stops it, and says in one line what it has received: its good events.
    #[expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]
    pub(crate) fn stop(self) -> Result<Vec<GoodEvent>, Box<dyn Error>> {
        // Where it has ended by itself, the thread says why.
        let _ = self.stop.send(());
        self.thread.join().map_err(|_| "the collector panicked")??;
        let ledger = self.collector.ledger();
        println!("collector: {} good, {} bad, {} repeats", ledger.good, ledger.bad, ledger.duplicates);
        Ok(self.collector.good(&Filter::default()))
    }
}

fn serve(
    collector: &Collector,
    listener: std::net::TcpListener,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        collector.serve(listener, async { drop(stopped.await) }).await
    })
}
