//! What decides whether an event comes in, as far as the event alone tells. What its person said before is known only in
//! the transaction that takes it; see `intake/admission.rs`.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use kit::TenantId;
use prost::Message;
use proto::event::v1::consent_decision::Basis;
use proto::event::v1::event::Body;
use proto::event::v1::{ConsentAnswer, ConsentDecision, ConsentSignals, Context, Event};
use proto::r#type::v1::{Consent, ConsentState, Identifier};
use sha2::{Digest, Sha256};

use super::country::Country;
use super::policy::{Policy, Unanswered};
use super::signals::{self, Statement};
use super::tables::{Purpose, label};
use crate::domain::instant;
use crate::domain::limits::to_kind;

/// Stands for a person of a tenant: a hash of an identifier, so that who waits is not kept in clear.
pub(crate) type Subject = [u8; 16];

/// An answer to the purpose that is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stated {
    pub(crate) granted: bool,
    pub(crate) decided_us: i64,
}

/// What is known of an event that needs a yes.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    /// The purpose that is required.
    pub(crate) purpose: String,
    /// Whose answer counts: the visitor, and the account when both are named. The first is whom the event waits for.
    pub(crate) subjects: Vec<Subject>,
    /// What the event itself says.
    pub(crate) stated: Option<Stated>,
    /// Whether it comes in whatever was said.
    pub(crate) exempt: bool,
    /// What holds when nobody ever answered.
    pub(crate) unanswered: Unanswered,
    pub(crate) hold_us: i64,
    /// The decision as far as it is made.
    pub(crate) decision: ConsentDecision,
}

/// What signals said beside the consents they stated.
#[derive(Debug, Default)]
pub(crate) struct Said {
    bases: Vec<Basis>,
    denied_before_answer: Vec<Purpose>,
}

/// Adds what the event's signals say to its consents.
pub(crate) fn state(event: &mut Event, policy: &Policy) -> Said {
    let mut said = Said::default();
    if !event.consents.is_empty() {
        said.bases.push(Basis::Event);
    }
    let Some(signals) = event.context.as_ref().and_then(|context| context.consent_signals.as_ref()) else {
        return said;
    };
    let reading = match whole_answer(event, signals, policy) {
        Some(signals) => signals::read(&signals, policy),
        None => signals::read(signals, policy),
    };
    said.denied_before_answer = reading.denied_before_answer;
    // Of several signals the refusal counts.
    let mut answers: BTreeMap<Purpose, Statement> = BTreeMap::new();
    for statement in reading.statements {
        if !said.bases.contains(&statement.basis) {
            said.bases.push(statement.basis);
        }
        match answers.get(&statement.purpose) {
            Some(known) if statement.granted || !known.granted => {}
            _ => {
                answers.insert(statement.purpose.clone(), statement);
            }
        }
    }
    for (purpose, statement) in answers {
        let state = if statement.granted { ConsentState::Granted } else { ConsentState::Denied };
        let known = |consent: &Consent| {
            consent.purpose == purpose.name && consent.channel == purpose.channel && consent.state() == state
        };
        if !event.consents.iter().any(known) {
            event.consents.push(Consent {
                purpose: purpose.name.into_owned(),
                channel: purpose.channel.into_owned(),
                state: state.into(),
                decided_time: None,
                proof: statement.proof,
            });
        }
    }
    said
}

/// Segment's own consent event states a whole answer: the categories of the tenant that it does not mention are denied.
fn whole_answer(event: &Event, signals: &ConsentSignals, policy: &Policy) -> Option<ConsentSignals> {
    if policy.categories.is_empty() || !event.name.eq_ignore_ascii_case("Segment Consent Preference Updated") {
        return None;
    }
    let mut whole = signals.clone();
    for category in &policy.categories {
        if !signals.categories.iter().any(|answer| to_kind(&answer.id) == to_kind(category)) {
            whole.categories.push(ConsentAnswer { id: category.clone(), state: ConsentState::Denied.into() });
        }
    }
    Some(whole)
}

