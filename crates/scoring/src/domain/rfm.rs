//! Recency, frequency and monetary value as quintiles among the tenant's buyers.

use std::fmt::Write as _;

use super::days_between;

/// What RFM needs to know of a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buyer {
    /// Last order, in microseconds since the Unix epoch.
    pub(crate) last_order_us: i64,
    /// Orders that count; at least 1.
    pub(crate) order_count: u64,
    /// Value less refunds in the tenant's main currency, in micros.
    pub(crate) net_micros: i64,
}

/// A buyer's cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    /// 1 (long ago) to 5 (recently).
    pub(crate) recency: u8,
    /// 1 (seldom) to 5 (often).
    pub(crate) frequency: u8,
    /// 1 (little) to 5 (much).
    pub(crate) monetary: u8,
}

/// Names of the segments, in the order of their worth.
pub(crate) const SEGMENTS: [&str; 10] = [
    "champions",
    "loyal_customers",
    "potential_loyalists",
    "new_customers",
    "promising",
    "need_attention",
    "about_to_sleep",
    "at_risk",
    "cannot_lose",
    "hibernating",
];

impl Cell {
    /// Returns the named segment of the recency and frequency cell.
    ///
    /// The 25-cell map that hundreds of published analyses use; it is total and disjoint, which maps over three
    /// dimensions are not. The monetary score is a tier of value within it.
    pub(crate) fn segment(self) -> &'static str {
        match (self.recency, self.frequency) {
            (1 | 2, 1 | 2) => "hibernating",
            (1 | 2, 3 | 4) => "at_risk",
            (1 | 2, _) => "cannot_lose",
            (3, 1 | 2) => "about_to_sleep",
            (3, 3) => "need_attention",
            (3 | 4, 4 | 5) => "loyal_customers",
            (4, 1) => "promising",
            (5, 1) => "new_customers",
            (4 | 5, 2 | 3) => "potential_loyalists",
            _ => "champions",
        }
    }
}

/// Where the quintiles are cut.
///
/// Recency is kept as instants, so that the cuts are exact at any time as long as nobody buys: days grow for everyone.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Cuts {
    /// Buyers in all.
    pub(crate) buyer_count: u64,
    /// Currency of the values.
    pub(crate) currency: String,
    recency: [Recency; 4],
    frequency: [f64; 4],
    monetary: [f64; 4],
}

/// A cut between the last orders of two buyers next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Recency {
    later_us: i64,
    earlier_us: i64,
    /// How far from the later to the earlier one, 0 to 1.
    share: f64,
}

/// Cuts at an instant, ready to score by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CutsAt<'a> {
    cuts: &'a Cuts,
    as_of_us: i64,
    /// Days since the last order.
    pub(crate) recency: [f64; 4],
}

impl Cuts {
    /// Returns the cuts at the 20, 40, 60 and 80 % quantiles, by linear interpolation (type 7 of Hyndman and Fan 1996).
    pub(crate) fn of(buyers: &[Buyer], currency: impl Into<String>) -> Self {
        if buyers.is_empty() {
            return Self { currency: currency.into(), ..Self::default() };
        }
        let mut last_orders: Vec<i64> = buyers.iter().map(|buyer| -buyer.last_order_us).collect();
        let mut counts: Vec<i64> = buyers.iter().map(|buyer| signed(buyer.order_count)).collect();
        let mut values: Vec<i64> = buyers.iter().map(|buyer| buyer.net_micros).collect();

        let interpolate = |(low, high, share): (i64, i64, f64)| low as f64 + share * (high as f64 - low as f64);
        let recency = quantiles(&mut last_orders).map(|(later, earlier, share)| Recency {
            later_us: -later,
            earlier_us: -earlier,
            share,
        });
        Self {
            buyer_count: buyers.len() as u64,
            currency: currency.into(),
            recency,
            frequency: quantiles(&mut counts).map(interpolate),
            monetary: quantiles(&mut values).map(interpolate),
        }
    }

    /// Returns the cuts as of an instant.
    pub(crate) fn at(&self, as_of_us: i64) -> CutsAt<'_> {
        let days = |time_us| days_between(time_us, as_of_us) as f64;
        let recency =
            self.recency.map(|cut| days(cut.later_us) + cut.share * (days(cut.earlier_us) - days(cut.later_us)));
        CutsAt { cuts: self, as_of_us, recency }
    }

    /// Returns the four cuts of the number of orders.
    pub(crate) fn frequency(&self) -> [f64; 4] {
        self.frequency
    }

    /// Returns the four cuts of the net value, in micros.
    pub(crate) fn monetary(&self) -> [f64; 4] {
        self.monetary
    }

    /// Returns all numbers, to be stored: per recency cut (later, earlier, share), then frequency, then monetary.
    pub(crate) fn to_numbers(&self) -> (Vec<i64>, Vec<f64>) {
        let times = self.recency.iter().flat_map(|cut| [cut.later_us, cut.earlier_us]).collect();
        let shares = self.recency.iter().map(|cut| cut.share);
        (times, shares.chain(self.frequency).chain(self.monetary).collect())
    }

    /// Returns the cuts that [`to_numbers`](Self::to_numbers) told; none when the numbers are too few.
    pub(crate) fn from_numbers(buyer_count: u64, currency: String, times: &[i64], numbers: &[f64]) -> Option<Self> {
        let (times, numbers) = (times.get(..8)?, numbers.get(..12)?);
        let recency = std::array::from_fn(|cut| Recency {
            later_us: times[2 * cut],
            earlier_us: times[2 * cut + 1],
            share: numbers[cut],
        });
        let frequency = std::array::from_fn(|cut| numbers[4 + cut]);
        let monetary = std::array::from_fn(|cut| numbers[8 + cut]);
        Some(Self { buyer_count, currency, recency, frequency, monetary })
    }
}

