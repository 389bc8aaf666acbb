//! Why an event cannot be taken.

use std::borrow::Cow;

use super::plan::Findings;

/// Why an event cannot be taken: a stable reason and a sentence for a person. Neither holds values of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) reason: Reason,
    pub(crate) message: Cow<'static, str>,
    /// What breaks the source's tracking plan, when that is why.
    pub(crate) findings: Option<Box<Findings>>,
}

impl Problem {
    pub(crate) fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, message: message.into(), findings: None }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $text:literal),+ $(,)?) => {
        /// Stable reasons; part of the contract, never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Reason {
            $($(#[$doc])* $variant),+
        }

        impl Reason {
            /// Returns the reason as it goes over the wire and into the store.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }
    };
}

// A macro, so that a reason's name and its text cannot drift apart.
reasons! {
    /// Not JSON, not an object, or not a serialised event.
    Malformed => "MALFORMED",
    /// Nested deeper than 64 levels.
    TooDeep => "TOO_DEEP",
    /// Larger than 128 KiB.
    EventTooLarge => "EVENT_TOO_LARGE",
    /// Neither track, identify, page, screen, group nor alias.
    TypeUnknown => "TYPE_UNKNOWN",
    /// A track call without the name of the event.
    NameMissing => "NAME_MISSING",
    /// Nothing says what happened.
    BodyMissing => "BODY_MISSING",
    /// Nobody is named.
    IdentifierMissing => "IDENTIFIER_MISSING",
    /// An identifier is not text, empty or too long.
    IdentifierInvalid => "IDENTIFIER_INVALID",
    /// More than 20 identifiers.
    TooManyIdentifiers => "TOO_MANY_IDENTIFIERS",
    /// The message id is not text or longer than 100 characters.
    MessageIdInvalid => "MESSAGE_ID_INVALID",
    /// A time that cannot be read, or before 1970.
    TimeInvalid => "TIME_INVALID",
    /// More than 24 hours after it was received.
    TimeInFuture => "TIME_IN_FUTURE",
    /// An amount without a currency, from a source without a default.
    CurrencyMissing => "CURRENCY_MISSING",
    /// Not a currency of ISO 4217.
    CurrencyUnknown => "CURRENCY_UNKNOWN",
    /// An amount that is no decimal number, negative, or out of range.
    AmountInvalid => "AMOUNT_INVALID",
    /// A completed order that does not say what was paid.
    AmountMissing => "AMOUNT_MISSING",
    /// A number of pieces that is not whole, or negative.
    QuantityInvalid => "QUANTITY_INVALID",
    /// An order without its identifier.
    OrderIdMissing => "ORDER_ID_MISSING",
    /// A product without its identifier.
    ProductIdMissing => "PRODUCT_ID_MISSING",
    /// More than 250 products in a list that was looked at.
    TooManyProducts => "TOO_MANY_PRODUCTS",
    /// A consent without purpose or answer, or too many of them.
    ConsentInvalid => "CONSENT_INVALID",
    /// Another field breaks its rule; the message names it.
    FieldInvalid => "FIELD_INVALID",
    /// It breaks the source's tracking plan.
    PlanViolated => "PLAN_VIOLATED",
    /// The source's tracking plan has no event of this name.
    UnplannedEvent => "UNPLANNED_EVENT",
}

/// Returns a problem with one field: `"{field} {rule}"`.
pub(crate) fn field_invalid(field: &str, rule: &str) -> Problem {
    Problem::new(Reason::FieldInvalid, format!("{field} {rule}"))
}