/// Decides as far as the event alone allows. Returns the gate of an event that needs a yes; of any other the decision
/// stands in its context already.
pub(crate) fn decide(event: &mut Event, said: Said, policy: &Policy, tenant: &TenantId) -> Option<Box<Gate>> {
    let country = country(event, policy);
    let mut decision = ConsentDecision {
        policy_version: policy.version,
        country: country.as_ref().map(Country::as_str).unwrap_or_default().to_owned(),
        ..ConsentDecision::default()
    };
    decision.bases = said.bases.iter().map(|basis| i32::from(*basis)).collect();
    tell_purposes(&mut decision, &event.consents);
    if policy.required.is_empty() {
        if decision.bases.is_empty() {
            decision.bases.push(Basis::Default.into());
        }
        event.context.get_or_insert_default().consent_decision = Some(decision);
        return None;
    }
    // What a sender claims was decided is not.
    if let Some(context) = &mut event.context {
        context.consent_decision = None;
    }
    decision.required_purpose.clone_from(&policy.required);
    let subjects = subjects(event, tenant);
    let mut unanswered = policy.unanswered(country);
    let denied_before = said.denied_before_answer.iter().any(|purpose| purpose.name == policy.required);
    if denied_before && unanswered == Unanswered::Grant {
        unanswered = Unanswered::Deny;
    }
    Some(Box::new(Gate {
        purpose: policy.required.clone(),
        stated: stated(&event.consents, &policy.required),
        exempt: subjects.is_empty() || is_exempt(event) || policy.exempts(&event.name),
        subjects,
        unanswered,
        hold_us: policy.hold_us,
        decision,
    }))
}

/// Decides again over an event that waits, by the policy that is in force by now. What its signals say is read by that
/// policy too; what was read before stays.
pub(crate) fn decide_again(
    event: &mut Event,
    before: &ConsentDecision,
    policy: &Policy,
    tenant: &TenantId,
) -> Option<Box<Gate>> {
    let mut said = state(event, policy);
    // The consents that it states may all have been read from its signals.
    said.bases.retain(|basis| *basis != Basis::Event);
    for basis in before.bases() {
        if !said.bases.contains(&basis) {
            said.bases.push(basis);
        }
    }
    decide(event, said, policy, tenant)
}

/// What becomes of an event that needs a yes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// It comes in, with this decision.
    In(ConsentDecision),
    /// It is not kept.
    Denied,
    /// Its person is to be asked.
    Ask,
}

impl Gate {
    /// Decides, given what its people answered last.
    pub(crate) fn outcome(&self, remembered: impl FnOnce() -> Option<Stated>) -> Outcome {
        if self.exempt {
            return Outcome::In(self.decision(Some(Basis::Exempt)));
        }
        let (stated, basis) = match self.stated {
            Some(stated) => (Some(stated), None),
            None => (remembered(), Some(Basis::Remembered)),
        };
        match (stated, self.unanswered) {
            (Some(Stated { granted: true, .. }), _) => Outcome::In(self.decision(basis)),
            (Some(_), _) | (None, Unanswered::Deny) => Outcome::Denied,
            (None, Unanswered::Grant) => Outcome::In(self.decision(Some(Basis::Default))),
            (None, Unanswered::Ask) => Outcome::Ask,
        }
    }

    /// Returns the decision with what it rests on in the end.
    pub(crate) fn decision(&self, basis: Option<Basis>) -> ConsentDecision {
        let mut decision = self.decision.clone();
        decision.bases.extend(basis.map(i32::from));
        decision
    }
}

/// Adds a decision to an event that is serialised already: of a message that stands twice, protobuf makes one.
pub(crate) fn stamp(payload: &[u8], decision: ConsentDecision) -> Bytes {
    let context = Context { consent_decision: Some(decision), ..Context::default() };
    let addition = Event { context: Some(context), ..Event::default() };
    let mut stamped = BytesMut::with_capacity(payload.len() + addition.encoded_len());
    stamped.put_slice(payload);
    addition.encode(&mut stamped).expect("the buffer grows");
    stamped.freeze()
}

