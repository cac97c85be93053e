//! The example runs to its end, finds its result right, and the collector has received what it should.

use std::process::Command;

#[test]
fn every_event_of_the_sdk_arrives() {
    let run = Command::new(env!("CARGO_BIN_EXE_posthaste-optimizely-bridge")).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("collector: 300 good, 0 bad, 0 repeats"), "{said}");
}
