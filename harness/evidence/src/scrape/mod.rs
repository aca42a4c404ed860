//! A service's Prometheus endpoint, read once a second.
//!
//! Knows one address at a time: a service that is restarted comes back elsewhere, and whoever restarts it says where.

mod exposition;
mod fetch;
mod openmetrics;
mod protobuf;

use crate::{
    ask::Answer,
    recorder::Recorder,
    source::{Source, SourceError},
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use std::{fmt, net::SocketAddr, time::Duration};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Between two scrapes.
const EVERY: Duration = Duration::from_secs(1);
/// So many failures in a row are told: one or two happen while a service starts.
const TOLD_AFTER: u64 = 3;

/// What is called when an endpoint does not answer.
type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// Scrapes one service.
pub struct Scraper {
    name: String,
    service: String,
    address: watch::Receiver<SocketAddr>,
    path: String,
    tell: Tell,
}

impl fmt::Debug for Scraper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraper").field("service", &self.service).field("path", &self.path).finish_non_exhaustive()
    }
}

impl Scraper {
    /// Scrapes `path` (with the leading slash) of `service`, wherever `address` says that it is.
    pub fn new(service: &str, address: watch::Receiver<SocketAddr>, path: &str) -> Self {
        let tell: Tell = Box::new(|_| {});
        Self { name: format!("metrics of {service}"), service: service.to_owned(), address, path: path.to_owned(), tell }
    }

    /// Calls `tell` with the reason when three scrapes in a row have failed; once, however long it lasts.
    #[must_use]
    pub fn on_failure(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.tell = Box::new(tell);
        self
    }

    async fn scrape(&self, recorder: &Recorder) -> Result<(), String> {
        let address = *self.address.borrow();
        let page = fetch::fetch(address, &self.path).await.map_err(|error| error.to_string())?;
        let (request, lost) = to_otlp(&self.service, &page);
        recorder.lost(format!("native histograms of {} that cannot be kept (their count and sum are)", self.service), lost);
        let request = request.ok_or_else(|| {
            format!("http://{address}{} answered with something that holds no sample in a format of Prometheus", self.path)
        })?;
        recorder.metrics(request).map(|_| ()).map_err(|overloaded| overloaded.to_string())
    }
}

/// Its samples in whatever format it says that it has, and how many native histograms could not be kept. What is no UTF-8 is replaced.
fn to_otlp(service: &str, page: &Answer) -> (Option<ExportMetricsServiceRequest>, u64) {
    let kind = page.content_type.to_ascii_lowercase();
    if kind.starts_with("application/vnd.google.protobuf") {
        return protobuf::to_otlp(service, &page.body);
    }
    let text = String::from_utf8_lossy(&page.body);
    if kind.starts_with("application/openmetrics-text") {
        return (exposition::openmetrics_to_otlp(service, &text), 0);
    }
    (exposition::to_otlp(service, &text), 0)
}

#[async_trait::async_trait]
impl Source for Scraper {
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(self: Box<Self>, recorder: Recorder, stop: CancellationToken) -> Result<(), SourceError> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut attempts, mut failures, mut in_a_row, mut told) = (0, 0, 0, false);
        let mut reason = String::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            let scraped = tokio::select! {
                () = stop.cancelled() => break,
                scraped = self.scrape(&recorder) => scraped,
            };
            attempts += 1;
            match scraped {
                Ok(()) => in_a_row = 0,
                Err(why) => {
                    (failures, in_a_row, reason) = (failures + 1, in_a_row + 1, why);
                    recorder.lost(format!("scrapes of {} that failed", self.service), 1);
                }
            }
            if in_a_row == TOLD_AFTER && !told {
                told = true;
                (self.tell)(&reason);
            }
        }
        if attempts > 0 && failures == attempts {
            return Err(SourceError::NeverScraped { source_name: self.name, attempts, reason });
        }
        Ok(())
    }
}