/// The event's own word, else that of its address, else the policy's.
fn country(event: &Event, policy: &Policy) -> Option<Country> {
    let context = event.context.as_ref();
    let told = context.and_then(|context| context.location.as_ref()).and_then(|place| Country::parse(&place.country));
    let found = || context.and_then(|context| context.geography.as_ref()).and_then(|geo| Country::parse(&geo.country));
    told.or_else(found).or(policy.default_country)
}

fn tell_purposes(decision: &mut ConsentDecision, consents: &[Consent]) {
    let mut answers: BTreeMap<String, bool> = BTreeMap::new();
    for consent in consents {
        let granted = consent.state() == ConsentState::Granted;
        *answers.entry(label(&consent.purpose, &consent.channel)).or_insert(granted) &= granted;
    }
    for (purpose, granted) in answers {
        let told = if granted { &mut decision.granted_purposes } else { &mut decision.denied_purposes };
        told.push(purpose);
    }
}

/// Returns the newest answer to a purpose, on every channel or on the site; of two at one instant the refusal.
fn stated(consents: &[Consent], required: &str) -> Option<Stated> {
    consents
        .iter()
        .filter(|consent| consent.purpose == required && matches!(consent.channel.as_str(), "" | "site"))
        .map(|consent| Stated {
            granted: consent.state() == ConsentState::Granted,
            decided_us: consent.decided_time.as_ref().and_then(|time| instant::from_timestamp(time).ok()).unwrap_or(0),
        })
        .max_by_key(|stated| (stated.decided_us, !stated.granted))
}

/// Whether the law itself asks for the event, or it names nobody: an answer, an order, what became of a message.
fn is_exempt(event: &Event) -> bool {
    matches!(
        event.body,
        Some(Body::ConsentChanged(_) | Body::ContextSignal(_) | Body::OrderActivity(_) | Body::MessageActivity(_))
    )
}

fn subjects(event: &Event, tenant: &TenantId) -> Vec<Subject> {
    let of_kind = |kind: &str| event.identifiers.iter().find(|identifier| identifier.kind == kind);
    let mut named: Vec<&Identifier> = [of_kind("anonymous_id"), of_kind("user_id")].into_iter().flatten().collect();
    if named.is_empty() {
        named.extend(event.identifiers.first());
    }
    named.into_iter().map(|identifier| subject(tenant, identifier)).collect()
}

fn subject(tenant: &TenantId, identifier: &Identifier) -> Subject {
    let mut hasher = Sha256::new();
    for part in ["consent", tenant.as_str(), &identifier.kind, &identifier.value] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest: [u8; 32] = hasher.finalize().into();
    *digest.first_chunk().expect("a digest has 32 bytes")
}

#[cfg(test)]
mod tests {
    use proto::event::v1::{Custom, Geography, Location, OrderActivity};
    use proto::ingestion::v1::consent_mapping::Vocabulary;
    use proto::ingestion::v1::{ConsentDefault, ConsentMapping, ConsentPolicy, CountryDefault};

    use super::*;

    fn policy() -> Policy {
        let europe = CountryDefault { countries: vec!["EU".into()], action: ConsentDefault::Ask.into() };
        Policy::new(&ConsentPolicy {
            version: 3,
            required_purpose: "analytics".into(),
            defaults: vec![europe],
            exempt_events: vec!["Service Called".into()],
            default_country: "US".into(),
            ..ConsentPolicy::default()
        })
    }

    fn event() -> Event {
        let identifier = |kind: &str| Identifier { kind: kind.into(), value: "x".into() };
        Event {
            name: "Wheel Spun".into(),
            identifiers: vec![identifier("user_id"), identifier("anonymous_id"), identifier("email")],
            body: Some(Body::Custom(Custom {})),
            ..Event::default()
        }
    }

