//! Where no thread can be started, `build` says so, and does once there is room. A process of its own for each case: the
//! limit on its memory holds for all of it.

use std::{
    env,
    io::Write,
    process::{Child, Command, Stdio, id},
};

use posthaste::{BatchEventProcessor, OptionsError, QueueEventDispatcher};

use crate::{
    house::{Place, by, ok},
    support::{SECOND, impression, larkspur},
};

const CASE: &str = "POSTHASTE_NO_THREAD_CASE";

/// Which thread is the first that cannot be started.
const CASES: [(&str, bool); 2] = [("the first of the process", false), ("that of delivery", true)];

#[test]
#[cfg(target_os = "linux")]
fn build_says_that_no_thread_can_be_started() {
    for (place, case) in
        (0..Place::ALL.len()).flat_map(|place| (0..CASES.len()).map(move |case| (place, case)))
    {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "no_thread::a_process_with_a_limit", "--nocapture", "--test-threads=1"])
            .env(CASE, format!("{place} {case}"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        let name = format!("{:?}, {}", Place::ALL[place], CASES[case].0);
        assert!(output.status.success(), "{name}: {}\n{said}\n{why}", output.status);
        assert!(said.contains("1 passed"), "{name}: {said}\n{why}");
    }
}

/// Does nothing unless it is told which case it is.
#[test]
fn a_process_with_a_limit() {
    let Ok(case) = env::var(CASE) else { return };
    let (place, case) = case.split_once(' ').unwrap();
    let place = Place::ALL[place.parse::<usize>().unwrap()];
    let is_warm = CASES[case.parse::<usize>().unwrap()].1;
    place.run(async move {
        let _keeps_its_stack = is_warm.then(|| build().unwrap());
        let warm = impression(&larkspur(), "warm");
        // No process can be started under the limit, so the one that lifts it is there before.
        let lifter = Limiter::new("unlimited");
        Limiter::new(&(memory_bytes() + (1 << 20)).to_string()).set();
        let results = [build().map(drop), build_dispatcher().map(drop)];
        lifter.set();
        for result in results {
            assert!(matches!(result, Err(OptionsError::Thread(_))), "{result:?}");
        }
        let processor = build().unwrap();
        processor.process_event(warm).unwrap().forget();
        assert_eq!(processor.close(SECOND * 20).wait().delivered, 1, "there is room again");
    });
}

fn build() -> Result<BatchEventProcessor, OptionsError> {
    BatchEventProcessor::builder().event_dispatcher(by(|_| Box::pin(async { ok() }))).build()
}

fn build_dispatcher() -> Result<QueueEventDispatcher, OptionsError> {
    QueueEventDispatcher::builder(by(|_| Box::pin(async { ok() }))).build()
}

fn memory_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').next().unwrap().parse::<u64>().unwrap() * 4_096
}

/// Sets this process's limit of address space when told to: room for a stack is missing first.
struct Limiter(Child);

impl Limiter {
    fn new(bytes: &str) -> Self {
        let script = format!("read -r _ && exec prlimit --pid={} --as={bytes}:unlimited", id());
        Self(Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap())
    }

    fn set(mut self) {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}
