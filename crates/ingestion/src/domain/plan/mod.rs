//! Tracking plans: what a source is expected to send, and what of an event breaks that.
//!
//! A plan is compiled once for each of its versions. It looks at one document of an event ([`document`]), whatever door
//! the event came through, so that trying a plan on the log finds what the door would have found.

mod check;
mod document;
mod draft;
mod schema;

use std::collections::HashMap;
use std::fmt;

use proto::event::v1::Event;
use proto::ingestion::v1::TrackingPlan;
use proto::ingestion::v1::tracking_plan::Mode as WireMode;

pub(crate) use self::check::{Finding, is_plain};
#[cfg(test)]
pub(crate) use self::document::document;
pub(crate) use self::draft::Draft;
use self::schema::{Budget, Schema};
use super::limits::MAX_NAME_CHARS;
use super::problem::{Problem, Reason};

/// Most rules of one plan.
const MAX_RULES: usize = 500;
/// Largest plan: its schemas together, in bytes.
pub(crate) const MAX_PLAN_BYTES: usize = 1 << 20;

/// A plan, compiled.
pub(crate) struct Plan {
    pub(crate) version: u64,
    mode: Mode,
    unplanned: Mode,
    rules: HashMap<String, Schema>,
}

/// What becomes of an event that breaks a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    #[default]
    Off,
    Warn,
    Quarantine,
}

/// What of one event breaks a plan. Holds no values of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) event_name: String,
    pub(crate) library: String,
    pub(crate) found: Vec<Finding>,
}

impl Mode {
    pub(crate) fn from_wire(mode: WireMode) -> Self {
        match mode {
            WireMode::Unspecified | WireMode::Off => Self::Off,
            WireMode::Warn => Self::Warn,
            WireMode::Quarantine => Self::Quarantine,
        }
    }
}

impl Plan {
    /// Compiles a plan. Reports all that is wrong with it, as (field, what must be).
    pub(crate) fn compile(plan: &TrackingPlan) -> Result<Self, Vec<(String, String)>> {
        let mut problems = Vec::new();
        let bytes: usize = plan.rules.iter().map(|rule| rule.schema_json.len() + rule.event_name.len()).sum();
        if plan.rules.len() > MAX_RULES {
            problems.push(("plan.rules".to_owned(), format!("must be at most {MAX_RULES}")));
        } else if bytes > MAX_PLAN_BYTES {
            problems.push(("plan.rules".to_owned(), format!("must be at most {MAX_PLAN_BYTES} bytes together")));
        }
        for (field, mode) in [("plan.mode", plan.mode), ("plan.unplanned_mode", plan.unplanned_mode)] {
            if WireMode::try_from(mode).is_err() {
                problems.push((field.to_owned(), "must be a known value".to_owned()));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }

        let mut budget = Budget::of_plan();
        let mut rules = HashMap::new();
        for (index, rule) in plan.rules.iter().enumerate() {
            let name = &rule.event_name;
            let is_name = (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.contains('\0');
            if !is_name {
                let rule = format!("must be 1 to {MAX_NAME_CHARS} characters");
                problems.push((format!("plan.rules[{index}].event_name"), rule));
            }
            match Schema::compile(&rule.schema_json, &mut budget) {
                Ok(schema) => {
                    if rules.insert(name.clone(), schema).is_some() {
                        let rule = "must not be named twice".to_owned();
                        problems.push((format!("plan.rules[{index}].event_name"), rule));
                    }
                }
                Err(faults) => {
                    let field = format!("plan.rules[{index}].schema_json");
                    problems.extend(faults.into_iter().map(|fault| (field.clone(), fault)));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            version: plan.version,
            mode: Mode::from_wire(plan.mode()),
            unplanned: Mode::from_wire(plan.unplanned_mode()),
            rules,
        })
    }

    /// Whether it looks at any event.
    pub(crate) fn is_on(&self) -> bool {
        self.mode != Mode::Off || self.unplanned != Mode::Off
    }

    /// Looks at an event: returns what breaks the plan in an event that is to be accepted all the same, or the problem
    /// for which it is to be kept aside.
    pub(crate) fn judge(&self, event: &Event) -> Result<Option<Box<Findings>>, Problem> {
        let known = self.rules.contains_key(&event.name);
        let mode = if known { self.mode } else { self.unplanned };
        if mode == Mode::Off {
            return Ok(None);
        }
        let found = self.find(event);
        let Some(first) = found.first() else { return Ok(None) };
        let message = message(&found, first);
        let library = event.provenance.as_ref().map(|provenance| provenance.library.clone()).unwrap_or_default();
        let findings = Box::new(Findings { event_name: event.name.clone(), library, found });
        if mode == Mode::Warn {
            return Ok(Some(findings));
        }
        let reason = if known { Reason::PlanViolated } else { Reason::UnplannedEvent };
        Err(Problem { findings: Some(findings), ..Problem::new(reason, message) })
    }

    /// Returns what breaks the rule of the event's name, whatever the modes.
    pub(crate) fn find(&self, event: &Event) -> Vec<Finding> {
        match self.rules.get(&event.name) {
            Some(schema) => check::check(schema, &document::document(event)),
            None => vec![Finding { field: String::new(), rule: UNPLANNED }],
        }
    }

    /// Returns the names that have a rule, in order.
    pub(crate) fn event_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.rules.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Whether an event of any other name becomes a dead letter.
    pub(crate) fn quarantines_unplanned(&self) -> bool {
        self.unplanned == Mode::Quarantine
    }

    /// Whether a rule has this name.
    pub(crate) fn plans(&self, event_name: &str) -> bool {
        self.rules.contains_key(event_name)
    }
}

/// The rule that an event without one breaks.
const UNPLANNED: &str = "unplanned";

fn message(found: &[Finding], first: &Finding) -> String {
    if first.rule == UNPLANNED {
        return "the tracking plan has no event of this name".to_owned();
    }
    let field = if first.field.is_empty() { "the properties" } else { &first.field };
    match found.len() {
        1 => format!("{field} breaks `{}` of the tracking plan", first.rule),
        more => format!("{field} breaks `{}` of the tracking plan, and {} more", first.rule, more - 1),
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Plan(version {}, {} rules)", self.version, self.rules.len())
    }
}

#[cfg(test)]
mod tests;
