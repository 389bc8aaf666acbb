//! What a banner said, read into our purposes.

use std::collections::BTreeMap;

use proto::event::v1::ConsentSignals;
use proto::event::v1::consent_decision::Basis;
use proto::ingestion::v1::consent_mapping::Vocabulary;
use proto::r#type::v1::ConsentState;

use super::policy::Policy;
use super::tables::Purpose;
use super::tcf::TcString;
use super::us::OptOuts;
use super::{google, gpp};

/// One answer, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) purpose: Purpose,
    pub(crate) granted: bool,
    pub(crate) basis: Basis,
    pub(crate) proof: String,
}

/// What signals say.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) statements: Vec<Statement>,
    /// What the site denies before the person answered: no answer, but no yes either.
    pub(crate) denied_before_answer: Vec<Purpose>,
    /// What could not be read.
    pub(crate) problems: Vec<&'static str>,
}

/// Reads signals by a policy. What cannot be read counts as not said.
pub(crate) fn read(signals: &ConsentSignals, policy: &Policy) -> Reading {
    let mut reading = Reading::default();
    if !signals.tc_string.is_empty() {
        reading.tcf(&signals.tc_string, Basis::Tcf, policy);
    }
    if !signals.gpp_string.is_empty() {
        reading.gpp(signals, policy);
    }
    if !signals.us_privacy.is_empty() {
        match OptOuts::parse_us_privacy(&signals.us_privacy) {
            Some(opt_outs) => reading.opt_outs(opt_outs, Basis::UsPrivacy, "us_privacy".to_owned(), policy),
            None => reading.problems.push("us_privacy is not a US privacy string of version 1"),
        }
    }
    reading.google(signals, policy);
    reading.categories(signals, policy);
    reading.management(signals, policy);
    reading
}

/// Answers to purposes while one signal is read.
struct Tally {
    answers: BTreeMap<Purpose, bool>,
    /// Whether one yes is enough for a purpose that several things were asked for.
    one_suffices: bool,
}

impl Tally {
    fn new() -> Self {
        Self { answers: BTreeMap::new(), one_suffices: false }
    }

    fn tell(&mut self, purpose: Option<Purpose>, granted: bool) {
        let Some(purpose) = purpose else { return };
        let one_suffices = self.one_suffices;
        let known = self.answers.entry(purpose).or_insert(granted);
        *known = if one_suffices { *known || granted } else { *known && granted };
    }
}

impl Reading {
    fn take(&mut self, tally: Tally, basis: Basis, proof: String) {
        let statement = |(purpose, granted)| Statement { purpose, granted, basis, proof: proof.clone() };
        self.statements.extend(tally.answers.into_iter().map(statement));
    }

    fn tcf(&mut self, text: &str, basis: Basis, policy: &Policy) {
        match policy.tc_strings.recall(text, |text| Self::of_tc_string(text, policy)) {
            Some(said) => self.statements.extend(said.iter().map(|one| Statement { basis, ..one.clone() })),
            None => self.problems.push("tc_string is not a TC string of version 2"),
        }
    }

    fn of_tc_string(text: &str, policy: &Policy) -> Option<Vec<Statement>> {
        let tc_string = TcString::parse(text)?;
        let mut tally = Tally::new();
        for number in 1..=24_u8 {
            let purpose = policy.purpose(Vocabulary::TcfPurpose, &number.to_string());
            if purpose.is_some() {
                tally.tell(purpose, tc_string.allows(number, policy.tcf));
            }
        }
        for number in 1..=12_u8 {
            let purpose = policy.purpose(Vocabulary::TcfSpecialFeature, &number.to_string());
            tally.tell(purpose, tc_string.has_special_feature(number));
        }
        let updated = tc_string.updated_us / 1_000_000;
        let (cmp, list) = (tc_string.cmp_id, tc_string.vendor_list_version);
        let proof = format!("IAB TCF, CMP {cmp}, vendor list {list}, updated at {updated} s since 1970");
        let mut reading = Self::default();
        reading.take(tally, Basis::Tcf, proof);
        Some(reading.statements)
    }