impl<'a> CutsAt<'a> {
    /// Returns the currency that people are ranked by their value in.
    pub(crate) fn currency(&self) -> &'a str {
        &self.cuts.currency
    }

    /// Returns the cell of a buyer: one more than the number of cuts below a value, recency reversed.
    pub(crate) fn cell(&self, buyer: Buyer) -> Cell {
        let days = days_between(buyer.last_order_us, self.as_of_us) as f64;
        Cell {
            recency: 6 - score(days, &self.recency),
            frequency: score(buyer.order_count as f64, &self.cuts.frequency),
            monetary: score(buyer.net_micros as f64, &self.cuts.monetary),
        }
    }

    /// Says in one sentence why a buyer is in a cell.
    pub(crate) fn explain(&self, buyer: Buyer) -> String {
        let cell = self.cell(buyer);
        let days = days_between(buyer.last_order_us, self.as_of_us);
        let monetary = self.cuts.monetary.map(|micros| micros / 1e6);
        let mut text = String::new();
        let _ = write!(
            text,
            "{}: last order {days} day{} ago (recency {}; quintiles cut at {} days), {} order{} (frequency {}; cut at {}), \
             net value {:.2} {} (monetary {}; cut at {}), among {} buyer{}",
            cell.segment(),
            plural(days),
            cell.recency,
            list(&self.recency),
            buyer.order_count,
            plural(signed(buyer.order_count)),
            cell.frequency,
            list(&self.cuts.frequency),
            buyer.net_micros as f64 / 1e6,
            if self.cuts.currency.is_empty() { "of unknown currency" } else { &self.cuts.currency },
            cell.monetary,
            list(&monetary),
            self.cuts.buyer_count,
            plural(signed(self.cuts.buyer_count)),
        );
        text
    }
}

/// Returns at 20, 40, 60 and 80 %: the two neighbours and how far between them the quantile lies.
fn quantiles(values: &mut [i64]) -> [(i64, i64, f64); 4] {
    values.sort_unstable();
    let last = values.len() - 1;
    [1_usize, 2, 3, 4].map(|fifth| {
        // h = (n - 1) p, in whole fifths so that no rounding moves a quantile that is a value itself.
        let fifths = last * fifth;
        let low = fifths / 5;
        let share = (fifths % 5) as f64 / 5.0;
        (values[low], values[(low + 1).min(last)], share)
    })
}

