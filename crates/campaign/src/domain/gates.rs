//! Speak, or stay silent: the questions asked before a message leaves, and their answers.

use kit::TenantId;
use proto::campaign::v1::{Gate, Reason, gate::Verdict};

use super::{
    basket,
    campaign::{Definition, Trigger},
    contact::Contact,
    ids,
    membership::Membership,
    message::{EMAIL_NAME, Message, gate_of},
    policy::Policy,
    quiet::{quiet_until, zone_of},
    time::readable,
};

/// What a decision is made from.
pub(crate) struct Facts<'a> {
    pub(crate) tenant: &'a TenantId,
    /// The campaign; none when it is no more.
    pub(crate) campaign: Option<&'a Definition>,
    pub(crate) policy: &'a Policy,
    /// The person; none when erased.
    pub(crate) contact: Option<&'a Contact>,
    /// In the segment that set the message off.
    pub(crate) membership: Option<&'a Membership>,
    /// Why the person's address is suppressed.
    pub(crate) suppressed: Option<&'a str>,
    /// Messages to this person that left or will.
    pub(crate) past: &'a [Past],
    /// The instant that the decision stands for: when the message fell due.
    pub(crate) as_of_us: i64,
    /// The time by the clock; later than `as_of_us` after an interruption.
    pub(crate) now_us: i64,
}

/// A message to the same person.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    pub(crate) campaign_id: String,
    pub(crate) as_of_us: i64,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Send,
    Withhold(Reason),
    /// Ask again then.
    Defer(i64),
}

/// How far the questions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// All of them: the message has fallen due.
    Full,
    /// Those whose answer may have changed since the decision: it is about to be handed over.
    Again,
}

/// Asks the gates in their order until one says no. Returns what to do and every answer.
pub(crate) fn decide(message: &Message, facts: &Facts<'_>, depth: Depth) -> (Outcome, Vec<Gate>) {
    let mut asked = Asked { message, facts, gates: Vec::new() };
    let outcome = asked.ask(depth).err().unwrap_or(Outcome::Send);
    (outcome, asked.gates)
}

struct Asked<'a> {
    message: &'a Message,
    facts: &'a Facts<'a>,
    gates: Vec<Gate>,
}

impl<'a> Asked<'a> {
    fn ask(&mut self, depth: Depth) -> Result<(), Outcome> {
        let (campaign, contact) = self.campaign()?;
        self.goal(campaign, contact)?;
        self.address(contact)?;
        self.consent(campaign, contact)?;
        self.suppression()?;
        if depth == Depth::Full {
            self.frequency_cap(campaign)?;
        }
        self.quiet_hours(contact)?;
        if depth == Depth::Full {
            self.holdout(campaign)?;
        }
        Ok(())
    }

    fn campaign(&mut self) -> Result<(&'a Definition, &'a Contact), Outcome> {
        const NAME: &str = "campaign";
        let Some(contact) = self.facts.contact else {
            return self.refused(NAME, Reason::ProfileGone, "the person was erased");
        };
        let Some(campaign) = self.facts.campaign else {
            return self.refused(NAME, Reason::CampaignPaused, "the campaign is no more");
        };
        if campaign.paused {
            return self.refused(NAME, Reason::CampaignPaused, "the campaign is paused");
        }
        if campaign.is_expired(self.message.due_us, self.facts.now_us) {
            let detail = format!("it fell due at {} and could not leave in time", readable(self.message.due_us));
            return self.refused(NAME, Reason::Expired, detail);
        }
        self.passed(NAME, "the campaign is live");
        Ok((campaign, contact))
    }

    /// Whether what the message is for is still so.
    fn goal(&mut self, campaign: &Definition, contact: &Contact) -> Result<(), Outcome> {
        const NAME: &str = "goal";
        let as_of_us = self.facts.as_of_us;
        let reached = match &campaign.trigger {
            Trigger::AbandonedBasket { .. } if contact.ordered_between(self.message.trigger_us, as_of_us) => {
                Some("an order was placed after the basket changed")
            }
            Trigger::AbandonedBasket { .. } if basket::content(contact, as_of_us).is_empty() => {
                Some("the basket is empty")
            }
            Trigger::PostPurchase { .. } => {
                let order_id = self.message.cause.strip_prefix("order:").unwrap_or_default();
                let stands = contact.standing_order(order_id, as_of_us).is_some();
                (!stands).then_some("the order does not stand any more")
            }
            Trigger::SegmentEntered { .. } => {
                let inside = self.facts.membership.is_some_and(|stay| stay.is_inside(as_of_us));
                (!inside).then_some("the person left the segment")
            }
            Trigger::AbandonedBasket { .. } => None,
        };
        match reached {
            Some(detail) => self.refused(NAME, Reason::GoalReached, detail),
            None => {
                self.passed(NAME, "what it is for is still so");
                Ok(())
            }
        }
    }

