//! Are the ids those of the datafile? An id that is left out is not unknown: SDKs report "no variation" so.
//!
//! The revision is not compared: a sender may well have an older or newer datafile of the same project.

use crate::{
    event::RESERVED_PREFIX,
    project::{Experiment, ProjectConfig},
};

use super::{
    kind::ProblemKind,
    node::{Node, quote},
    problem::PartFindings,
};

/// The type of attributes that a project defines. Others, such as `location`, identify themselves.
pub(super) const CUSTOM: &str = "custom";

const RENEW: &str = "look it up in the datafile, or give the collector the datafile that the sender has";

/// Notes where account or project are not the datafile's.
pub(super) fn check_ids_of_project(root: &Node<'_>, config: &ProjectConfig, found: &mut PartFindings) {
    let account = (ProblemKind::AccountNotInDatafile, "account_id", config.account_id());
    let project = (ProblemKind::ProjectNotInDatafile, "project_id", config.project_id());
    for (kind, key, ours) in [account, project] {
        let node = root.get(key);
        let Some(theirs) = node.id().filter(|theirs| *theirs != ours) else { continue };
        found.add_with(kind, |kind| {
            node.problem(
                kind,
                format!("{} is not the datafile's, which is {}", quote(theirs), quote(ours)),
                "send events of this project only, or give the collector the sender's datafile",
            )
        });
    }
}

/// Notes where a custom attribute is not in the datafile, or goes by another key there. Reserved ones are not listed.
pub(super) fn check_attribute(attribute: &Node<'_>, config: &ProjectConfig, found: &mut PartFindings) {
    let (entity, key) = (attribute.get("entity_id"), attribute.get("key"));
    let (Some(id), Some(name)) = (entity.id(), key.id()) else { return };
    if attribute.get("type").value() != CUSTOM || id.starts_with(RESERVED_PREFIX) {
        return;
    }
    match config.attribute_by_id(id) {
        None => unknown(ProblemKind::AttributeUnknown, &entity, "attribute", found),
        Some(known) if known.key() != name => found.add_with(ProblemKind::AttributeUnknown, |kind| {
            let problem = format!("{} is not the key of attribute {id}: {}", key.found(), quote(known.key()));
            key.problem(kind, problem, RENEW)
        }),
        Some(_) => {}
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
        unknown(ProblemKind::ExperimentUnknown, &experiment, "experiment", found);
        check_campaign_alone(&campaign, config, found);
        return;
    };
    check_campaign_of(&campaign, known, found);
    let variation = decision.get("variation_id");
    if variation.id().is_some_and(|id| known.variation_by_id(id).is_none()) {
        wrong_variation(&variation, known, config, found);
    }
}

/// Notes where a conversion's event is not in the datafile, or goes by another key there. Its id alone will do.
pub(super) fn check_conversion(event: &Node<'_>, config: &ProjectConfig, found: &mut PartFindings) {
    let (entity, key) = (event.get("entity_id"), event.get("key"));
    let Some(known) = entity.id().and_then(|id| config.event_by_id(id)) else {
        unknown(ProblemKind::EventUnknown, &entity, "event", found);
        return;
    };
    if key.id().is_some_and(|key| key != known.key()) {
        found.add_with(ProblemKind::EventKeyWrong, |kind| {
            let problem =
                format!("{} is not the key of event {}: {}", key.found(), known.id(), quote(known.key()));
            key.problem(kind, problem, RENEW)
        });
    }
}

fn check_campaign_of(campaign: &Node<'_>, experiment: &Experiment, found: &mut PartFindings) {
    let ours = experiment.campaign_id();
    if campaign.id().is_some_and(|id| id != ours) {
        found.add_with(ProblemKind::CampaignOfAnotherExperiment, |kind| {
            let of = format!("the campaign of experiment {}: {}", quote(experiment.key()), quote(ours));
            campaign.problem(kind, format!("{} is not {of}", campaign.found()), RENEW)
        });
    }
}

fn check_campaign_alone(campaign: &Node<'_>, config: &ProjectConfig, found: &mut PartFindings) {
    let Some(id) = campaign.id() else { return };
    if !config.experiments().iter().any(|experiment| experiment.campaign_id() == id) {
        unknown(ProblemKind::CampaignUnknown, campaign, "campaign", found);
    }
}

/// One that another experiment has, or none.
fn wrong_variation(
    variation: &Node<'_>,
    experiment: &Experiment,
    config: &ProjectConfig,
    found: &mut PartFindings,
) {
    let of = quote(experiment.key());
    let owner = variation
        .id()
        .and_then(|id| config.experiments().iter().find(|other| other.variation_by_id(id).is_some()));
    let Some(owner) = owner else {
        unknown(ProblemKind::VariationUnknown, variation, &format!("variation of experiment {of}"), found);
        return;
    };
    found.add_with(ProblemKind::VariationOfAnotherExperiment, |kind| {
        let owner = quote(owner.key());
        let problem = format!("{} is a variation of experiment {owner}, not of {of}", variation.found());
        variation.problem(kind, problem, "send the experiment and the variation of the same decision")
    });
}

fn unknown(kind: ProblemKind, node: &Node<'_>, what: &str, found: &mut PartFindings) {
    found.add_with(kind, |kind| {
        node.problem(kind, format!("{} is no {what} of the datafile", node.found()), RENEW)
    });
}
