//! What a process counts and measures, for Prometheus to read.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    encoding::text,
    registry::{Metric, Registry},
};

/// The metrics of a process. Cloning shares them.
///
/// A metric has a unit in its name and no unbounded label; tenant ids are not labels. Several services may share one process, so
/// what more than one of them counts is registered through [`shared`](Self::shared).
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    registry: Registry,
    shared: BTreeMap<String, Box<dyn Any + Send>>,
}

impl Metrics {
    /// Returns an empty set of metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives access to the registry, to register metrics that exist once in a process.
    pub fn registry<R>(&self, register: impl FnOnce(&mut Registry) -> R) -> R {
        register(&mut self.lock().registry)
    }

    /// Returns the metric called `name`, registering the one `make` returns on first use.
    ///
    /// # Panics
    /// When `name` was registered before with another type.
    pub fn shared<M: Metric + Clone>(&self, name: &str, help: &str, make: impl FnOnce() -> M) -> M {
        let mut inner = self.lock();
        if let Some(known) = inner.shared.get(name) {
            return known
                .downcast_ref::<M>()
                .unwrap_or_else(|| panic!("metric {name} is registered with another type"))
                .clone();
        }
        let metric = make();
        inner.registry.register(name, help, metric.clone());
        inner.shared.insert(name.to_owned(), Box::new(metric.clone()));
        metric
    }

    /// Returns all metrics in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.lock().registry).expect("writing to a string cannot fail");
        text
    }

    /// A poisoned lock only means that some registration panicked; what was registered before is still good.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn a_shared_metric_is_registered_once() {
        let metrics = Metrics::new();

        for _ in 0..3 {
            let records: Counter = metrics.shared("log_records", "Records appended", Counter::default);
            records.inc();
        }

        let text = metrics.render();
        assert_eq!(text.matches("# TYPE log_records counter").count(), 1);
        assert!(text.contains("log_records_total 3"));
    }
}
