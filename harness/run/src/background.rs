//! What runs beside the plays of a round: sources, recorders, links, and who tells what the runtime notices. No task is left alone.

use crate::conductor::Orders;
use shakedown_evidence::{Losses, Recorder, RecorderDriver, Source};
use shakedown_link::LinkDriver;
use shakedown_model::{event::Event, stack::Variant};
use shakedown_runtime::Notice;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Sources, recorders and everything else that runs beside the scenarios.
#[derive(Default)]
pub(crate) struct Background {
    sources: CancellationToken,
    recorders: CancellationToken,
    tasks: JoinSet<()>,
    telling: JoinSet<()>,
    reading: JoinSet<(Variant, String, Result<(), String>)>,
    writing: JoinSet<(Variant, Result<Losses, String>)>,
}

impl Background {
    /// A channel whose notices become events.
    pub(crate) fn notices(&mut self, orders: &Orders, variant: Variant) -> shakedown_runtime::Notices {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (announcer, stop) = (orders.announcer.clone(), self.sources.clone());
        self.telling.spawn(async move {
            loop {
                let notice = tokio::select! {
                    biased;
                    notice = receiver.recv() => notice,
                    () = stop.cancelled() => return,
                };
                let Some(notice) = notice else { return };
                announcer.say(match notice {
                    Notice::Building { what } => Event::Building { variant, what },
                    Notice::Starting { service } => Event::ServiceStarting { variant, service },
                    Notice::Ready { service, after } => Event::ServiceReady { variant, service, after_ms: after.as_millis() as u64 },
                    Notice::Changed { service, what } => Event::ServiceChanged { variant, service, what },
                    Notice::Warning(message) => Event::Warning { message },
                });
            }
        });
        sender
    }

    pub(crate) fn source(&mut self, variant: Variant, source: Box<dyn Source>, recorder: &Recorder) {
        let (recorder, stop) = (recorder.clone(), self.sources.clone());
        self.reading.spawn(async move {
            let name = source.name().to_owned();
            let ended = source.run(recorder, stop).await.map_err(|error| error.to_string());
            (variant, name, ended)
        });
    }

    /// A link works until the sources end.
    pub(crate) fn link(&mut self, driver: LinkDriver) {
        let stop = self.sources.clone();
        self.tasks.spawn(async move { driver.run(stop).await });
    }

    pub(crate) fn record(&mut self, variant: Variant, driver: RecorderDriver) {
        let stop = self.recorders.clone();
        self.writing.spawn(async move { (variant, driver.run(stop).await.map_err(|error| error.to_string())) });
    }

    /// Sources first, then the recorders, so that what is on its way is still written.
    pub(crate) async fn finish(mut self, orders: &Orders) {
        let announcer = &orders.announcer;
        self.sources.cancel();
        while let Some(joined) = self.reading.join_next().await {
            match joined {
                Ok((_, _, Ok(()))) => {}
                Ok((variant, source, Err(error))) => announcer.say(Event::SourceFailed { variant, source, error }),
                Err(error) => announcer.warn(format!("a source of evidence ended badly: {error}")),
            }
        }
        self.recorders.cancel();
        while let Some(joined) = self.writing.join_next().await {
            match joined {
                Ok((variant, Ok(losses))) => {
                    for (what, count) in losses {
                        announcer.say(Event::TelemetryDropped { variant, what, count });
                    }
                }
                Ok((variant, Err(error))) => announcer.say(Event::SourceFailed { variant, source: "recorder".to_owned(), error }),
                Err(error) => announcer.warn(format!("a recorder ended badly: {error}")),
            }
        }
        // They tell what they have heard, and end.
        while self.telling.join_next().await.is_some() {}
        self.tasks.shutdown().await;
    }
}