    fn address(&mut self, contact: &Contact) -> Result<(), Outcome> {
        if contact.email.is_empty() {
            return self.refused("address", Reason::NoAddress, "no e-mail address is known");
        }
        self.passed("address", "an e-mail address is known");
        Ok(())
    }

    fn consent(&mut self, campaign: &Definition, contact: &Contact) -> Result<(), Outcome> {
        let purpose = &campaign.purpose;
        if !contact.consents(purpose, EMAIL_NAME) {
            let detail = format!("no consent to {purpose} by {EMAIL_NAME}");
            return self.refused("consent", Reason::NoConsent, detail);
        }
        self.passed("consent", format!("consent to {purpose} by {EMAIL_NAME}"));
        Ok(())
    }

    fn suppression(&mut self) -> Result<(), Outcome> {
        if let Some(cause) = self.facts.suppressed {
            return self.refused("suppression", Reason::Suppressed, format!("the address is suppressed: {cause}"));
        }
        self.passed("suppression", "the address is not suppressed");
        Ok(())
    }

    fn frequency_cap(&mut self, campaign: &Definition) -> Result<(), Outcome> {
        const NAME: &str = "frequency_cap";
        let (policy, as_of_us) = (self.facts.policy, self.facts.as_of_us);
        // Both ways in time: of two that fall due within a window, whichever is decided second is too much.
        let within =
            |span_us: i64| self.facts.past.iter().filter(move |past| past.as_of_us.abs_diff(as_of_us) < span_us as u64);

        let heard = within(policy.cap_window_us).count();
        if policy.cap_messages > 0 && heard >= policy.cap_messages {
            let detail = format!("{heard} messages within the window, at most {}", policy.cap_messages);
            return self.refused(NAME, Reason::FrequencyCap, detail);
        }
        let again = within(campaign.min_interval_us).any(|past| past.campaign_id == campaign.campaign_id);
        if again {
            let detail = "this campaign spoke to the person a short while ago";
            return self.refused(NAME, Reason::MinInterval, detail);
        }
        let detail = match policy.cap_messages {
            0 => "no cap is set".to_owned(),
            cap => format!("{heard} messages within the window, at most {cap}"),
        };
        self.passed(NAME, detail);
        Ok(())
    }

    fn quiet_hours(&mut self, contact: &Contact) -> Result<(), Outcome> {
        const NAME: &str = "quiet_hours";
        let zone = zone_of(contact.trait_of("timezone"), self.facts.policy);
        if let Some(until_us) = quiet_until(self.facts.policy, zone, self.facts.as_of_us) {
            let detail = format!("quiet hours in {zone} until {}", readable(until_us));
            self.gates.push(gate_of(NAME, Verdict::Deferred, detail));
            return Err(Outcome::Defer(until_us));
        }
        self.passed(NAME, format!("no quiet hours in {zone}"));
        Ok(())
    }

    fn holdout(&mut self, campaign: &Definition) -> Result<(), Outcome> {
        const NAME: &str = "holdout";
        let (tenant, profile_id) = (self.facts.tenant, &self.message.profile_id);
        if ids::is_held_out(tenant, &campaign.campaign_id, profile_id, campaign.holdout_milli) {
            return self.refused(NAME, Reason::Holdout, "the person is in the hold-out group");
        }
        self.passed(NAME, format!("not among the {} in 1,000 held out", campaign.holdout_milli));
        Ok(())
    }

    fn passed(&mut self, name: &str, detail: impl Into<String>) {
        self.gates.push(gate_of(name, Verdict::Passed, detail));
    }

