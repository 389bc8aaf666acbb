//! When people buy and for how much: BG/NBD and Gamma-Gamma, drawn forwards.

use crate::config::PurchaseModel;
use crate::dice::Dice;

/// A person's own parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appetite {
    /// Purchases per day while alive.
    pub(crate) rate: f64,
    /// Chance of never coming back, after each repeat purchase.
    pub(crate) dropout: f64,
    /// Mean value of this person's orders, in units of the shop's currency.
    pub(crate) mean_value: f64,
}

impl Appetite {
    pub(crate) fn draw(dice: &mut Dice, model: &PurchaseModel) -> Self {
        Self {
            rate: dice.gamma(model.r, model.alpha_days),
            dropout: dice.beta(model.a, model.b),
            mean_value: model.p / dice.gamma(model.q, model.gamma),
        }
    }
}

/// The value of one order of a person whose orders are worth `mean_value` on average, in the same unit.
pub(crate) fn order_value(dice: &mut Dice, model: &PurchaseModel, mean_value: f64) -> f64 {
    mean_value * dice.gamma(model.p, model.p)
}

/// The purchases of one customer.
pub(crate) struct Career {
    /// Days of the purchases, the first one included, rising.
    pub(crate) days: Vec<f64>,
    /// The day of the purchase after which the customer was gone, if that came before the end.
    pub(crate) gone: Option<f64>,
}

/// Draws the purchases from the first one, on day `first`, to day `end`. As in the model, nobody drops out right after
/// the first purchase.
pub(crate) fn career(dice: &mut Dice, appetite: &Appetite, first: f64, end: f64) -> Career {
    let mut days = vec![first];
    let mut day = first;
    loop {
        day += dice.wait(appetite.rate.max(1e-9));
        if day >= end {
            return Career { days, gone: None };
        }
        days.push(day);
        if dice.chance(appetite.dropout) {
            return Career { days, gone: Some(day) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E[X(t)] of a randomly chosen customer, equation 9 of the paper, 2F1 by its series.
    fn expected_repeats(model: &PurchaseModel, t: f64) -> f64 {
        let (r, alpha, a, b) = (model.r, model.alpha_days, model.a, model.b);
        let z = t / (alpha + t);
        let (mut term, mut sum) = (1.0, 1.0);
        for n in 0..2_000 {
            let n = f64::from(n);
            term *= (r + n) * (b + n) / ((a + b - 1.0 + n) * (n + 1.0)) * z;
            sum += term;
        }
        (a + b - 1.0) / (a - 1.0) * (1.0 - (alpha / (alpha + t)).powf(r) * sum)
    }

    #[test]
    fn purchase_counts_have_the_moments_of_bg_nbd() {
        let model = PurchaseModel::default();
        let people = 40_000u32;
        let t = 250.0;
        let (mut repeats, mut none) = (0usize, 0usize);

        for index in 0..people {
            let mut dice = Dice::new(11, "moments", u64::from(index));
            let appetite = Appetite::draw(&mut dice, &model);
            let count = career(&mut dice, &appetite, 0.0, t).days.len() - 1;
            repeats += count;
            none += usize::from(count == 0);
        }

        let mean = repeats as f64 / f64::from(people);
        let expected = expected_repeats(&model, t);
        assert!((mean / expected - 1.0).abs() < 0.03, "mean {mean}, expected {expected}");
        let share = none as f64 / f64::from(people);
        let expected = (model.alpha_days / (model.alpha_days + t)).powf(model.r);
        assert!((share - expected).abs() < 0.01, "share without repeat {share}, expected {expected}");
    }

    #[test]
    fn order_values_have_the_mean_of_gamma_gamma() {
        let model = PurchaseModel::default();
        let people = 60_000u32;
        let mut sum = 0.0;

        for index in 0..people {
            let mut dice = Dice::new(12, "moments", u64::from(index));
            let appetite = Appetite::draw(&mut dice, &model);
            sum += order_value(&mut dice, &model, appetite.mean_value);
        }

        let mean = sum / f64::from(people);
        let expected = model.p * model.gamma / (model.q - 1.0);
        assert!((mean / expected - 1.0).abs() < 0.03, "mean {mean}, expected {expected}");
    }
}
