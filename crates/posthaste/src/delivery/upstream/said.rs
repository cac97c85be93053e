//! An answer in words that reach people.

use crate::{dispatch::Answer, outcome::Trouble};

/// Notes what an answer says about an end point, or about one request to it.
pub(in crate::delivery) fn note(
    trouble: &mut Option<Trouble>,
    end_point: &str,
    answer: &Answer,
    now_ms: i64,
) {
    let (status, what) = said(answer);
    match trouble {
        Some(trouble) => trouble.again(status, what, now_ms),
        None => *trouble = Some(Trouble::at(end_point, what, now_ms).with_status(status)),
    }
}

/// The status where there was one, and what to tell people.
fn said(answer: &Answer) -> (Option<u16>, String) {
    match answer {
        Ok(response) => {
            let text = response.text.trim();
            let colon = if text.is_empty() { "" } else { ": " };
            (Some(response.status), format!("status {}{colon}{text}", response.status))
        }
        Err(error) => (None, error.to_string()),
    }
}
