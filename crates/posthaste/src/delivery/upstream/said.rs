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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{DispatchError, Response};

    #[test]
    fn people_hear_the_status_with_its_text_or_the_error() {
        let busy = Ok(Response::status(503).with_text(" busy\n"));
        assert_eq!(said(&busy), (Some(503), "status 503: busy".to_owned()));
        assert_eq!(said(&Ok(Response::status(404))), (Some(404), "status 404".to_owned()));
        let error = DispatchError::Connect("refused".into());
        assert_eq!(said(&Err(error.clone())), (None, error.to_string()));
    }

    #[test]
    fn a_trouble_that_goes_on_keeps_its_beginning_and_takes_the_last_words() {
        let mut trouble = None;
        note(&mut trouble, "http://a", &Ok(Response::status(503)), 1_000);
        note(&mut trouble, "http://a", &Ok(Response::status(404)), 2_000);
        let trouble = trouble.unwrap();
        assert_eq!((trouble.status, trouble.what.as_str(), trouble.times), (Some(404), "status 404", 2));
        assert_eq!((trouble.since_ms, trouble.last_ms), (1_000, 2_000));
    }
}
