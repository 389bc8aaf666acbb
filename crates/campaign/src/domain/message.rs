//! One message through its whole life.

use proto::campaign::v1::{self as wire, Gate, Reason, gate};

use super::time::{timestamp, timestamp_unless_zero};

/// The only channel there is so far.
pub(crate) const EMAIL: i32 = wire::Channel::Email as i32;
/// Name of the channel in consents and events.
pub(crate) const EMAIL_NAME: &str = "email";

/// What became of a message. Numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum State {
    #[default]
    Scheduled,
    Queued,
    /// Being handed to the channel: committed before the hand-over begins, so that a crash leaves no doubt about which
    /// messages are in doubt.
    Handing,
    Sent,
    Withheld,
    Failed,
    Uncertain,
}

impl State {
    /// Returns the number it is stored as.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Scheduled => 1,
            Self::Queued => 2,
            Self::Sent => 3,
            Self::Withheld => 4,
            Self::Failed => 5,
            Self::Uncertain => 6,
            Self::Handing => 20,
        }
    }

    /// Returns the state that is stored as `number`.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        let all =
            [Self::Scheduled, Self::Queued, Self::Handing, Self::Sent, Self::Withheld, Self::Failed, Self::Uncertain];
        all.into_iter().find(|state| state.number() == number)
    }

    pub(crate) fn shown(self) -> wire::message::State {
        use wire::message::State as Shown;
        match self {
            Self::Scheduled => Shown::Scheduled,
            Self::Queued | Self::Handing => Shown::Queued,
            Self::Sent => Shown::Sent,
            Self::Withheld => Shown::Withheld,
            Self::Failed => Shown::Failed,
            Self::Uncertain => Shown::Uncertain,
        }
    }
}

/// A message, as stored. Times in microseconds, 0 where they have not come.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) message_id: String,
    pub(crate) campaign_id: String,
    pub(crate) profile_id: String,
    pub(crate) state: State,
    pub(crate) reason: i32,
    pub(crate) purpose: String,
    pub(crate) cause: String,
    pub(crate) trigger_text: String,
    pub(crate) trigger_us: i64,
    pub(crate) due_us: i64,
    /// When the next step is due.
    pub(crate) fire_us: i64,
    pub(crate) decide_us: i64,
    /// The instant that the decision stands for: caps count by it.
    pub(crate) as_of_us: i64,
    pub(crate) send_us: i64,
    pub(crate) open_us: i64,
    pub(crate) click_us: i64,
    pub(crate) unsubscribe_us: i64,
    pub(crate) attempts: i32,
    pub(crate) traceparent: String,
    pub(crate) gates: Vec<Gate>,
    pub(crate) product_ids: Vec<String>,
    /// The addresses behind its links, by index.
    pub(crate) links: Vec<String>,
    /// Keyed hash of the address it went to.
    pub(crate) address_hash: Vec<u8>,
}

impl Message {
    /// Notes that something other than a gate kept it from leaving.
    pub(crate) fn note(&mut self, name: &str, verdict: gate::Verdict, detail: impl Into<String>) {
        /// A message that is tried for days notes its last troubles only.
        const MOST_GATES: usize = 24;
        self.gates.push(gate_of(name, verdict, detail));
        if self.gates.len() > MOST_GATES {
            self.gates.remove(self.gates.len() - 2);
        }
    }

    /// Returns it as it is shown.
    pub(crate) fn shown(self) -> wire::Message {
        let scheduled = self.state == State::Scheduled;
        wire::Message {
            message_id: self.message_id,
            campaign_id: self.campaign_id,
            profile_id: self.profile_id,
            channel: EMAIL,
            state: self.state.shown().into(),
            reason: self.reason,
            gates: self.gates,
            trigger: self.trigger_text,
            trigger_time: Some(timestamp(self.trigger_us)),
            due_time: Some(timestamp(self.due_us)),
            decide_time: if scheduled { None } else { timestamp_unless_zero(self.decide_us) },
            send_time: timestamp_unless_zero(self.send_us),
            product_ids: self.product_ids,
            attempts: self.attempts,
            open_time: timestamp_unless_zero(self.open_us),
            click_time: timestamp_unless_zero(self.click_us),
        }
    }
}

/// Returns a gate's answer.
pub(crate) fn gate_of(name: &str, verdict: gate::Verdict, detail: impl Into<String>) -> Gate {
    Gate { name: name.to_owned(), verdict: verdict.into(), detail: detail.into() }
}

/// Returns the number of a reason.
pub(crate) fn number(reason: Reason) -> i32 {
    reason.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_states_are_read_back_and_shown_ones_share_their_numbers() {
        for number in [1, 2, 3, 4, 5, 6, 20] {
            assert_eq!(State::from_number(number).unwrap().number(), number);
        }
        assert_eq!(State::from_number(7), None);
        assert_eq!(State::Sent.shown() as i64, State::Sent.number());
    }
}
