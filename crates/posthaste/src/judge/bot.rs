//! Does a visitor's user agent look like a bot's, in a project that leaves bots out?
//!
//! The API compares it with the IAB/ABC list of spiders and bots, which is not public. Here only such names are looked
//! for as surely stand for no person, of the browsers above all that tests are run with.

use super::{
    against::Against,
    kind::ProblemKind,
    node::{Node, quote},
    problem::{PartFindings, Problem},
};
use crate::{event::UserEvent, project::ProjectConfig};

/// The reserved attribute that a user agent is sent in.
const USER_AGENT: &str = "$opt_user_agent";
/// The reserved attribute that says whether the project leaves bots out.
const BOT_FILTERING: &str = "$opt_bot_filtering";

/// Parts of user agents, in lower case.
const NAMES: [&str; 6] = ["headless", "phantomjs", "googlebot", "bingbot", "crawler", "spider"];

const FIX: &str = "give tests the user agent of a browser with a window, or none; turn bot filtering off in \
     a project for tests";

/// Notes where a visitor will not show in results for its user agent.
pub(super) fn check_bot(attributes: &Node<'_>, against: Against<'_>, found: &mut PartFindings) {
    let said = attributes
        .items()
        .filter(|one| is(one, BOT_FILTERING))
        .find_map(|one| one.get("value").value().as_bool());
    let is_on = said.or(against.config.map(ProjectConfig::bot_filtering)).unwrap_or(false);
    if !is_on {
        return;
    }
    for attribute in attributes.items().filter(|one| is(one, USER_AGENT)) {
        let value = attribute.get("value");
        if value.value().as_str().is_some_and(is_bot) {
            found.add_with(ProblemKind::UserAgentOfABot, |kind| {
                value.problem(kind, in_words(&value.found()), FIX)
            });
        }
    }
}

/// The same of an event that was made of a datafile.
pub(super) fn warning_of(event: &UserEvent) -> Option<Problem> {
    if !event.context().bot_filtering() {
        return None;
    }
    let agent = event.text_of_attribute(USER_AGENT).filter(|agent| is_bot(agent))?;
    let problem = in_words(&format!("string {}", quote(&agent)));
    Some(Problem::new(ProblemKind::UserAgentOfABot, format!("attributes.{USER_AGENT}"), problem, FIX))
}

fn in_words(found: &str) -> String {
    format!("{found} looks like a bot's, and the project leaves bots out of its results")
}

/// Whether this user agent names a bot, or a browser without a window.
fn is_bot(user_agent: &str) -> bool {
    let text = user_agent.to_ascii_lowercase();
    NAMES.iter().any(|name| text.contains(name))
}

fn is(attribute: &Node<'_>, name: &str) -> bool {
    ["key", "entity_id"].into_iter().any(|field| attribute.get(field).value() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_without_a_window_are_told_from_those_with_one() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/119.0.6045.105 Safari/537.36",
                true,
            ),
            (
                "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1",
                true,
            ),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", true),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
                false,
            ),
            (
                "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 Chrome/80.0.3987.99 Mobile Safari/537.36",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(is_bot(agent), expected, "{agent}");
        }
    }
}
