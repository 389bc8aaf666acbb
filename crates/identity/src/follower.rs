//! What identity does with each batch of the event log: one owner per tenant, as evidence spans partitions.

use eventlog::{Fold, FoldError, FoldFactory, LogRecord, Unit};
use store::Tx;

use crate::registry::{Registry, Shared};

/// Opens the registries of tenants that this replica has become the owner of.
pub(crate) struct Registries {
    pub(crate) shared: Shared,
}

impl FoldFactory for Registries {
    type Fold = TenantFold;

    async fn open(&self, unit: &Unit) -> Result<TenantFold, FoldError> {
        Ok(TenantFold { registry: Registry::new(self.shared.clone(), unit.tenant.clone()) })
    }
}

/// Folds the events of one tenant.
pub(crate) struct TenantFold {
    registry: Registry,
}

impl Fold for TenantFold {
    async fn apply(&mut self, tx: &mut Tx, records: &[LogRecord]) -> Result<(), FoldError> {
        Ok(self.registry.fold(tx, records).await?)
    }

    fn committed(&mut self) {
        self.registry.committed();
    }

    fn rolled_back(&mut self) {
        self.registry.rolled_back();
    }
}
