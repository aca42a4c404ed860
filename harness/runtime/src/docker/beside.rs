//! A helper beside a service: a container of one binary, in namespaces of the service, at the end of a pipe.
//!
//! It is not made with testcontainers, which cannot say `StdinOnce`: the engine then closes the helper's stdin when we are gone, also
//! when we were killed, and it takes back what it did.

use super::{engine::Engine, names::Names};
use crate::{Helper, Notice, Notices, Pipe, Post, RuntimeError};
use bollard::{
    container::LogOutput,
    models::{ContainerCreateBody, HostConfig, HostConfigLogConfig},
    query_parameters::{AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, StartContainerOptions},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use shakedown_undo::{Journal, Undo};
use std::io;
use tokio_util::io::StreamReader;

/// Where a helper is put.
pub(crate) struct Place<'a> {
    pub(crate) helper: &'a Helper,
    pub(crate) service: &'a str,
    pub(crate) container: &'a str,
    pub(crate) name: &'a str,
    pub(crate) image: &'a str,
}

pub(crate) async fn stand(
    engine: &Engine,
    names: &Names,
    place: Place<'_>,
    journal: &Journal,
    notices: &Notices,
) -> Result<Pipe, RuntimeError> {
    let doing = |what: &str| RuntimeError::engine(format!("{what} the {} beside service `{}`", place.helper.name, place.service));
    journal.intend(Undo::RemoveContainer { name: place.name.to_owned(), run: names.run.clone() }).await?;
    let docker = &engine.docker;
    let options = CreateContainerOptionsBuilder::new().name(place.name).build();
    docker.create_container(Some(options), body(names, &place)).await.map_err(doing("create"))?;
    // Attached before it runs, so that nothing it says is missed.
    let options = AttachContainerOptionsBuilder::new().stdin(true).stdout(true).stderr(true).stream(true).build();
    let attached = docker.attach_container(place.name, Some(options)).await.map_err(doing("attach to"))?;
    docker.start_container(place.name, None::<StartContainerOptions>).await.map_err(doing("start"))?;
    let output = stdout_of(attached.output, format!("{} beside `{}`", place.helper.name, place.service), notices.clone());
    Ok(Pipe { input: Box::new(attached.input), output: Box::new(StreamReader::new(Box::pin(output))) })
}

fn body(names: &Names, place: &Place<'_>) -> ContainerCreateBody {
    let of_service = Some(format!("container:{}", place.container));
    let (capabilities, user): (&[&str], _) = match place.helper.post {
        Post::Packets => (&["NET_ADMIN"], None),
        Post::Relay => (&[], Some(format!("{0}:{0}", Post::RELAY_USER))),
        Post::Processes => (&["SYS_PTRACE", "SETUID", "SETGID"], None),
    };
    let is_among_processes = place.helper.post == Post::Processes;
    let host_config = HostConfig {
        network_mode: if is_among_processes { Some("none".to_owned()) } else { of_service.clone() },
        pid_mode: of_service.filter(|_| is_among_processes),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(capabilities.iter().map(|&name| name.to_owned()).collect()),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(true),
        // What it says is for us alone.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(place.image.to_owned()),
        user,
        // Not the service's label: the death of a helper is not the death of the service.
        labels: Some(names.labels()),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    }
}

/// What is said on stdout; what is said on stderr becomes a warning.
pub(super) fn stdout_of(
    output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static,
    who: String,
    notices: Notices,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    output.filter_map(move |frame| {
        let bytes = match frame {
            Ok(LogOutput::StdErr { message }) => {
                let text = String::from_utf8_lossy(&message);
                let _ = notices.send(Notice::Warning(format!("{who}: {}", text.trim_end())));
                None
            }
            Ok(frame) => Some(Ok(frame.into_bytes())),
            Err(error) => Some(Err(io::Error::other(error))),
        };
        std::future::ready(bytes)
    })
}
