//! Bringing the containers of one variant up: all created at once, each started as soon as its dependencies are as far as it needs.
//!
//! Calls that change the engine's world are never dropped midway: a creation whose caller has gone may still take effect after the
//! unwinding. Only waiting is cut short, by a token.

use super::{
    container::{Blueprint, Reach, blueprint, missing_binds, networks_of, use_external_volumes},
    engine::Engine,
    events::{Expected, follow_events},
    images::Images,
    names::Names,
    ready::{Up, Wait},
    stack::{DockerStack, Member},
    tail::follow_logs,
    wrap::{archive, wrap},
};
use crate::{
    Launch, Notice, Notices, RuntimeError,
    lines::LineSink,
    marks,
    order::{self, Board, Progress},
    runtime::Place,
};
use bollard::{
    body_full,
    models::NetworkConnectRequest,
    query_parameters::{CreateContainerOptionsBuilder, UploadToContainerOptionsBuilder},
};
use bytes::Bytes;
use futures_util::future::join_all;
use indexmap::IndexMap;
use shakedown_model::stack::{Condition, ContainerSpec, StackSpec};
use shakedown_undo::{Journal, Undo};
use std::sync::Arc;
use testcontainers::{ContainerAsync, GenericImage, ImageExt, ReuseDirective, runners::AsyncRunner};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// Starts everything; an error leaves what was made to the journal.
pub(crate) async fn start(
    engine: Arc<Engine>,
    images: Arc<Images>,
    launch: Launch<'_>,
    journal: &Journal,
    notices: Notices,
    cancel: CancellationToken,
) -> Result<DockerStack, RuntimeError> {
    let spec = launch.spec;
    let Place::Docker(ground) = &launch.prepared.place else {
        return Err(RuntimeError::NothingToStart("these networks were prepared by another runtime".to_owned()));
    };
    check(spec, &launch)?;
    for warning in &ground.warnings {
        let _ = notices.send(Notice::Warning(warning.clone()));
    }
    let up = Ascent {
        names: Names::of(spec),
        board: Board::new(spec.project.services.keys().map(String::as_str)),
        stop: cancel.child_token(),
        deadline: Instant::now() + launch.patience,
        reach: ground.reach,
        engine: Arc::clone(&engine),
        launch: &launch,
        notices: &notices,
    };
    up.create_all(journal).await?;
    let expected = Expected::default();
    let (sink, lines) = LineSink::new();
    let members = up.members();
    let mut followers = JoinSet::new();
    let starts: IndexMap<String, watch::Sender<u64>> = members.iter().map(|(name, member)| (name.clone(), member.starts.clone())).collect();
    followers.spawn(follow_events(Arc::clone(&engine), up.names.clone(), starts, expected.clone(), notices.clone()));
    for (name, member) in &members {
        followers.spawn(follow_logs(Arc::clone(&engine), member.container.clone(), name.clone(), sink.clone(), member.starts.subscribe()));
    }
    let handles = up.start_all(&members).await?;
    let names = up.names.clone();
    Ok(DockerStack::new(engine, images, names, up.reach, members, handles, sink, lines, expected, notices, followers))
}

fn check(spec: &StackSpec, launch: &Launch<'_>) -> Result<(), RuntimeError> {
    let services = &spec.project.services;
    if services.is_empty() {
        return Err(RuntimeError::NothingToStart("the compose file has no services; add one, or use `--runtime process`".to_owned()));
    }
    if let Some(edge) = launch.wiring.keys().next() {
        return Err(RuntimeError::Unsupported {
            runtime: "docker",
            what: format!("lead the edge `{edge}` through the harness"),
            way_out: "faults on edges are made by an agent beside the service".to_owned(),
        });
    }
    let dependencies = services.iter().map(|(name, service)| (name.as_str(), service.depends_on.as_slice())).collect();
    order::check(&dependencies)?;
    for service in services.values() {
        if let Some(path) = missing_binds(service).first() {
            return Err(RuntimeError::NothingToStart(format!(
                "service `{}` mounts {}, which does not exist; make it, or take the mount out",
                service.name,
                path.display()
            )));
        }
    }
    Ok(())
}

/// The way up of one variant.
struct Ascent<'a> {
    engine: Arc<Engine>,
    launch: &'a Launch<'a>,
    names: Names,
    board: Board,
    reach: Reach,
    stop: CancellationToken,
    deadline: Instant,
    notices: &'a Notices,
}

/// A container that testcontainers started and whose destructor leaves it alone.
pub(crate) type Handle = ContainerAsync<GenericImage>;

