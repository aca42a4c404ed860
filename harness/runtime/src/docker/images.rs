//! Images: found, pulled or built, and kept between runs under the fingerprint of what they are made from.

use super::{
    context::Context,
    engine::{Engine, is_gone, plain},
};
use crate::{Built, Notice, Notices, RuntimeError, lines::quote, marks, text::hex};
use bollard::{
    body_full, body_try_stream,
    models::{BuildInfo, BuildInfoAux},
    query_parameters::{
        BuildImageOptions, BuildImageOptionsBuilder, BuilderVersion, CreateImageOptionsBuilder, ListImagesOptionsBuilder,
        RemoveImageOptions,
    },
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::poll_fn};
use regex::Regex;
use sha2::{Digest, Sha256};
use shakedown_model::stack::{BuildSpec, ContainerSpec, StackSpec};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long the builder may be silent.
const BUILDER_SILENCE: Duration = Duration::from_mins(20);
/// Lines of the builder that an error message shows.
const BUILDER_LINES: usize = 20;

/// Images of one name that are kept: about as many commits can be gone back to without building.
const KEPT: usize = 10;

/// Builds that are going on in this process, by fingerprint: two variants that ask for the same build at once get one.
static BUSY: LazyLock<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>> = LazyLock::new(Mutex::default);

/// The images of an engine.
#[derive(Debug)]
pub(crate) struct Images {
    engine: Arc<Engine>,
}

impl Images {
    pub(crate) fn new(engine: Arc<Engine>) -> Images {
        Images { engine }
    }

    /// Sees to the images of all services of a stack, one after the other.
    pub(crate) async fn provide(&self, spec: &StackSpec, notices: &Notices, cancel: &CancellationToken) -> Result<Built, RuntimeError> {
        let mut built = Built::default();
        let mut by_tag: HashMap<String, String> = HashMap::new();
        for service in spec.project.services.values().filter(|service| service.build.is_some()) {
            let Some(build) = &service.build else { continue };
            let image = self.built(service, build, notices, cancel, &mut built.fresh).await?;
            by_tag.extend(service.image.clone().map(|tag| (tag, image.clone())));
            built.images.insert(service.name.clone(), image);
        }
        for service in spec.project.services.values().filter(|service| service.build.is_none()) {
            let Some(tag) = &service.image else {
                return Err(RuntimeError::NothingToStart(format!(
                    "service `{}` has neither `image` nor `build`; give it one of them",
                    service.name
                )));
            };
            // One service may build the image that another one names.
            let image = match by_tag.get(tag) {
                Some(image) => image.clone(),
                None => self.present(service, tag, notices, cancel).await?,
            };
            built.images.insert(service.name.clone(), image);
        }
        Ok(built)
    }

    async fn present(
        &self,
        service: &ContainerSpec,
        image: &str,
        notices: &Notices,
        cancel: &CancellationToken,
    ) -> Result<String, RuntimeError> {
        match self.engine.docker.inspect_image(image).await {
            Ok(_) => return Ok(image.to_owned()),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(RuntimeError::engine(format!("look for image {image}"))(error)),
        }
        let _ = notices.send(Notice::Building { what: format!("{}: pulling {image}", service.name) });
        let failed = |why| RuntimeError::Image { service: service.name.clone(), image: image.to_owned(), why };
        let options = CreateImageOptionsBuilder::new().from_image(&with_tag(image)).build();
        let pull = self.engine.docker.create_image(Some(options), None, None).try_for_each(|_| std::future::ready(Ok(())));
        tokio::select! {
            () = cancel.cancelled() => Err(RuntimeError::Cancelled),
            outcome = pull => outcome.map(|()| image.to_owned()).map_err(|error| failed(plain(&error))),
        }
    }

    async fn built(
        &self,
        service: &ContainerSpec,
        build: &BuildSpec,
        notices: &Notices,
        cancel: &CancellationToken,
        fresh: &mut Vec<String>,
    ) -> Result<String, RuntimeError> {
        let (context, fingerprint) = read_context(service, build.clone()).await?;
        let lock = lock_of(&fingerprint);
        let _busy = lock.lock().await;
        if let Some(image) = self.cached(&fingerprint).await? {
            return Ok(image);
        }
        let image = format!("shakedown-{}:{}", reference_part(&service.name), &fingerprint[..12]);
        let _ = notices.send(Notice::Building { what: format!("{}: {image}", service.name) });
        self.run_build(service, build, context, &fingerprint, &image, cancel).await?;
        self.forget_old(&format!("shakedown-{}", reference_part(&service.name))).await;
        fresh.push(image.clone());
        Ok(image)
    }

