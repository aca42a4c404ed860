//! Services as containers. Images, networks, logs, events, exec and removal through bollard; starting through testcontainers.

mod beside;
mod container;
mod context;
mod engine;
mod events;
mod ground;
mod ignore;
mod images;
mod inspect;
mod limits;
mod names;
mod ready;
mod stack;
mod start;
mod survey;
mod tail;
mod within;
mod wrap;

pub use engine::Engine;
pub(crate) use engine::{is_conflict, is_gone, plain};
pub(crate) use ground::{Ground, gateway_of};
pub(crate) use limits::Declared;

use crate::{Built, Launch, Notices, Powers, Prepared, Runtime, RuntimeError, Stack};
use images::Images;
use shakedown_model::{plan::RuntimeKind, stack::StackSpec};
use shakedown_undo::Journal;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Services as containers of one engine.
#[derive(Debug)]
pub struct DockerRuntime {
    engine: Arc<Engine>,
    images: Arc<Images>,
}

impl DockerRuntime {
    /// On an engine that answers.
    pub fn new(engine: Engine) -> DockerRuntime {
        let engine = Arc::new(engine);
        DockerRuntime { images: Arc::new(Images::new(Arc::clone(&engine))), engine }
    }
}

#[async_trait::async_trait]
impl Runtime for DockerRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    fn engine(&self) -> String {
        self.engine.describe()
    }

    fn powers(&self) -> Powers {
        Powers { stand_beside: true, wiring: false }
    }

    async fn build(&self, spec: &StackSpec, notices: &Notices, cancel: &CancellationToken) -> Result<Built, RuntimeError> {
        self.images.provide(spec, notices, cancel).await
    }

    async fn prepare(&self, spec: &StackSpec, journal: &Journal) -> Result<Prepared, RuntimeError> {
        ground::prepare(&self.engine, spec, journal).await
    }

    async fn start(
        &self,
        launch: Launch<'_>,
        journal: Arc<Journal>,
        notices: Notices,
        cancel: CancellationToken,
    ) -> Result<Box<dyn Stack>, RuntimeError> {
        let stack = start::start(Arc::clone(&self.engine), Arc::clone(&self.images), launch, &journal, notices, cancel).await?;
        Ok(Box::new(stack))
    }
}
