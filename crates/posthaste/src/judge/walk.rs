//! Walks a body from the envelope to its events, and hands out each event with what is wrong with it.

use std::ops::ControlFlow;

use serde_json::Value;

use super::{
    EVENTS_PER_BODY_MAX,
    against::Against,
    checks::{list, object, once},
    doubled::Doubled,
    envelope::check_envelope,
    event::{check_decisions, check_event, check_events, decision_of, is_impression},
    kind::ProblemKind,
    node::Node,
    problem::{BodyFindings, PartFindings, Problem},
    visitor::check_visitor,
};

/// An event of a body, or the smallest part around a fault that no event stands beneath.
#[derive(Debug)]
#[non_exhaustive]
pub struct Part<'a> {
    /// The body.
    pub body: &'a Value,
    /// The visitor that it belongs to; none where the fault is above.
    pub visitor: Option<&'a Value>,
    /// The snapshot that it belongs to; none where the fault is above.
    pub snapshot: Option<&'a Value>,
    /// The event or the part itself.
    pub value: &'a Value,
    /// Whether it is an impression.
    pub is_impression: bool,
    /// The decision that it reports, where it is an impression and lists one.
    pub decision: Option<&'a Value>,
    /// What is wrong with it, and with what it stands beneath; empty for a good event. At most
    /// [`PROBLEMS_PER_PART_MAX`](super::PROBLEMS_PER_PART_MAX).
    pub problems: Vec<Problem>,
    /// What is odd and does no harm by itself, likewise.
    pub warnings: Vec<Problem>,
}

/// A walk ended before its end: whoever is handed the parts wants no more, or there are more than
/// [`EVENTS_PER_BODY_MAX`].
pub(super) struct Ended;

/// Walks a body, and gives what it has found in all of it, each once.
pub(super) fn walk<'a>(
    root: &'a Value,
    doubled: &'a Doubled,
    against: Against<'a>,
    take: &'a mut dyn FnMut(Part<'_>) -> ControlFlow<()>,
) -> Result<BodyFindings, Ended> {
    let mut walk = Walk { doubled, against, take, parts: 0, found: BodyFindings::default() };
    walk.body(&Node::root(root))?;
    Ok(walk.found)
}

struct Walk<'a> {
    doubled: &'a Doubled,
    against: Against<'a>,
    take: &'a mut dyn FnMut(Part<'_>) -> ControlFlow<()>,
    parts: usize,
    found: BodyFindings,
}

/// Where in the body the walk is.
#[derive(Clone, Copy)]
struct Place<'a> {
    root: &'a Node<'a>,
    visitor: Option<&'a Node<'a>>,
    snapshot: Option<&'a Node<'a>>,
}

