//! Why events wait, in words: for an end point that fails, for a spool without room or whose disk fails. Told once for
//! each reason, when it has lasted for a moment, and once when it is over.

use std::time::Duration;

use posthaste::outcome::{Health, Trouble, UpstreamState};

use crate::common::output::plain;

/// What lasts shorter is not worth a word.
const MOMENT: Duration = Duration::from_secs(2);

/// Troubles that are told one by one in a log; a bar shows all of them.
const TOLD_MAX: u32 = 20;

/// What keeps events from being delivered. With `is_stalled`, an end point that only some requests fail at counts too:
/// what waits are those.
pub(super) fn reasons(health: &[Health], is_stalled: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    for Health { upstreams, queue, ended, .. } in health {
        reasons.extend(ended.iter().chain(queue).map(in_words));
        let failing =
            upstreams.iter().filter(|upstream| is_stalled || upstream.state != UpstreamState::Working);
        reasons.extend(failing.filter_map(|upstream| upstream.trouble.as_ref()).map(in_words));
    }
    reasons.dedup();
    reasons
}

/// `http://127.0.0.1/v1/events: status 503: busy`
fn in_words(trouble: &Trouble) -> String {
    let place = trouble.end_point.as_ref().map(|end_point| format!("{end_point}: ")).unwrap_or_default();
    plain(&format!("{place}{}", trouble.what))
}

/// What of it has been told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Since when, and whether it has been told.
    waiting: Option<(Duration, bool)>,
    times: u32,
}

impl Told {
    /// The line to write now, if there is one.
    pub(super) fn look(&mut self, now: Duration, reasons: &[String]) -> Option<String> {
        if reasons.is_empty() {
            let was_told = self.waiting.take().is_some_and(|(_, is_told)| is_told);
            return was_told.then(|| "delivering again".to_owned());
        }
        let (since, is_told) = self.waiting.get_or_insert((now, false));
        if *is_told || now < *since + MOMENT || self.times >= TOLD_MAX {
            return None;
        }
        *is_told = true;
        self.times += 1;
        Some(waiting_for(reasons))
    }
}

/// One line.
pub(super) fn waiting_for(reasons: &[String]) -> String {
    format!("waiting for {}", reasons.join("; for "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_it_has_lasted_and_its_end_too() {
        let (mut told, reasons) = (Told::default(), ["x: status 503".to_owned()]);
        let mut look = |second, reasons: &[String]| told.look(Duration::from_secs(second), reasons);
        assert_eq!(look(0, &reasons), None);
        assert_eq!(look(1, &[]), None, "it was over before it was told");
        assert_eq!(look(10, &reasons), None);
        assert_eq!(look(12, &reasons).unwrap(), "waiting for x: status 503");
        assert_eq!(look(13, &reasons), None);
        assert_eq!(look(14, &[]).unwrap(), "delivering again");
        assert_eq!(look(15, &[]), None);
    }

    #[test]
    fn what_comes_and_goes_forever_is_told_a_bounded_number_of_times() {
        let (mut told, reasons) = (Told::default(), ["x".to_owned()]);
        let lines = (0..1_000).filter_map(|second| {
            told.look(Duration::from_secs(second), if second % 10 == 9 { &[] } else { &reasons })
        });
        assert_eq!(lines.count(), 2 * TOLD_MAX as usize);
    }
}