fn score(value: f64, cuts: &[f64; 4]) -> u8 {
    1 + cuts.iter().filter(|cut| **cut < value).count() as u8
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn plural(count: i64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn list(numbers: &[f64]) -> String {
    let texts: Vec<String> = numbers.iter().map(|number| format!("{}", (number * 100.0).round() / 100.0)).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::DAY_US;

    const NOW_US: i64 = 20_000 * DAY_US;

    fn buyer(days: i64, order_count: u64, units: i64) -> Buyer {
        Buyer { last_order_us: NOW_US - days * DAY_US, order_count, net_micros: units * 1_000_000 }
    }

    #[test]
    fn the_map_is_total_and_every_segment_has_its_cells() {
        let mut cells: BTreeMap<&str, u32> = BTreeMap::new();

        for recency in 1..=5 {
            for frequency in 1..=5 {
                *cells.entry(Cell { recency, frequency, monetary: 1 }.segment()).or_default() += 1;
            }
        }

        let expected = [
            ("about_to_sleep", 2),
            ("at_risk", 4),
            ("cannot_lose", 2),
            ("champions", 2),
            ("hibernating", 4),
            ("loyal_customers", 4),
            ("need_attention", 1),
            ("new_customers", 1),
            ("potential_loyalists", 4),
            ("promising", 1),
        ];
        assert_eq!(cells, BTreeMap::from(expected));
        let mut names = SEGMENTS;
        names.sort_unstable();
        assert!(names.iter().eq(cells.keys()));
    }

    #[test]
    fn the_map_equals_the_published_one() {
        let published = |recency: u8, frequency: u8| match (recency, frequency) {
            (1 | 2, 1 | 2) => "hibernating",
            (1 | 2, 3 | 4) => "at_risk",
            (1 | 2, 5) => "cannot_lose",
            (3, 1 | 2) => "about_to_sleep",
            (3, 3) => "need_attention",
            (3 | 4, 4 | 5) => "loyal_customers",
            (4, 1) => "promising",
            (5, 1) => "new_customers",
            (4 | 5, 2 | 3) => "potential_loyalists",
            (5, 4 | 5) => "champions",
            _ => unreachable!("the map has 25 cells"),
        };
        for recency in 1..=5 {
            for frequency in 1..=5 {
                let cell = Cell { recency, frequency, monetary: 3 };
                assert_eq!(cell.segment(), published(recency, frequency), "{recency}{frequency}");
            }
        }
    }

    #[test]
    fn quantiles_interpolate_as_type_7_does() {
        // R: quantile(c(1, 2, 3, 4, 10, 20), c(.2, .4, .6, .8), type = 7) is 2 3 4 10.
        let buyers: Vec<Buyer> = [1, 2, 3, 4, 10, 20].iter().map(|count| buyer(0, *count, 0)).collect();
        assert_eq!(Cuts::of(&buyers, "EUR").frequency(), [2.0, 3.0, 4.0, 10.0]);

        // R: quantile(c(1, 2, 4, 8), c(.2, .4, .6, .8), type = 7) is 1.6 2.4 3.6 5.6.
        let buyers: Vec<Buyer> = [8, 4, 2, 1].iter().map(|days| buyer(*days, 1, 0)).collect();
        let cuts = Cuts::of(&buyers, "EUR");
        for (cut, expected) in cuts.at(NOW_US).recency.iter().zip([1.6, 2.4, 3.6, 5.6]) {
            assert!((cut - expected).abs() < 1e-9, "{cut} against {expected}");
        }
    }

    #[test]
    fn recency_cuts_are_exact_at_any_time() {
        let times = [0, 1, 90_000_000_000, 86_399_999_999, 3 * DAY_US + 5, 9 * DAY_US, 400 * DAY_US];
        let buyers: Vec<Buyer> =
            times.iter().map(|ago| Buyer { last_order_us: NOW_US - ago, ..buyer(0, 1, 0) }).collect();
        let cuts = Cuts::of(&buyers, "EUR");

        for later_us in [0, 1, DAY_US / 3, DAY_US, 17 * DAY_US + 7] {
            let as_of_us = NOW_US + later_us;
            let mut days: Vec<i64> = buyers.iter().map(|buyer| days_between(buyer.last_order_us, as_of_us)).collect();
            let direct = quantiles(&mut days).map(|(low, high, share)| low as f64 + share * (high - low) as f64);
            assert_eq!(cuts.at(as_of_us).recency, direct);
        }
    }

    #[test]
    fn equal_values_have_equal_scores_and_recent_ones_score_high() {
        let mut buyers = vec![buyer(400, 1, 5); 4];
        buyers.extend([buyer(1, 9, 500), buyer(2, 8, 400), buyer(30, 3, 50)]);
        let cuts = Cuts::of(&buyers, "EUR");

        let cells: Vec<Cell> = buyers.iter().map(|buyer| cuts.at(NOW_US).cell(*buyer)).collect();

        assert!(cells[..4].iter().all(|cell| *cell == cells[0]));
        assert_eq!(cells[4], Cell { recency: 5, frequency: 5, monetary: 5 });
        assert!(cells[0].recency < cells[6].recency && cells[6].recency < cells[4].recency);
    }

    #[test]
    fn one_buyer_alone_and_none_at_all_are_no_trouble() {
        let alone = buyer(3, 1, 10);
        let cuts = Cuts::of(&[alone], "EUR");

        assert_eq!(cuts.at(NOW_US).cell(alone), Cell { recency: 5, frequency: 1, monetary: 1 });
        assert_eq!(Cuts::of(&[], "EUR").buyer_count, 0);
    }

    #[test]
    fn stored_cuts_come_back_as_they_were() {
        let buyers: Vec<Buyer> = (1..50).map(|number| buyer(number * 3, number as u64, number * 7)).collect();
        let cuts = Cuts::of(&buyers, "GBP");

        let (times, numbers) = cuts.to_numbers();

        assert_eq!(Cuts::from_numbers(49, "GBP".into(), &times, &numbers), Some(cuts));
        assert_eq!(Cuts::from_numbers(49, "GBP".into(), &times[1..], &numbers), None);
    }

    #[test]
    fn an_explanation_names_values_cuts_and_segment() {
        let buyers: Vec<Buyer> = (1..=11).map(|number| buyer(number * 10, number as u64, number * 7)).collect();
        let cuts = Cuts::of(&buyers, "GBP");

        let text = cuts.at(NOW_US).explain(buyers[0]);

        assert_eq!(
            text,
            "new_customers: last order 10 days ago (recency 5; quintiles cut at 30, 50, 70, 90 days), 1 order \
             (frequency 1; cut at 3, 5, 7, 9), net value 7.00 GBP (monetary 1; cut at 21, 35, 49, 63), among 11 buyers"
        );
    }
}
