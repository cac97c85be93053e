//! A page of dead letters, bounded in number and in bytes.

use serde::Serialize;

use super::{Chosen, Problem, letter::Letter};
use crate::{
    relay::Relay,
    tenants::{Stage, Tenant},
};

/// Bytes of bodies on a page, about: it ends after the letter that passes this.
const BYTES_MAX: usize = 4 << 20;
/// Letters that are read at once, at most.
const AT_ONCE: usize = 16;

#[derive(Debug, Default, Serialize)]
pub(in crate::admin) struct Page {
    letters: Vec<Letter>,
    /// What to ask for to get the next page: `null` at the end.
    next: Option<String>,
}

/// The last letter of a page, as text `TENANT:ID`; `TENANT/STAGE:ID` where a tenant may have several pipelines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Whose: no tenant's name has a slash.
    of: String,
    id: u64,
}

impl Place {
    pub(super) fn parse(text: String) -> Result<Self, Problem> {
        let parts = text.rsplit_once(':');
        let place = parts.and_then(|(of, id)| Some(Self { of: of.to_owned(), id: id.parse().ok()? }));
        place.ok_or(Problem::NoPlace(text))
    }
}

/// What letters of this pipeline are called.
fn name_of(tenant: &Tenant, stage: &Stage) -> String {
    let stage = stage.kind().name().map(|name| format!("/{name}"));
    format!("{}{}", tenant.name(), stage.unwrap_or_default())
}

/// The first letters after this place: pipeline by pipeline, oldest first.
pub(super) fn read(relay: &Relay, chosen: &Chosen, after: Option<&Place>, limit: usize) -> Page {
    let mut page = Page::default();
    let mut bytes = 0;
    let stages = chosen.stages(relay).map(|(tenant, stage)| (name_of(tenant, stage), tenant, stage));
    let is_before = |(of, ..): &(String, _, _)| after.is_some_and(|after| after.of != *of);
    for (of, tenant, stage) in stages.skip_while(is_before) {
        let mut from = after.filter(|after| after.of == of).map(|after| after.id);
        loop {
            let read = stage.dispatcher().dead_letters_page(from, AT_ONCE);
            let Some((last, _)) = read.last() else { break };
            from = Some(*last);
            for (id, letter) in read {
                if !chosen.wants(&letter) {
                    continue;
                }
                bytes += letter.item.body().len();
                let place = format!("{of}:{id}");
                page.letters.push(Letter::new(place.clone(), tenant.name(), letter));
                if page.letters.len() >= limit || bytes >= BYTES_MAX {
                    page.next = Some(place);
                    return page;
                }
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_tenant_and_a_number() {
        let place = |of: &str, id| Some(Place { of: of.to_owned(), id });
        let parse = |text: &str| Place::parse(text.to_owned()).ok();
        assert_eq!(parse("default:17"), place("default", 17));
        assert_eq!(parse("a:b:0"), place("a:b", 0));
        assert_eq!(parse("default/stream:17"), place("default/stream", 17));
        for none in ["", "17", "default:", "default:x", "default:-1"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }
}
