//! Seeded randomness: one independent stream per (seed, purpose, index), so that what one person does never depends on
//! who was simulated before.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use rand_distr::{Beta, Distribution, Exp1, Gamma};
use uuid::Uuid;

/// A stream of random draws. The generator is the named Xoshiro256++ and not `StdRng` or `SmallRng`, whose algorithm may
/// change with the version of `rand`; uniform draws are computed here for the same reason.
pub(crate) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    /// Opens the stream of `purpose` for the thing number `index`.
    pub(crate) fn new(seed: u64, purpose: &str, index: u64) -> Self {
        let named = purpose.bytes().fold(seed, |hash, byte| mix(hash ^ u64::from(byte)));
        Self(Xoshiro256PlusPlus::seed_from_u64(mix(named ^ mix(index))))
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform in 0..count; `count` must be positive.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }

    /// Uniform in low..=high.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.index((high - low + 1) as usize) as i64
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }

    /// The index of one of `weights`, in proportion.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut left = self.unit() * weights.clone().sum::<f64>();
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
            last = index;
        }
        last
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        uuid_from(self.0.next_u64(), self.0.next_u64())
    }

    /// Gamma with the given shape and *rate* (mean shape / rate), as the purchase models write it.
    pub(crate) fn gamma(&mut self, shape: f64, rate: f64) -> f64 {
        let gamma = Gamma::new(shape, 1.0 / rate).expect("model parameters are checked positive");
        gamma.sample(&mut self.0)
    }

    pub(crate) fn beta(&mut self, a: f64, b: f64) -> f64 {
        let beta = Beta::new(a, b).expect("model parameters are checked positive");
        beta.sample(&mut self.0)
    }

    /// Waiting time of a Poisson process of this rate.
    pub(crate) fn wait(&mut self, rate: f64) -> f64 {
        let unit: f64 = Exp1.sample(&mut self.0);
        unit / rate
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

/// The finaliser of SplitMix64: a bijection that scatters neighbouring numbers.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A version 4 UUID from 128 given bits.
pub(crate) fn uuid_from(high: u64, low: u64) -> Uuid {
    uuid::Builder::from_random_bytes(Uuid::from_u64_pair(high, low).into_bytes()).into_uuid()
}
