//! Are the ids those of the datafile? An id that is left out is not unknown: SDKs report "no variation" so.
//!
//! The revision is not compared: a sender may well have an older or newer datafile of the same project.

use crate::project::{Experiment, ProjectConfig};

use super::node::{Node, quote};
use super::problem::PartFindings;

const RENEW: &str = "look it up in the datafile, or give the collector the datafile that the sender has";

/// Notes where account or project are not the datafile's.
pub(super) fn check_ids_of_project(root: &Node<'_>, config: &ProjectConfig, found: &mut PartFindings) {
    for (key, ours) in [("account_id", config.account_id()), ("project_id", config.project_id())] {
        let node = root.get(key);
        let Some(theirs) = node.id().filter(|theirs| *theirs != ours) else { continue };
        found.add_with(|| {
            node.problem(
                format!("{} is not the datafile's, which is {}", quote(theirs), quote(ours)),
                "send events of this project only, or give the collector the sender's datafile",
            )
        });
    }
}

/// Notes what of a decision is not in the datafile.
pub(super) fn check_decision(decision: &Node<'_>, config: &ProjectConfig, found: &mut PartFindings) {
    let (campaign, experiment) = (decision.get("campaign_id"), decision.get("experiment_id"));
    let Some(id) = experiment.id() else {
        check_campaign_alone(&campaign, config, found);
        return;
    };
    let Some(known) = config.experiment_by_id(id) else {
        unknown(&experiment, "experiment", found);
        check_campaign_alone(&campaign, config, found);
        return;
    };
    check_campaign_of(&campaign, known, found);
    let variation = decision.get("variation_id");
    if variation.id().is_some_and(|id| known.variation_by_id(id).is_none()) {
        unknown(&variation, &format!("variation of experiment {}", quote(known.key())), found);
    }
}

/// Notes where a conversion's event is not in the datafile, or goes by another key there. Its id alone will do.
pub(super) fn check_conversion(event: &Node<'_>, config: &ProjectConfig, found: &mut PartFindings) {
    let (entity, key) = (event.get("entity_id"), event.get("key"));
    let Some(known) = entity.id().and_then(|id| config.event_by_id(id)) else {
        unknown(&entity, "event", found);
        return;
    };
    if key.id().is_some_and(|key| key != known.key()) {
        found.add_with(|| {
            let problem =
                format!("{} is not the key of event {}: {}", key.found(), known.id(), quote(known.key()));
            key.problem(problem, RENEW)
        });
    }
}

fn check_campaign_of(campaign: &Node<'_>, experiment: &Experiment, found: &mut PartFindings) {
    let ours = experiment.campaign_id();
    if campaign.id().is_some_and(|id| id != ours) {
        found.add_with(|| {
            let of = format!("the campaign of experiment {}: {}", quote(experiment.key()), quote(ours));
            campaign.problem(format!("{} is not {of}", campaign.found()), RENEW)
        });
    }
}

fn check_campaign_alone(campaign: &Node<'_>, config: &ProjectConfig, found: &mut PartFindings) {
    let Some(id) = campaign.id() else { return };
    if !config.experiments().iter().any(|experiment| experiment.campaign_id() == id) {
        unknown(campaign, "campaign", found);
    }
}

fn unknown(node: &Node<'_>, kind: &str, found: &mut PartFindings) {
    found.add_with(|| node.problem(format!("{} is no {kind} of the datafile", node.found()), RENEW));
}
