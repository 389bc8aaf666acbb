//! One order out of several strategies.

use std::sync::Arc;

use super::{STRATEGIES, Scores, Strategy};
use crate::domain::{catalogue::Product, rounded};

/// How much each strategy counts, by its number: what is at hand first, then the person, then the crowd.
const WEIGHTS: Scores = [1.0, 0.6, 0.8, 0.3];

/// A candidate with what the strategies make of it together.
#[derive(Debug)]
pub(super) struct Blended {
    pub(super) number: u32,
    pub(super) product: Arc<Product>,
    /// From 0 to 1, once ranked.
    pub(super) score: f64,
    /// The strategy that contributed most, once ranked.
    pub(super) strategy: Strategy,
    scores: Scores,
}

impl Blended {
    pub(super) fn new(number: u32, product: Arc<Product>, scores: Scores) -> Self {
        Self { number, product, score: 0.0, strategy: Strategy::Popular, scores }
    }
}

/// Scores the candidates and sorts them, the best first, ties by product id.
///
/// Each strategy's scores are brought to 0 to 1 by the best among these candidates, weighted and averaged over the
/// strategies that had anything to say.
pub(super) fn rank(candidates: &mut [Blended]) {
    let mut best: Scores = [0.0; STRATEGIES.len()];
    for candidate in candidates.iter() {
        for (best, score) in best.iter_mut().zip(candidate.scores) {
            *best = best.max(score);
        }
    }
    let spoke = |strategy: &Strategy| best[*strategy as usize] > 0.0;
    let total_weight: f64 =
        STRATEGIES.iter().filter(|strategy| spoke(strategy)).map(|&strategy| WEIGHTS[strategy as usize]).sum();

    for candidate in candidates.iter_mut() {
        let mut strongest = 0.0;
        let mut sum = 0.0;
        for strategy in STRATEGIES.into_iter().filter(spoke) {
            let place = strategy as usize;
            let part = WEIGHTS[place] * candidate.scores[place] / best[place];
            sum += part;
            if part > strongest {
                strongest = part;
                candidate.strategy = strategy;
            }
        }
        candidate.score = if total_weight > 0.0 { rounded(sum / total_weight) } else { 0.0 };
    }
    candidates.sort_unstable_by(|left, right| {
        right.score.total_cmp(&left.score).then_with(|| left.product.product_id.cmp(&right.product.product_id))
    });
}
