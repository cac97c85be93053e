//! The fields of a body outside its visitors: whose events these are, and who sends them.

use super::{
    against::Against,
    checks::{optional_bool, optional_text},
    kind::ProblemKind,
    node::Node,
    problem::PartFindings,
    project::check_ids_of_project,
};

const TEXTS: [&str; 5] = ["project_id", "revision", "client_name", "client_version", "region"];
const BOOLS: [&str; 2] = ["anonymize_ip", "enrich_decisions"];

/// Notes what is wrong with the envelope of this body.
pub(super) fn check_envelope(root: &Node<'_>, against: Against<'_>, found: &mut PartFindings) {
    let account = root.get("account_id");
    if account.id().is_none() || account.is_blank() {
        account.expected_id(ProblemKind::AccountIdMissing, "send the datafile's accountId, in quotes", found);
    }
    for key in TEXTS {
        optional_text(&root.get(key), found);
    }
    let project = root.get("project_id");
    // One that is left out is fine; an empty or blank one belongs to nobody.
    if project.is_blank() {
        project.expected_id(
            ProblemKind::ProjectIdEmpty,
            "send the datafile's projectId, in quotes, or leave it out",
            found,
        );
    }
    for key in BOOLS {
        optional_bool(&root.get(key), found);
    }
    if let Some(config) = against.config {
        check_ids_of_project(root, config, found);
    }
}
