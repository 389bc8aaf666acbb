use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// Room is counted in units of so many bytes.
const UNIT_BYTES: usize = 1 << 10;

/// When to come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Room that new bodies may not take up is one part in so many: it is kept for those already begun, so that they can end.
const RESERVE: usize = 4;

/// How many bytes of requests a process holds at once. Cloning shares it.
///
/// Bytes that arrive count until what they belong to is answered, so memory is bounded whatever the number of connections.
#[derive(Clone, Debug)]
pub struct BodyRoom {
    units: Arc<Semaphore>,
    all: usize,
}

/// Room taken; given back when dropped.
#[derive(Debug)]
pub struct Held {
    room: BodyRoom,
    units: usize,
    permits: Vec<OwnedSemaphorePermit>,
}

impl BodyRoom {
    /// Returns room for `kib` KiB.
    pub fn new(kib: u32) -> Self {
        let all = (kib as usize).clamp(1, Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(all)), all }
    }

    /// Begins to hold a body that is said to have `bytes`. Refuses while most of the room is taken.
    pub fn begin(&self, bytes: usize) -> Result<Held, Error> {
        if self.units.available_permits() < units(bytes) + self.all / RESERVE {
            return Err(crowded());
        }
        Ok(Held { room: self.clone(), units: 0, permits: Vec::new() })
    }

    /// Takes room for `bytes`, at most all there is; refuses when there is none now.
    pub fn take(&self, bytes: usize) -> Result<Held, Error> {
        let mut held = Held { room: self.clone(), units: 0, permits: Vec::new() };
        held.grow_to(bytes)?;
        Ok(held)
    }

    /// Takes room for `bytes`, at most all there is, as soon as there is any.
    pub async fn wait_for(self, bytes: usize) -> Held {
        let wanted = units(bytes).min(self.all);
        let permit = Arc::clone(&self.units).acquire_many_owned(wanted as u32).await;
        let permits = vec![permit.expect("the room is never closed")];
        Held { room: self, units: wanted, permits }
    }
}

impl Held {
    /// Holds room for `bytes` altogether, at most all there is; refuses when there is no more now.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Error> {
        let wanted = units(bytes).min(self.room.all);
        let more = wanted.saturating_sub(self.units);
        if more == 0 {
            return Ok(());
        }
        let permit = Arc::clone(&self.room.units).try_acquire_many_owned(more as u32).map_err(|_| crowded())?;
        match self.permits.first_mut() {
            Some(first) => first.merge(permit),
            None => self.permits.push(permit),
        }
        self.units = wanted;
        Ok(())
    }

    /// Gives back what goes beyond `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.units.saturating_sub(units(bytes));
        if let Some(surplus) = self.permits.first_mut().and_then(|first| first.split(less)) {
            drop(surplus);
            self.units -= less;
        }
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT_BYTES).max(1)
}

fn crowded() -> Error {
    Error::resource_exhausted("OVERLOADED", "too many requests are being received").retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_begun_may_end_while_nothing_new_begins() {
        let room = BodyRoom::new(100);
        let mut first = room.begin(50 << 10).unwrap();
        first.grow_to(50 << 10).unwrap();

        assert_eq!(room.begin(30 << 10).unwrap_err().reason, "OVERLOADED");
        first.grow_to(100 << 10).unwrap();
        assert!(room.take(1).is_err());

        first.shrink_to(20 << 10);
        assert!(room.begin(50 << 10).is_ok());
        drop(first);
        assert!(room.take(usize::MAX).is_ok(), "what is larger than the room takes all of it");
    }

    #[tokio::test]
    async fn who_waits_gets_room_when_it_is_given_back() {
        let room = BodyRoom::new(10);
        let held = room.take(10 << 10).unwrap();
        let waiting = tokio::spawn(room.clone().wait_for(4 << 10));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());

        drop(held);

        waiting.await.unwrap();
        assert!(room.take(10 << 10).is_ok());
    }
}