    fn gpp(&mut self, signals: &ConsentSignals, policy: &Policy) {
        let Some(sections) = gpp::sections(&signals.gpp_string) else {
            self.problems.push("gpp_string is not a GPP string of version 1");
            return;
        };
        let applies = |id: u32| {
            let asked = &signals.gpp_section_ids;
            asked.is_empty() || asked.iter().any(|asked| u32::try_from(*asked) == Ok(id))
        };
        for (id, section) in sections.into_iter().filter(|(id, _)| applies(*id)) {
            let opt_outs = match id {
                gpp::TCF_EU => {
                    self.tcf(section, Basis::Gpp, policy);
                    continue;
                }
                gpp::US_PRIVACY => OptOuts::parse_us_privacy(section),
                id => OptOuts::parse_section(id, section),
            };
            match opt_outs {
                Some(opt_outs) => self.opt_outs(opt_outs, Basis::Gpp, format!("IAB GPP, section {id}"), policy),
                None => self.problems.push("a section of gpp_string is broken, or of a kind that is not read"),
            }
        }
    }

    fn opt_outs(&mut self, opt_outs: OptOuts, basis: Basis, proof: String, policy: &Policy) {
        let mut tally = Tally::new();
        for (id, opted_out) in [
            ("sale", opt_outs.sale),
            ("sharing", opt_outs.sharing),
            ("targeted_advertising", opt_outs.targeted_advertising),
            // A browser that sends no signal says nothing.
            ("gpc", opt_outs.gpc.filter(|objected| *objected)),
        ] {
            if let Some(opted_out) = opted_out {
                tally.tell(policy.purpose(Vocabulary::UsOptOut, id), !opted_out);
            }
        }
        self.take(tally, basis, proof);
    }

    fn google(&mut self, signals: &ConsentSignals, policy: &Policy) {
        let Some(google) = &signals.google else { return };
        let mut answers = Vec::new();
        for (text, parse, problem) in [
            (&google.gcs, google::parse_gcs as fn(&str) -> _, "gcs is not of the form G111"),
            (&google.gcd, google::parse_gcd, "gcd is not of the form 11t1t1t1t5"),
        ] {
            match parse(text) {
                Some(read) => answers.extend(read),
                None if text.is_empty() => {}
                None => self.problems.push(problem),
            }
        }
        let mut tally = Tally::new();
        for answer in answers {
            let purpose = policy.purpose(Vocabulary::Google, answer.name);
            match (answer.by_default, answer.granted) {
                (false, granted) => tally.tell(purpose, granted),
                (true, false) => self.denied_before_answer.extend(purpose),
                (true, true) => {}
            }
        }
        for answer in &google.types {
            if let Some(granted) = said(answer.state()) {
                tally.tell(policy.purpose(Vocabulary::Google, &answer.id.to_ascii_lowercase()), granted);
            }
        }
        self.take(tally, Basis::Google, "Google consent mode".to_owned());
    }

    fn categories(&mut self, signals: &ConsentSignals, policy: &Policy) {
        let mut tally = Tally::new();
        for answer in &signals.categories {
            if let Some(granted) = said(answer.state()) {
                tally.tell(policy.purpose(Vocabulary::Category, &answer.id), granted);
            }
        }
        self.take(tally, Basis::Categories, "context.consent.categoryPreferences".to_owned());
    }

    fn management(&mut self, signals: &ConsentSignals, policy: &Policy) {
        let Some(management) = &signals.management else { return };
        let mut tally = Tally::new();
        tally.one_suffices = management.resolution_strategy.eq_ignore_ascii_case("or");
        for (ids, granted) in [(&management.allowed_ids, true), (&management.denied_ids, false)] {
            for id in ids {
                tally.tell(policy.purpose(Vocabulary::Management, id), granted);
            }
        }
        self.take(tally, Basis::Management, "context.consentManagement".to_owned());
    }
}