impl Walk<'_> {
    fn body(&mut self, root: &Node<'_>) -> Result<(), Ended> {
        let place = Place { root, visitor: None, snapshot: None };
        let mut found = PartFindings::default();
        let mut is_readable =
            object(root, ProblemKind::NotABatch, "send an object with account_id and visitors", &mut found);
        let visitors = root.get("visitors");
        if is_readable {
            check_envelope(root, self.against, &mut found);
            is_readable =
                list(&visitors, ProblemKind::NotABatch, "list the visitors, one for each event", &mut found)
                    && once(&visitors, self.doubled.visitors(), &mut found);
        }
        self.found.extend(&found);
        if !is_readable {
            return self.hand_out(place, root, found);
        }
        let mut all = visitors.items().enumerate();
        all.try_for_each(|(at, visitor)| self.visitor(place, at, &visitor, &found))?;
        if self.parts == 0 && found.is_good() {
            let nothing = "holds no events: there is nothing in it to count";
            let mut empty = PartFindings::default();
            empty.add_with(ProblemKind::NoEvents, |kind| {
                root.problem(kind, nothing, "send a body only where there are events")
            });
            self.found.extend(&empty);
            return self.hand_out(place, root, empty);
        }
        self.hand_out_if_nothing_beneath(0, place, root, found)
    }

    fn visitor(
        &mut self,
        place: Place<'_>,
        at: usize,
        visitor: &Node<'_>,
        above: &PartFindings,
    ) -> Result<(), Ended> {
        let place = Place { visitor: Some(visitor), ..place };
        let mut found = PartFindings::default();
        let mut is_readable = object(
            visitor,
            ProblemKind::NotAnObject,
            "send visitor_id, attributes and snapshots",
            &mut found,
        );
        let snapshots = visitor.get("snapshots");
        if is_readable {
            check_visitor(visitor, self.against, &mut found);
            is_readable =
                list(&snapshots, ProblemKind::NotAList, "list the snapshots, one for each event", &mut found)
                    && once(&snapshots, self.doubled.snapshots_of(at), &mut found);
        }
        self.found.extend(&found);
        let all = joined(above, &found);
        if !is_readable {
            return self.hand_out(place, visitor, all);
        }
        let before = self.parts;
        let mut beneath = snapshots.items().enumerate();
        beneath.try_for_each(|(snapshot_at, snapshot)| {
            self.snapshot(place, (at, snapshot_at), &snapshot, &all)
        })?;
        self.hand_out_if_nothing_beneath(before, place, visitor, found)
    }

    fn snapshot(
        &mut self,
        place: Place<'_>,
        (visitor_at, at): (usize, usize),
        snapshot: &Node<'_>,
        above: &PartFindings,
    ) -> Result<(), Ended> {
        let place = Place { snapshot: Some(snapshot), ..place };
        let mut found = PartFindings::default();
        let is_readable = check_events(snapshot, &mut found)
            && once(&snapshot.get("events"), self.doubled.events_of(visitor_at, at), &mut found);
        check_decisions(snapshot, self.against, &mut found);
        self.found.extend(&found);
        let all = joined(above, &found);
        if !is_readable {
            return self.hand_out(place, snapshot, all);
        }
        let before = self.parts;
        snapshot.get("events").items().try_for_each(|event| self.event(place, &event, &all))?;
        self.hand_out_if_nothing_beneath(before, place, snapshot, found)
    }

    fn event(&mut self, place: Place<'_>, event: &Node<'_>, above: &PartFindings) -> Result<(), Ended> {
        let mut found = PartFindings::default();
        if let Some(snapshot) = place.snapshot {
            check_event(event, snapshot, self.against, &mut found);
        }
        self.found.extend(&found);
        self.hand_out(place, event, joined(above, &found))
    }

    /// A fault that no event stands beneath would be told nowhere: the part itself is then handed out.
    fn hand_out_if_nothing_beneath(
        &mut self,
        parts_before: usize,
        place: Place<'_>,
        part: &Node<'_>,
        found: PartFindings,
    ) -> Result<(), Ended> {
        if found.is_good() || self.parts > parts_before {
            return Ok(());
        }
        self.hand_out(place, part, found)
    }

    fn hand_out(&mut self, place: Place<'_>, part: &Node<'_>, found: PartFindings) -> Result<(), Ended> {
        if self.parts == EVENTS_PER_BODY_MAX {
            return Err(Ended);
        }
        self.parts += 1;
        let is_impression = is_impression(part);
        let decisions = place.snapshot.filter(|_| is_impression).map(|snapshot| snapshot.get("decisions"));
        let (problems, warnings) = found.into_lists();
        let part = Part {
            body: place.root.value(),
            visitor: place.visitor.map(Node::value),
            snapshot: place.snapshot.map(Node::value),
            value: part.value(),
            is_impression,
            decision: decisions.as_ref().and_then(|all| decision_of(part, all).map(|one| one.value())),
            problems,
            warnings,
        };
        if (self.take)(part).is_break() { Err(Ended) } else { Ok(()) }
    }
}

fn joined(above: &PartFindings, found: &PartFindings) -> PartFindings {
    let mut all = above.clone();
    all.extend(found);
    all
}
