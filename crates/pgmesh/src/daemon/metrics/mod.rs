//! What Prometheus is told.
//!
//! `table` says what there is, `counted` counts it as it happens, and `scrape` fills in
//! at each scrape what only the moment knows. Here they meet in one registry.

mod counted;
mod scrape;
mod table;

use std::collections::HashMap;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};

use table::{Kind, Label, Metric, TABLE};

/// Every metric of one daemon. Label values that are not of a metric's own set are its
/// caller's mistake, and left out.
pub(super) struct Metrics {
    registry: Registry,
    counters: HashMap<&'static str, IntCounterVec>,
    gauges: HashMap<&'static str, GaugeVec>,
    histograms: HashMap<&'static str, HistogramVec>,
}

impl Metrics {
    /// With each value of each closed set at 0: what is not there has no rate when it
    /// happens for the first time.
    ///
    /// # Errors
    ///
    /// When the table cannot be used, which a test rules out.
    pub(super) fn new() -> prometheus::Result<Self> {
        let mut metrics = Self {
            registry: Registry::new(),
            counters: HashMap::new(),
            gauges: HashMap::new(),
            histograms: HashMap::new(),
        };
        for metric in TABLE {
            metrics.register(metric)?;
        }
        let process = Box::new(ProcessCollector::for_self());
        metrics.registry.register(process)?;
        Ok(metrics)
    }

    fn register(&mut self, metric: &'static Metric) -> prometheus::Result<()> {
        let (name, options) = (metric.name, Opts::new(metric.name, metric.help));
        let label: Vec<_> = metric.label.iter().map(Label::name).collect();
        match metric.kind {
            Kind::Counter => {
                let counters = IntCounterVec::new(options, &label)?;
                self.enter(&counters)?;
                self.counters.insert(name, counters);
            }
            Kind::Gauge => {
                let gauges = GaugeVec::new(options, &label)?;
                self.enter(&gauges)?;
                self.gauges.insert(name, gauges);
            }
            Kind::Histogram(bounds) => {
                let options = HistogramOpts::from(options).buckets(bounds.to_vec());
                let histograms = HistogramVec::new(options, &label)?;
                self.enter(&histograms)?;
                self.histograms.insert(name, histograms);
            }
        }
        self.begin(metric)
    }

    fn enter<C: Collector + Clone + 'static>(&self, collector: &C) -> prometheus::Result<()> {
        self.registry.register(Box::new(collector.clone()))
    }

    /// Gauges begin with their first scrape.
    fn begin(&self, metric: &Metric) -> prometheus::Result<()> {
        let values = match metric.label {
            None => vec![vec![]],
            Some(Label::Closed(_, values)) => values().into_iter().map(|v| vec![v]).collect(),
            Some(Label::Node) => vec![],
        };
        for value in values {
            if let Some(counters) = self.counters.get(metric.name) {
                counters.get_metric_with_label_values(&value)?;
            }
            if let Some(histograms) = self.histograms.get(metric.name) {
                histograms.get_metric_with_label_values(&value)?;
            }
        }
        Ok(())
    }

    fn add(&self, metric: &Metric, label: &[&str], count: u64) {
        let counters = self.counters.get(metric.name);
        if let Some(Ok(counter)) = counters.map(|c| c.get_metric_with_label_values(label)) {
            counter.inc_by(count);
        }
    }

    /// For what is counted elsewhere.
    fn set_total(&self, metric: &Metric, label: &[&str], total: u64) {
        let counters = self.counters.get(metric.name);
        if let Some(Ok(counter)) = counters.map(|c| c.get_metric_with_label_values(label)) {
            counter.reset();
            counter.inc_by(total);
        }
    }

    fn set(&self, metric: &Metric, label: &[&str], value: f64) {
        let gauges = self.gauges.get(metric.name);
        if let Some(Ok(gauge)) = gauges.map(|g| g.get_metric_with_label_values(label)) {
            gauge.set(value);
        }
    }

    fn observe(&self, metric: &Metric, label: &[&str], value: f64) {
        let histograms = self.histograms.get(metric.name);
        if let Some(Ok(histogram)) = histograms.map(|h| h.get_metric_with_label_values(label)) {
            histogram.observe(value);
        }
    }

    /// Takes away what the last scrape said of the moment: nodes and values may be gone.
    fn clear_moment(&self) {
        self.gauges.values().for_each(GaugeVec::reset);
        let of_nodes = TABLE
            .iter()
            .filter(|m| matches!(m.label, Some(Label::Node)));
        let counters = of_nodes.filter_map(|metric| self.counters.get(metric.name));
        counters.for_each(IntCounterVec::reset);
    }

    fn text(&self) -> String {
        let written = TextEncoder::new().encode_to_string(&self.registry.gather());
        written.unwrap_or_else(|error| {
            tracing::error!("metrics cannot be written: {error} (please report this)");
            String::new()
        })
    }
}