    /// An image that carries the fingerprint, whatever service it was built for.
    async fn cached(&self, fingerprint: &str) -> Result<Option<String>, RuntimeError> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{}={fingerprint}", marks::CACHE)])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let images = self.engine.docker.list_images(Some(options)).await.map_err(RuntimeError::engine("list images"))?;
        let tags = images.into_iter().flat_map(|image| image.repo_tags);
        Ok(tags.into_iter().find(|tag| tag.starts_with("shakedown-")))
    }

    async fn run_build(
        &self,
        service: &ContainerSpec,
        build: &BuildSpec,
        context: Context,
        fingerprint: &str,
        image: &str,
        cancel: &CancellationToken,
    ) -> Result<(), RuntimeError> {
        let failed = |why: String, log: &VecDeque<String>| RuntimeError::Build {
            service: service.name.clone(),
            context: build.context.display().to_string(),
            why,
            log: quote(log.iter().map(String::as_str)),
        };
        let options = options(build, &context, fingerprint, image);
        let (sender, mut receiver) = mpsc::channel(4);
        let body = body_try_stream(poll_fn(move |cx| receiver.poll_recv(cx)));
        let writer = tokio::task::spawn_blocking(move || context.write_tar(&sender));
        let docker = self.engine.docker.clone().with_timeout(BUILDER_SILENCE);
        let mut log = VecDeque::new();
        let outcome = {
            let mut said = docker.build_image(options, None, Some(body));
            loop {
                let next = tokio::select! {
                    () = cancel.cancelled() => break Err(RuntimeError::Cancelled),
                    next = said.next() => next,
                };
                match next {
                    None => break Ok(()),
                    Some(Ok(info)) => remember(&mut log, &info),
                    Some(Err(error)) => break Err(failed(plain(&error), &log)),
                }
            }
        };
        // The stream is dropped: the writer finds nobody reading and ends.
        let _ = writer.await;
        outcome
    }

    /// Removes the oldest images of a name beyond [`KEPT`]. One that a container uses stays; a failure is nobody's loss.
    async fn forget_old(&self, name: &str) {
        let filters = HashMap::from([("label".to_owned(), vec![marks::CACHE.to_owned()])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let Ok(mut images) = self.engine.docker.list_images(Some(options)).await else { return };
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        let prefix = format!("{name}:");
        let tags = images.into_iter().flat_map(|image| image.repo_tags).filter(|tag| tag.starts_with(&prefix));
        for tag in tags.skip(KEPT) {
            let _ = self.engine.docker.remove_image(&tag, None::<RemoveImageOptions>, None).await;
        }
    }

    /// An image of nothing but one static binary, made in memory; kept between runs.
    pub(crate) async fn of_binary(&self, name: &str, binary: &'static [u8]) -> Result<String, RuntimeError> {
        let fingerprint = hex(&Sha256::digest(binary));
        let lock = lock_of(&fingerprint);
        let _busy = lock.lock().await;
        if let Some(image) = self.cached(&fingerprint).await? {
            return Ok(image);
        }
        let image = format!("shakedown-{name}:{}", &fingerprint[..12]);
        let tar = tokio::task::spawn_blocking(move || binary_tar(binary))
            .await
            .map_err(|error| RuntimeError::io("pack a helper")(std::io::Error::other(error)))?
            .map_err(RuntimeError::io("pack a helper"))?;
        let labels = HashMap::from([(marks::CACHE.to_owned(), fingerprint)]);
        let options = BuildImageOptionsBuilder::new().dockerfile("Dockerfile").t(&image).rm(true).forcerm(true).labels(&labels).build();
        let said = self.engine.docker.build_image(options, None, Some(body_full(Bytes::from(tar))));
        said.try_for_each(|_| std::future::ready(Ok(()))).await.map_err(RuntimeError::engine(format!("build {image}")))?;
        self.forget_old(&format!("shakedown-{name}")).await;
        Ok(image)
    }
}

fn lock_of(fingerprint: &str) -> Arc<tokio::sync::Mutex<()>> {
    let mut busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(busy.entry(fingerprint.to_owned()).or_default())
}

fn binary_tar(binary: &[u8]) -> std::io::Result<Vec<u8>> {
    let dockerfile = b"FROM scratch\nCOPY agent /agent\nENTRYPOINT [\"/agent\"]\n";
    let mut archive = tar::Builder::new(Vec::with_capacity(binary.len() + 4096));
    for (name, mode, bytes) in [("Dockerfile", 0o644, &dockerfile[..]), ("agent", 0o755, binary)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        archive.append_data(&mut header, name, bytes)?;
    }
    archive.into_inner()
}

async fn read_context(service: &ContainerSpec, build: BuildSpec) -> Result<(Context, String), RuntimeError> {
    let directory = build.context.display().to_string();
    let read = tokio::task::spawn_blocking(move || {
        let context = Context::read(&build)?;
        let fingerprint = context.fingerprint(&build)?;
        Ok((context, fingerprint))
    });
    let outcome: std::io::Result<(Context, String)> = read.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
    outcome.map_err(|error| RuntimeError::Build {
        service: service.name.clone(),
        context: directory,
        why: format!("its files cannot be read: {error}"),
        log: String::new(),
    })
}

fn options(build: &BuildSpec, context: &Context, fingerprint: &str, image: &str) -> BuildImageOptions {
    let args: HashMap<String, String> = build.args.clone().into_iter().collect();
    let labels = HashMap::from([(marks::CACHE.to_owned(), fingerprint.to_owned())]);
    let mut options =
        BuildImageOptionsBuilder::new().dockerfile(&context.dockerfile).t(image).rm(true).forcerm(true).buildargs(&args).labels(&labels);
    if let Some(target) = &build.target {
        options = options.target(target);
    }
    if needs_buildkit(&context.dockerfile_text) {
        options = options.version(BuilderVersion::BuilderBuildKit).session(fingerprint);
    }
    options.build()
}

/// The classic builder is in every engine and needs nothing else; BuildKit is asked for where the Dockerfile uses what only it has.
fn needs_buildkit(dockerfile: &str) -> bool {
    let signs = [
        r"(?im)^#\s*syntax\s*=",
        r"(?im)^\s*run\s+--(mount|network|security)",
        r"(?im)^\s*(copy|add)\s+(--\S+\s+)*--(link|chmod|parents|exclude|checksum|keep-git-dir)",
        r"(?im)^\s*(run|copy|add)\b.*<<-?\s*\S?[A-Za-z_]",
        r"\$\{?(BUILD|TARGET)(PLATFORM|ARCH|OS|VARIANT)",
    ];
    signs.iter().any(|sign| Regex::new(sign).is_ok_and(|sign| sign.is_match(dockerfile)))
}

fn remember(log: &mut VecDeque<String>, info: &BuildInfo) {
    let mut text = info.stream.clone().unwrap_or_default();
    if let Some(BuildInfoAux::BuildKit(status)) = &info.aux {
        text.extend(status.logs.iter().map(|log| String::from_utf8_lossy(&log.msg)));
    }
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if log.len() == BUILDER_LINES {
            log.pop_front();
        }
        log.push_back(line.chars().take(400).collect());
    }
}