impl Ascent<'_> {
    fn spec(&self) -> &StackSpec {
        self.launch.spec
    }

    async fn create_all(&self, journal: &Journal) -> Result<(), RuntimeError> {
        let services = self.spec().project.services.values();
        let undo =
            |service: &ContainerSpec| Undo::RemoveContainer { name: self.names.container(&service.name), run: self.names.run.clone() };
        journal.intend_all(services.clone().map(undo).collect()).await?;
        join_all(services.map(|service| self.create(service))).await.into_iter().collect()
    }

    async fn create(&self, service: &ContainerSpec) -> Result<(), RuntimeError> {
        let image = self.launch.built.images.get(&service.name).ok_or_else(|| {
            RuntimeError::NothingToStart(format!("service `{}` has no image: `build` was not called for it", service.name))
        })?;
        let Blueprint { mut body, further_networks } = blueprint(self.spec(), service, image, self.reach);
        use_external_volumes(&self.spec().project, service, &mut body);
        let wrapped = self.launch.wraps.get(&service.name);
        if let Some(wrapped) = wrapped {
            let found = self.engine.docker.inspect_image(image).await.map_err(RuntimeError::engine(format!("inspect image {image}")))?;
            wrap(&mut body, &self.spec().project, service, &found.config.unwrap_or_default(), wrapped)?;
        }
        let name = self.names.container(&service.name);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let created = self.engine.docker.create_container(Some(options), body).await;
        created.map_err(RuntimeError::engine(format!("create the container of service `{}`", service.name)))?;
        if let Some(wrapped) = wrapped {
            self.put_in(service, &name, wrapped.binary).await?;
        }
        for (network, endpoint) in further_networks {
            let request = NetworkConnectRequest { container: name.clone(), endpoint_config: Some(endpoint) };
            let connected = self.engine.docker.connect_network(&network, request).await;
            connected.map_err(RuntimeError::engine(format!("connect service `{}` to network {network}", service.name)))?;
        }
        Ok(())
    }

    /// Puts the program into a container that has not begun.
    async fn put_in(&self, service: &ContainerSpec, container: &str, binary: &[u8]) -> Result<(), RuntimeError> {
        let archive = archive(binary).map_err(RuntimeError::io("pack the program that mounts"))?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let uploaded = self.engine.docker.upload_to_container(container, Some(options), body_full(Bytes::from(archive))).await;
        uploaded.map_err(RuntimeError::engine(format!("put the program that mounts into service `{}`", service.name)))
    }

    fn members(&self) -> IndexMap<String, Member> {
        let spec = self.spec();
        let member = |service: &ContainerSpec| {
            let networks = networks_of(&spec.project, service).into_iter();
            let external = |name: &String| spec.project.networks.get(name).and_then(|network| network.external.clone());
            let networks = networks.map(|name| external(&name).unwrap_or_else(|| self.names.network(&name))).collect();
            Member { container: self.names.container(&service.name), networks, starts: watch::Sender::new(0) }
        };
        spec.project.services.values().map(|service| (service.name.clone(), member(service))).collect()
    }

    /// Starts all; the first error stops the waiting of the others and is the one that is told.
    async fn start_all(&self, members: &IndexMap<String, Member>) -> Result<IndexMap<String, Handle>, RuntimeError> {
        let starts = self.spec().project.services.values().map(|service| async move {
            let outcome = self.bring_up(service, &members[&service.name]).await;
            if outcome.is_err() {
                self.stop.cancel();
            }
            outcome.map(|handle| (service.name.clone(), handle))
        });
        let mut handles = IndexMap::new();
        let mut first_error = None;
        for outcome in join_all(starts).await {
            match outcome {
                Ok((name, handle)) => drop(handles.insert(name, handle)),
                Err(RuntimeError::Cancelled) if first_error.is_some() => {}
                Err(error) if matches!(first_error, None | Some(RuntimeError::Cancelled)) => first_error = Some(error),
                Err(_) => {}
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(handles),
        }
    }

    async fn bring_up(&self, service: &ContainerSpec, member: &Member) -> Result<Handle, RuntimeError> {
        tokio::select! {
            () = self.stop.cancelled() => return Err(RuntimeError::Cancelled),
            () = self.board.wait_for(&service.depends_on) => {}
        }
        let _ = self.notices.send(Notice::Starting { service: service.name.clone() });
        let began = Instant::now();
        let handle = self.start_one(service, member).await?;
        member.starts.send_modify(|count| *count += 1);
        self.board.reach(&service.name, Progress::Started);
        let wait = Wait {
            engine: &self.engine,
            service,
            container: &member.container,
            network: member.networks.first().map_or("", String::as_str),
            reach: self.reach,
            must_complete: self.must_complete(&service.name),
            deadline: self.deadline,
            patience: self.launch.patience,
        };
        let up = tokio::select! {
            () = self.stop.cancelled() => return Err(RuntimeError::Cancelled),
            up = wait.until_ready() => up?,
        };
        self.board.reach(&service.name, if up == Up::Completed { Progress::Completed } else { Progress::Ready });
        let _ = self.notices.send(Notice::Ready { service: service.name.clone(), after: began.elapsed() });
        Ok(handle)
    }

    fn must_complete(&self, service: &str) -> bool {
        let dependencies = self.spec().project.services.values().flat_map(|other| &other.depends_on);
        dependencies.into_iter().any(|dependency| dependency.service == service && dependency.condition == Condition::CompletedSuccessfully)
    }

    /// testcontainers finds the container that we created by its label and starts it. `ReuseDirective::Always` makes its destructor
    /// leave the container alone: removal is the journal's.
    async fn start_one(&self, service: &ContainerSpec, member: &Member) -> Result<Handle, RuntimeError> {
        let request = GenericImage::new("shakedown.invalid/created-before", "none")
            .with_label(marks::NAME, &member.container)
            .with_container_name(&member.container)
            .with_reuse(ReuseDirective::Always);
        request.start().await.map_err(|source| RuntimeError::Start { service: service.name.clone(), source: Box::new(source) })
    }
}
