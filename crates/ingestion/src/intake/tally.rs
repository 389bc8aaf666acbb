//! Counting what breaks tracking plans, within bounds: names of fields and of software come from senders, and the write
//! key is public.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};

use kit::TenantId;
use store::{Error, Tx};

use crate::domain::plan::Findings;
use crate::store::violations::{self, ViolationKey};

/// Most counts of one source; what comes beyond is counted together.
const MAX_COUNTS: usize = 2_000;
/// Most sources whose counts are remembered.
const MAX_SOURCES: usize = 1_000;
/// Longest name of an event or a field, in bytes.
const MAX_NAME_BYTES: usize = 512;
/// Longest name of software, in bytes.
const MAX_LIBRARY_BYTES: usize = 256;
/// Stands for all that is beyond the bound.
const OTHER: &str = "(other)";

/// What is counted already, by the hash of its key.
#[derive(Default)]
pub(super) struct Tally {
    known: HashMap<(TenantId, String), HashSet<u64>>,
    /// Sources whose known counts the open transaction may have added to.
    touched: Vec<(TenantId, String)>,
}

impl Tally {
    /// Adds findings, each with its source, to the counts of a tenant.
    pub(super) async fn add(
        &mut self,
        tx: &mut Tx,
        tenant: &TenantId,
        found: &[(String, Box<Findings>)],
        now_us: i64,
    ) -> Result<(), Error> {
        let mut additions: BTreeMap<ViolationKey, i64> = BTreeMap::new();
        for (source_id, findings) in found {
            for finding in &findings.found {
                let key = ViolationKey {
                    source_id: source_id.clone(),
                    event_name: cut(&findings.event_name, MAX_NAME_BYTES),
                    field: cut(&finding.field, MAX_NAME_BYTES),
                    rule: finding.rule.to_owned(),
                    library: cut(&findings.library, MAX_LIBRARY_BYTES),
                };
                let key = self.bounded(tx, tenant, key).await?;
                *additions.entry(key).or_default() += 1;
            }
        }
        violations::add(tx, tenant, &additions, now_us).await
    }

    pub(super) fn committed(&mut self) {
        self.touched.clear();
    }

    pub(super) fn rolled_back(&mut self) {
        for source in self.touched.drain(..) {
            self.known.remove(&source);
        }
    }

    /// Returns the key, or the one of all others when there are too many.
    async fn bounded(&mut self, tx: &mut Tx, tenant: &TenantId, key: ViolationKey) -> Result<ViolationKey, Error> {
        let source = (tenant.clone(), key.source_id.clone());
        if !self.known.contains_key(&source) {
            if self.known.len() >= MAX_SOURCES {
                self.known.clear();
            }
            let stored = violations::keys(tx, tenant, &key.source_id, MAX_COUNTS as i64).await?;
            self.known.insert(source.clone(), stored.iter().map(hash).collect());
        }
        if self.touched.last() != Some(&source) {
            self.touched.push(source.clone());
        }
        let known = self.known.get_mut(&source).expect("it was put there above");
        let hash = hash(&key);
        if known.contains(&hash) || known.len() < MAX_COUNTS {
            known.insert(hash);
            return Ok(key);
        }
        let other = || OTHER.to_owned();
        Ok(ViolationKey { event_name: other(), field: other(), library: other(), ..key })
    }
}

fn hash(key: &ViolationKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Returns the beginning of a text, of at most `bytes`.
fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}
