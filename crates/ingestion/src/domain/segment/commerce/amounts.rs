//! Amounts of money among properties.

use proto::google::r#type::Money;

use crate::domain::check_body::{currency_missing, currency_unknown};
use crate::domain::decimal::{self, MICROS};
use crate::domain::json::Members;
use crate::domain::problem::{Problem, Reason};
use kit::Currency;

/// Reads amounts in the currency that the properties give, or else the source's.
pub(super) struct Amounts {
    given: Given,
    default: Option<Currency>,
    used_given: bool,
}

#[derive(Clone, Copy)]
enum Given {
    Nothing,
    Unknown,
    Known(Currency),
}

/// Which signs an amount may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// A negative one is an error.
    Positive,
    /// Shops write it either way, and mean how much.
    Either,
}

impl Amounts {
    pub(super) fn new(properties: &Members<'_>, default: Option<Currency>) -> Self {
        Self { given: given(properties), default, used_given: false }
    }

    /// Returns the amounts of one line, which may name a currency of its own.
    pub(super) fn of_line(&self, line: &Members<'_>) -> Self {
        let given = match given(line) {
            Given::Nothing => self.given,
            own => own,
        };
        Self { given, default: self.default, used_given: false }
    }

    /// Notes that a line used the currency of the whole.
    pub(super) fn note_used(&mut self, line: &Self) {
        self.used_given |= line.used_given;
    }

    /// Whether the given currency stands in some amount now.
    pub(super) fn used_given_currency(&self) -> bool {
        self.used_given
    }

    /// Takes the first of `keys` that holds an amount. Empty text counts as absent.
    pub(super) fn take(
        &mut self,
        members: &mut Members<'_>,
        keys: &[&str],
        sign: Sign,
    ) -> Result<Option<Money>, Problem> {
        for key in keys {
            let Some(json) = members.get(key) else { continue };
            let text = json.scalar().ok_or_else(|| no_amount(key))?;
            members.take(key);
            if text.trim().is_empty() {
                continue;
            }
            let micros = decimal::micros(&text).ok_or_else(|| no_amount(key))?;
            let micros = match sign {
                Sign::Either => micros.checked_abs().ok_or_else(|| no_amount(key))?,
                Sign::Positive => micros,
            };
            if micros < 0 {
                return Err(Problem::new(Reason::AmountInvalid, format!("{key} must not be negative")));
            }
            return self.money(micros).map(Some);
        }
        Ok(None)
    }

    /// Returns an amount in the currency.
    pub(super) fn money(&mut self, micros: i64) -> Result<Money, Problem> {
        let currency = match (self.given, self.default) {
            (Given::Known(currency), _) => {
                self.used_given = true;
                currency
            }
            (Given::Unknown, _) => return Err(currency_unknown()),
            (Given::Nothing, Some(currency)) => currency,
            (Given::Nothing, None) => return Err(currency_missing()),
        };
        let nanos = i32::try_from(micros % MICROS * 1_000).expect("less than a unit of nanos");
        Ok(Money { currency_code: currency.code().to_owned(), units: micros / MICROS, nanos })
    }
}

/// Returns an amount in millionths.
pub(super) fn micros(money: &Money) -> Option<i64> {
    money.units.checked_mul(MICROS)?.checked_add(i64::from(money.nanos / 1_000))
}

fn given(members: &Members<'_>) -> Given {
    let Some(json) = members.get("currency") else { return Given::Nothing };
    match json.string() {
        Some(text) if text.trim().is_empty() => Given::Nothing,
        Some(text) => Currency::parse(&text).map_or(Given::Unknown, Given::Known),
        None => Given::Unknown,
    }
}

fn no_amount(key: &str) -> Problem {
    Problem::new(Reason::AmountInvalid, format!("{key} must be a decimal number"))
}
