use std::sync::atomic::{AtomicU32, Ordering};

/// What one call adds, in tenths of a retry.
const DEPOSIT: u32 = 1;

/// What one retry takes, in tenths of a retry.
const WITHDRAWAL: u32 = 10;

/// Most that is saved up, in tenths of a retry; also the start.
const CAPACITY: u32 = 200;

/// Limits retries to a tenth of the calls, beyond a small reserve.
///
/// Without it every caller retries at once when a service falters, and multiplies the load that made it falter.
#[derive(Debug)]
pub(super) struct RetryBudget(AtomicU32);

impl RetryBudget {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(CAPACITY))
    }

    /// Notes a call.
    pub(super) fn deposit(&self) {
        self.change(|balance| (balance < CAPACITY).then(|| balance + DEPOSIT));
    }

    /// Asks for a retry. Returns whether there is enough left.
    pub(super) fn withdraw(&self) -> bool {
        self.change(|balance| balance.checked_sub(WITHDRAWAL))
    }

    fn change(&self, step: impl FnMut(u32) -> Option<u32>) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_refuses_until_ten_calls_refill_it() {
        let budget = RetryBudget::new();
        let granted = (0..100).filter(|_| budget.withdraw()).count();

        for _ in 0..9 {
            budget.deposit();
        }
        let too_early = budget.withdraw();
        budget.deposit();

        assert_eq!(granted, 20);
        assert!(!too_early);
        assert!(budget.withdraw());
    }
}