/// Without a tag the engine would pull all there are.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains(':') || image.contains('@') { image.to_owned() } else { format!("{image}:latest") }
}

/// A service name as a part of an image name: lower-case letters, digits and dashes.
fn reference_part(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    clean.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildkit_is_asked_for_only_where_the_dockerfile_needs_it() {
        let plain = "FROM debian\nRUN apt-get update \\\n && apt-get install -y redis\nCOPY a b /usr/\n";
        assert!(!needs_buildkit(plain));
        for modern in [
            "# syntax=docker/dockerfile:1\nFROM a",
            "FROM a\nRUN --mount=type=cache,target=/c make",
            "FROM a\nCOPY --from=b --chmod=755 x /x",
            "FROM a\nRUN <<EOF\nmake\nEOF\n",
            "FROM --platform=$BUILDPLATFORM a",
        ] {
            assert!(needs_buildkit(modern), "{modern}");
        }
    }

    #[test]
    fn an_image_without_tag_means_latest_and_a_port_is_no_tag() {
        assert_eq!(with_tag("redis"), "redis:latest");
        assert_eq!(with_tag("host:5000/redis"), "host:5000/redis:latest");
        assert_eq!(with_tag("redis:7"), "redis:7");
        assert_eq!(with_tag("redis@sha256:ab"), "redis@sha256:ab");
        assert_eq!(reference_part("My_Service"), "my-service");
    }
}
