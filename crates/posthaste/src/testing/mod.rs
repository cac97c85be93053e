//! Doubles for tests of programs that use posthaste (feature `test-util`): a clock that moves when told to, dispatchers
//! that record what they are given and answer by script.

mod clock;
mod dispatcher;

pub use clock::ManualClock;
pub use dispatcher::{RecordingDispatcher, ScriptedDispatcher};
