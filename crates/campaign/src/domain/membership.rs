//! Who is in a segment, as of when.

/// The last two stays of a person in a segment. Times in microseconds; an exit of 0 means still inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) enter_us: i64,
    pub(crate) exit_us: i64,
    pub(crate) prev_enter_us: i64,
    pub(crate) prev_exit_us: i64,
}

impl Membership {
    /// Takes in that the person entered. Told twice it changes nothing; told of a stay that had ended, it goes on: a split
    /// ends every stay, and what is told again begins those anew that are left.
    pub(crate) fn enter(&mut self, enter_us: i64) {
        if self.enter_us != 0 && self.exit_us == 0 {
            return;
        }
        if self.enter_us == enter_us {
            self.exit_us = 0;
            return;
        }
        (self.prev_enter_us, self.prev_exit_us) = (self.enter_us, self.exit_us);
        (self.enter_us, self.exit_us) = (enter_us, 0);
    }

    /// Takes in that the stay that began at `former_us` began at `enter_us`.
    pub(crate) fn redate(&mut self, former_us: i64, enter_us: i64) {
        if self.enter_us == former_us {
            self.enter_us = enter_us;
        }
        if self.prev_enter_us == former_us {
            self.prev_enter_us = enter_us;
        }
    }

    /// Takes in that the person left.
    pub(crate) fn exit(&mut self, exit_us: i64) {
        if self.exit_us == 0 {
            self.exit_us = exit_us;
        }
    }

    /// Whether the person was inside at `as_of_us`.
    pub(crate) fn is_inside(&self, as_of_us: i64) -> bool {
        self.since_us(as_of_us).is_some()
    }

    /// Returns when the stay began in which the person was at `as_of_us`.
    pub(crate) fn since_us(&self, as_of_us: i64) -> Option<i64> {
        let stays = [(self.enter_us, self.exit_us), (self.prev_enter_us, self.prev_exit_us)];
        let mut covering = stays.into_iter().filter(|&(enter_us, exit_us)| {
            enter_us != 0 && enter_us <= as_of_us && (exit_us == 0 || exit_us > as_of_us)
        });
        covering.next().map(|(enter_us, _)| enter_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_is_told_as_of_an_instant() {
        let mut stay = Membership::default();
        stay.enter(10);
        stay.enter(10);
        stay.exit(20);
        stay.enter(30);

        let inside: Vec<i64> = [5, 10, 19, 20, 29, 30, 99].into_iter().filter(|&at| stay.is_inside(at)).collect();
        assert_eq!(inside, [10, 19, 30, 99]);

        stay.exit(40);
        stay.enter(30);
        assert!(stay.is_inside(50), "the same stay goes on");

        stay.redate(30, 25);
        stay.redate(7, 6);
        assert!(stay.is_inside(25) && !stay.is_inside(24) && !stay.is_inside(6));
    }
}
