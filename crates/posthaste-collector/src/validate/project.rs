//! Are the ids those of the datafile? An id that is left out is not unknown: SDKs report "no variation" so.
//!
//! The revision is not compared: a sender may well have an older or newer datafile of the same project.

use posthaste::{Experiment, ProjectConfig};

use super::node::{Node, quote};
use crate::problem::RecordProblems;

const RENEW: &str = "look it up in the datafile, or give the collector the datafile that the sender has";

/// Notes where account or project are not the datafile's.
pub(super) fn check_ids_of_project(root: &Node<'_>, config: &ProjectConfig, problems: &mut RecordProblems) {
    for (key, ours) in [("account_id", config.account_id()), ("project_id", config.project_id())] {
        let node = root.get(key);
        let Some(theirs) = node.id().filter(|theirs| *theirs != ours) else { continue };
        problems.add_with(|| {
            node.problem(
                format!("{} is not the datafile's, which is {}", quote(theirs), quote(ours)),
                "send events of this project only, or give the collector the sender's datafile",
            )
        });
    }
}

/// Notes what of a decision is not in the datafile.
pub(super) fn check_decision(decision: &Node<'_>, config: &ProjectConfig, problems: &mut RecordProblems) {
    let (campaign, experiment) = (decision.get("campaign_id"), decision.get("experiment_id"));
    let Some(id) = experiment.id() else {
        check_campaign_alone(&campaign, config, problems);
        return;
    };
    let Some(known) = config.experiment_by_id(id) else {
        unknown(&experiment, "experiment", problems);
        check_campaign_alone(&campaign, config, problems);
        return;
    };
    check_campaign_of(&campaign, known, problems);
    let variation = decision.get("variation_id");
    if variation.id().is_some_and(|id| known.variation_by_id(id).is_none()) {
        unknown(&variation, &format!("variation of experiment {}", quote(known.key())), problems);
    }
}

/// Notes where a conversion's event is not in the datafile, or goes by another key there.
pub(super) fn check_conversion(event: &Node<'_>, config: &ProjectConfig, problems: &mut RecordProblems) {
    let (entity, key) = (event.get("entity_id"), event.get("key"));
    let Some(known) = entity.id().and_then(|id| config.event_by_id(id)) else {
        unknown(&entity, "event", problems);
        return;
    };
    if key.id().is_none_or(|key| key != known.key()) {
        problems.add_with(|| {
            let problem =
                format!("{} is not the key of event {}: {}", key.found(), known.id(), quote(known.key()));
            key.problem(problem, RENEW)
        });
    }
}

/// A holdout has no campaign of its own and goes by its experiment's id.
fn campaign_id(experiment: &Experiment) -> &str {
    if experiment.layer_id().is_empty() { experiment.id() } else { experiment.layer_id() }
}

fn check_campaign_of(campaign: &Node<'_>, experiment: &Experiment, problems: &mut RecordProblems) {
    let ours = campaign_id(experiment);
    if campaign.id().is_some_and(|id| id != ours) {
        problems.add_with(|| {
            let of = format!("the campaign of experiment {}: {}", quote(experiment.key()), quote(ours));
            campaign.problem(format!("{} is not {of}", campaign.found()), RENEW)
        });
    }
}

fn check_campaign_alone(campaign: &Node<'_>, config: &ProjectConfig, problems: &mut RecordProblems) {
    let Some(id) = campaign.id() else { return };
    if !config.experiments().iter().any(|experiment| campaign_id(experiment) == id) {
        unknown(campaign, "campaign", problems);
    }
}

fn unknown(node: &Node<'_>, kind: &str, problems: &mut RecordProblems) {
    problems.add_with(|| node.problem(format!("{} is no {kind} of the datafile", node.found()), RENEW));
}
