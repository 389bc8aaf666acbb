//! The way from the sender to the collector: flushes, delays, disorder, retries; then days of deliveries.

use crate::config::WorldConfig;
use crate::dice::Dice;
use crate::signal::{Journal, SourceKind};

/// Events a client collects before it sends them.
const FLUSH: usize = 10;
const HOUR: i64 = 3_600_000;

/// One event on its way: which visit, which signal of it.
pub(crate) type Letter = (u32, u32);

/// Some letters of one sender that arrive together.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// Milliseconds since the epoch.
    pub(crate) received: i64,
    pub(crate) source: SourceKind,
    pub(crate) letters: Vec<Letter>,
}

/// What was done to the events on their way, in distinct events.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mishaps {
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) shuffled: u64,
}

/// Posts every visit and returns the parcels in order of arrival.
pub(crate) fn post(config: &WorldConfig, journal: &Journal) -> (Vec<Parcel>, Mishaps) {
    let mut mishaps = Mishaps::default();
    let mut parcels = Vec::with_capacity(journal.visits.len() * 2);
    let end = config.end().timestamp_millis();
    for (number, visit) in journal.visits.iter().enumerate() {
        let mut dice = Dice::new(config.seed, "post", number as u64);
        for (part, signals) in visit.signals.chunks(FLUSH).enumerate() {
            let first = (part * FLUSH) as u32;
            let mut letters: Vec<Letter> =
                (0..signals.len() as u32).map(|place| (number as u32, first + place)).collect();
            if letters.len() > 1 && dice.chance(config.noise.shuffled) {
                dice.shuffle(&mut letters);
                mishaps.shuffled += letters.len() as u64;
            }
            let sent = signals.iter().map(|signal| signal.at).max().unwrap_or(end);
            let late = dice.chance(config.noise.late);
            let delay = if late { dice.between(HOUR, 72 * HOUR) } else { dice.between(60, 4_000) };
            // What is still under way at the end of the world arrives in its last instant.
            let received = (sent + delay).min(end - 1);
            let late = signals.iter().filter(|signal| received - signal.at >= HOUR).count();
            mishaps.late += late as u64;
            let again: Vec<Letter> = letters.iter().copied().filter(|_| dice.chance(config.noise.duplicate)).collect();
            if !again.is_empty() {
                mishaps.duplicates += again.len() as u64;
                let retried = received + dice.between(30_000, 24 * HOUR);
                parcels.push(Parcel { received: retried.min(end - 1), source: visit.source, letters: again });
            }
            parcels.push(Parcel { received, source: visit.source, letters });
        }
    }
    // Ties are settled by what the parcel holds, so the order is total; a retry held back to the last instant is
    // indistinguishable from its first copy, and may come before it.
    parcels.sort_by(|left, right| {
        (left.received, left.source, &left.letters).cmp(&(right.received, right.source, &right.letters))
    });
    (parcels, mishaps)
}

/// Parcels that one source hands over in one body.
#[derive(Debug)]
pub(crate) struct Bag {
    pub(crate) received: i64,
    pub(crate) source: SourceKind,
    pub(crate) letters: Vec<Letter>,
}

/// Packs parcels, given in order of arrival, into bags in order of hand-over. A bag holds what one source received in
/// one slot of `flush_minutes` of one day, cut at `batch_max`; so days can be packed apart with the same result.
pub(crate) fn pack(config: &WorldConfig, parcels: &[Parcel]) -> Vec<Bag> {
    let start = config.start.timestamp_millis();
    let slot_length = i64::from(config.flush_minutes.min(1_440)) * 60_000;
    let slot_of = |received: i64| {
        let within_day = (received - start).rem_euclid(24 * HOUR);
        ((received - start).div_euclid(24 * HOUR), within_day.checked_div(slot_length).unwrap_or(within_day))
    };
    let most = config.batch_max.max(1);
    let mut bags: Vec<Bag> = Vec::new();
    let mut open: [Option<usize>; SourceKind::ALL.len()] = [None; SourceKind::ALL.len()];
    for parcel in parcels {
        for letters in parcel.letters.chunks(most) {
            let place = &mut open[parcel.source as usize];
            let fitting = place.filter(|&bag| {
                slot_length > 0
                    && slot_of(bags[bag].received) == slot_of(parcel.received)
                    && bags[bag].letters.len() + letters.len() <= most
            });
            match fitting {
                Some(bag) => {
                    bags[bag].letters.extend_from_slice(letters);
                    bags[bag].received = parcel.received;
                }
                None => {
                    *place = Some(bags.len());
                    let (received, source) = (parcel.received, parcel.source);
                    bags.push(Bag { received, source, letters: letters.to_vec() });
                }
            }
        }
    }
    bags.sort_by_key(|bag| (bag.received, bag.source));
    bags
}