    fn refused<T>(&mut self, name: &str, reason: Reason, detail: impl Into<String>) -> Result<T, Outcome> {
        self.gates.push(gate_of(name, Verdict::Refused, detail));
        Err(Outcome::Withhold(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        campaign::{check, definition, tests::basket_campaign},
        contact::{Answer, BasketChange, Product},
        policy,
        time::{DAY_US, HOUR_US, MINUTE_US},
    };

    /// Noon, UTC.
    const NOON: i64 = 1_749_556_800 * 1_000_000;

    struct Case {
        tenant: TenantId,
        campaign: Definition,
        policy: Policy,
        contact: Contact,
        message: Message,
        suppressed: Option<&'static str>,
        past: Vec<Past>,
        as_of_us: i64,
    }

    impl Case {
        fn new() -> Self {
            let mut contact = Contact { email: "ann@shop.example".into(), ..Contact::default() };
            contact.answers.push(Answer { purpose: "marketing".into(), granted: true, ..Answer::default() });
            let product = Product { product_id: "p".into(), ..Product::default() };
            contact.change_basket(BasketChange {
                time_us: NOON - HOUR_US,
                event_id: "e".into(),
                removed: false,
                products: vec![product],
            });
            let message = Message {
                profile_id: "p1".into(),
                cause: "basket:e".into(),
                trigger_us: NOON - HOUR_US,
                due_us: NOON,
                ..Message::default()
            };
            Self {
                tenant: "shop".try_into().unwrap(),
                campaign: definition(&check(basket_campaign()).unwrap(), 0, false).unwrap(),
                policy: policy::check(policy::first()).unwrap().1,
                contact,
                message,
                suppressed: None,
                past: Vec::new(),
                as_of_us: NOON,
            }
        }

        fn decide(&self) -> (Outcome, Vec<Gate>) {
            let facts = Facts {
                tenant: &self.tenant,
                campaign: Some(&self.campaign),
                policy: &self.policy,
                contact: Some(&self.contact),
                membership: None,
                suppressed: self.suppressed,
                past: &self.past,
                as_of_us: self.as_of_us,
                now_us: self.as_of_us,
            };
            decide(&self.message, &facts, Depth::Full)
        }

        fn outcome(&self) -> Outcome {
            self.decide().0
        }

        fn heard(&mut self, campaign_id: &str, ago_us: i64) {
            self.past.push(Past { campaign_id: campaign_id.into(), as_of_us: NOON - ago_us });
        }
    }

    #[test]
    fn every_gate_is_asked_in_order_and_its_answer_kept() {
        let (outcome, gates) = Case::new().decide();

        let names: Vec<&str> = gates.iter().map(|gate| gate.name.as_str()).collect();
        assert_eq!(outcome, Outcome::Send);
        assert_eq!(
            names,
            ["campaign", "goal", "address", "consent", "suppression", "frequency_cap", "quiet_hours", "holdout"]
        );
    }

    #[test]
    fn each_gate_refuses_with_its_reason() {
        let refused = |change: fn(&mut Case)| {
            let mut case = Case::new();
            change(&mut case);
            case.outcome()
        };

        assert_eq!(refused(|case| case.campaign.paused = true), Outcome::Withhold(Reason::CampaignPaused));
        assert_eq!(refused(|case| case.as_of_us += 4 * DAY_US), Outcome::Withhold(Reason::Expired));
        assert_eq!(
            refused(|case| {
                case.contact.place_order("o", NOON - MINUTE_US, Vec::new());
            }),
            Outcome::Withhold(Reason::GoalReached)
        );
        assert_eq!(refused(|case| case.contact.email.clear()), Outcome::Withhold(Reason::NoAddress));
        assert_eq!(refused(|case| case.contact.answers.clear()), Outcome::Withhold(Reason::NoConsent));
        assert_eq!(refused(|case| case.suppressed = Some("bounced")), Outcome::Withhold(Reason::Suppressed));
        assert_eq!(refused(|case| case.heard("basket", HOUR_US)), Outcome::Withhold(Reason::MinInterval));
        assert_eq!(
            refused(|case| (0..3).for_each(|day| case.heard("other", day * DAY_US))),
            Outcome::Withhold(Reason::FrequencyCap)
        );
        assert_eq!(refused(|case| case.campaign.holdout_milli = 1_000), Outcome::Withhold(Reason::Holdout));
    }

    #[test]
    fn an_order_after_the_due_time_does_not_reach_the_goal() {
        let mut case = Case::new();
        case.contact.place_order("o", NOON + 1, Vec::new());

        assert_eq!(case.outcome(), Outcome::Send);
    }

    #[test]
    fn quiet_hours_defer_to_their_end_in_the_persons_zone() {
        let mut case = Case::new();
        case.contact.traits.insert("timezone".into(), "Asia/Tokyo".into());

        // Noon UTC is 21:00 in Tokyo; 8:00 there is 23:00 UTC.
        assert_eq!(case.outcome(), Outcome::Defer(NOON + 11 * HOUR_US));
    }

    #[test]
    fn cap_zero_means_none_set() {
        let mut case = Case::new();
        case.policy.cap_messages = 0;
        (0..100).for_each(|_| case.heard("other", HOUR_US));

        assert_eq!(case.outcome(), Outcome::Send);
    }
}