fn said(state: ConsentState) -> Option<bool> {
    match state {
        ConsentState::Granted => Some(true),
        ConsentState::Denied => Some(false),
        ConsentState::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use proto::event::v1::{ConsentAnswer, ConsentManagement, GoogleConsent};

    use super::*;

    fn answers(signals: &ConsentSignals) -> Vec<(String, bool)> {
        let reading = read(signals, &Policy::default());
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        reading.statements.into_iter().map(|one| (one.purpose.label(), one.granted)).collect()
    }

    fn texts(answers: &[(&str, bool)]) -> Vec<(String, bool)> {
        answers.iter().map(|(purpose, granted)| ((*purpose).to_owned(), *granted)).collect()
    }

    fn answer(id: &str, state: ConsentState) -> ConsentAnswer {
        ConsentAnswer { id: id.into(), state: state.into() }
    }

    #[test]
    fn strings_of_the_iab_become_purposes() {
        // Purposes 3 to 9, not 1 and 2.
        let tc_string = "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA";
        let of_tcf = [
            ("advertising", false),
            ("analytics", true),
            ("personalisation", true),
            ("precise_location", true),
            ("storage", false),
        ];
        assert_eq!(answers(&ConsentSignals { tc_string: tc_string.into(), ..Default::default() }), texts(&of_tcf));

        let gpp_string = format!("DBACNYA~{tc_string}~1YNN");
        let gpp = ConsentSignals { gpp_string, ..Default::default() };
        let both = [&of_tcf[..], &[("advertising", true)]].concat();
        assert_eq!(answers(&gpp), texts(&both));
        let one_section = ConsentSignals { gpp_section_ids: vec![6], ..gpp };
        assert_eq!(answers(&one_section), texts(&[("advertising", true)]));
        let national = ConsentSignals { gpp_string: "DBABLA~BVVVkkkkkpFY.YA".into(), ..Default::default() };
        assert_eq!(answers(&national), texts(&[("advertising", false)]));
        let us_privacy = ConsentSignals { us_privacy: "1YYN".into(), ..Default::default() };
        assert_eq!(answers(&us_privacy), texts(&[("advertising", false)]));
    }

    #[test]
    fn google_consent_mode_becomes_purposes() {
        let google = |gcs: &str, gcd: &str, types| ConsentSignals {
            google: Some(GoogleConsent { gcs: gcs.into(), gcd: gcd.into(), types }),
            ..ConsentSignals::default()
        };
        let types = vec![
            answer("ad_storage", ConsentState::Granted),
            answer("ad_user_data", ConsentState::Denied),
            answer("analytics_storage", ConsentState::Granted),
            answer("security_storage", ConsentState::Granted),
        ];
        let mixed = texts(&[("advertising", false), ("analytics", true)]);
        assert_eq!(answers(&google("", "", types)), mixed);
        assert_eq!(answers(&google("G101", "", Vec::new())), mixed);
        assert_eq!(answers(&google("", "13q3r3r3r5", Vec::new())), mixed);

        let before = read(&google("", "11p1p1t1t5", Vec::new()), &Policy::default());
        assert!(before.statements.is_empty(), "nobody answered");
        assert_eq!(before.denied_before_answer.len(), 2);
    }

    #[test]
    fn identifiers_of_rudderstack_are_resolved_by_their_strategy() {
        let management = |strategy: &str| ConsentSignals {
            management: Some(ConsentManagement {
                allowed_ids: vec!["C0002".into(), "C0004".into()],
                denied_ids: vec!["C0005".into()],
                provider: "oneTrust".into(),
                resolution_strategy: strategy.into(),
            }),
            ..ConsentSignals::default()
        };

        assert_eq!(answers(&management("and")), texts(&[("advertising", false), ("analytics", true)]));
        assert_eq!(answers(&management("or")), texts(&[("advertising", true), ("analytics", true)]));
    }

    #[test]
    fn what_cannot_be_read_is_named_and_counts_as_not_said() {
        let broken = ConsentSignals {
            tc_string: "nonsense!".into(),
            gpp_string: "DBABLA~".into(),
            us_privacy: "yes".into(),
            google: Some(GoogleConsent { gcs: "1".into(), gcd: "2".into(), ..Default::default() }),
            ..ConsentSignals::default()
        };

        let reading = read(&broken, &Policy::default());

        assert_eq!((reading.statements.len(), reading.problems.len()), (0, 5));
    }
}