    fn with_categories(answers: &[(&str, bool)]) -> Event {
        let categories = answers.iter().map(|(id, granted)| ConsentAnswer {
            id: (*id).into(),
            state: if *granted { ConsentState::Granted } else { ConsentState::Denied }.into(),
        });
        let signals = ConsentSignals { categories: categories.collect(), ..ConsentSignals::default() };
        Event { context: Some(Context { consent_signals: Some(signals), ..Context::default() }), ..event() }
    }

    fn gate(mut event: Event) -> Box<Gate> {
        let said = state(&mut event, &policy());
        decide(&mut event, said, &policy(), &"shop".try_into().unwrap()).expect("the policy requires a purpose")
    }

    #[test]
    fn who_said_nothing_is_judged_by_country() {
        let at = |said: &str, found: &str| Context {
            location: Some(Location { country: said.into(), ..Location::default() }),
            geography: Some(Geography { country: found.into(), ..Geography::default() }),
            ..Context::default()
        };
        for (context, country, unanswered) in [
            (None, "US", Unanswered::Grant),
            (Some(at("FR", "US")), "FR", Unanswered::Ask),
            (Some(at("", "DE")), "DE", Unanswered::Ask),
            (Some(at("France", "CA")), "CA", Unanswered::Grant),
        ] {
            let gate = gate(Event { context, ..event() });
            assert_eq!((gate.decision.country.as_str(), gate.unanswered), (country, unanswered));
            assert_eq!((gate.subjects.len(), gate.stated, gate.exempt), (2, None, false));
        }
    }

    #[test]
    fn what_the_event_states_is_told_with_its_bases() {
        let gate = gate(with_categories(&[("Analytics", true), ("Performance", false), ("Marketing SMS", true)]));

        assert_eq!(gate.stated.map(|stated| stated.granted), Some(false), "the refusal counts");
        assert_eq!(gate.decision.granted_purposes, ["marketing/sms"]);
        assert_eq!(gate.decision.denied_purposes, ["analytics"]);
        assert_eq!(gate.decision.bases().collect::<Vec<_>>(), [Basis::Categories]);
        assert_eq!(gate.decision.policy_version, 3);
    }

    #[test]
    fn what_a_whole_answer_does_not_mention_is_denied() {
        let mapping = |id: &str| ConsentMapping {
            vocabulary: Vocabulary::Category.into(),
            id: id.into(),
            purpose: id.into(),
            channel: String::new(),
        };
        let mappings = vec![mapping("analytics"), mapping("support")];
        let policy = Policy::new(&ConsentPolicy { mappings, ..ConsentPolicy::default() });
        let answers = |mut event: Event| {
            state(&mut event, &policy);
            event.consents.iter().map(|one| (one.purpose.clone(), one.state())).collect::<Vec<_>>()
        };
        let yes = ("analytics".to_owned(), ConsentState::Granted);

        let partly = with_categories(&[("Analytics", true)]);
        assert_eq!(answers(partly.clone()), std::slice::from_ref(&yes));
        let whole = Event { name: "Segment Consent Preference Updated".into(), ..partly };
        assert_eq!(answers(whole), [yes, ("support".to_owned(), ConsentState::Denied)]);
    }

    #[test]
    fn orders_and_what_the_tenant_names_are_taken_always() {
        assert!(gate(Event { body: Some(Body::OrderActivity(OrderActivity::default())), ..event() }).exempt);
        assert!(gate(Event { name: "service called".into(), ..event() }).exempt);
        assert!(gate(Event { identifiers: Vec::new(), ..event() }).exempt);
    }

    #[test]
    fn a_decision_is_added_to_what_is_serialised() {
        let kept = Context { locale: "fr".into(), ..Context::default() };
        let event = Event { context: Some(kept), ..event() };
        let decision = ConsentDecision { policy_version: 7, held: true, ..ConsentDecision::default() };

        let stamped = Event::decode(stamp(&event.encode_to_vec(), decision.clone())).unwrap();

        assert_eq!(stamped.context.as_ref().unwrap().locale, "fr");
        assert_eq!(stamped.identifiers.len(), 3);
        assert_eq!(stamped.context.unwrap().consent_decision, Some(decision));
    }
}
