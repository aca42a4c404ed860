//! A service that begins through a program of ours: the program mounts over directories of the service, gives up what that needed, and
//! becomes the service. Pure but for the archive's bytes.
//!
//! The program is root's and set-user-id, so that the container keeps the user that its file or image says: health checks and executed
//! commands are that user's as before.

use crate::{RuntimeError, Wrap};
use bollard::models::{ContainerCreateBody, DeviceMapping, ImageConfig};
use serde_json::json;
use shakedown_model::stack::{ContainerSpec, MountSource, Project};

/// Where the program lies in the container.
pub(crate) const PROGRAM: &str = "/.shakedown-disk";
const DEVICE: &str = "/dev/fuse";
/// What it needs to mount, to act on everybody's files, and to give all this up again.
const NEEDED: [&str; 9] = ["SYS_ADMIN", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETUID", "SETGID", "SETPCAP"];
/// The engine grants it only where it is asked for.
const NOT_BY_DEFAULT: &str = "SYS_ADMIN";

/// Makes the container of `service` begin through the program; `image` is what its image says.
pub(crate) fn wrap(
    body: &mut ContainerCreateBody,
    project: &Project,
    service: &ContainerSpec,
    image: &ImageConfig,
    wrap: &Wrap,
) -> Result<(), RuntimeError> {
    refuse(service, image)?;
    let program = program(service, image)?;
    let setup = setup(project, service, wrap).to_string();
    body.entrypoint = Some(vec![PROGRAM.to_owned()]);
    body.cmd = Some(["disk".to_owned(), setup, "--".to_owned()].into_iter().chain(program).collect());
    let host = body.host_config.get_or_insert_default();
    let (added, dropped) = (host.cap_add.get_or_insert_default(), host.cap_drop.get_or_insert_default());
    added.extend(lacking(service).iter().map(|name| (*name).to_owned()));
    // What is asked for by name stays dropped if it is also dropped by name.
    dropped.retain(|name| !NEEDED.contains(&bare(name).as_str()));
    let device = DEVICE.to_owned();
    let mapping =
        DeviceMapping { path_on_host: Some(device.clone()), path_in_container: Some(device), cgroup_permissions: Some("rw".to_owned()) };
    host.devices.get_or_insert_default().push(mapping);
    let options = host.security_opt.get_or_insert_default();
    if !options.iter().any(|option| option.starts_with("apparmor")) {
        // The engine's own profile forbids mount(2).
        options.push("apparmor=unconfined".to_owned());
    }
    Ok(())
}

fn refuse(service: &ContainerSpec, image: &ImageConfig) -> Result<(), RuntimeError> {
    let refused = |what: &str, way_out: &str| {
        let what = format!("mount over directories of service `{}`: {what}", service.name);
        Err(RuntimeError::Unsupported { runtime: "docker", what, way_out: way_out.to_owned() })
    };
    if service.read_only {
        return refused(
            "its root file system is read-only, and nothing can be put there",
            "leave `read_only` out in an override for the gate",
        );
    }
    let user = service.user.as_deref().or(image.user.as_deref()).unwrap_or_default();
    let is_root = matches!(user.split(':').next(), Some("" | "0" | "root"));
    let no_new = |option: &String| option.starts_with("no-new-privileges") && !option.ends_with("false");
    if !is_root && service.security_opt.iter().any(no_new) {
        return refused("`no-new-privileges` keeps a program from beginning as root", "leave it out in an override for the gate");
    }
    Ok(())
}

/// What the container would have run, as the engine puts it together.
fn program(service: &ContainerSpec, image: &ImageConfig) -> Result<Vec<String>, RuntimeError> {
    let entrypoint = service.entrypoint.as_ref().or(image.entrypoint.as_ref());
    let of_the_image = image.cmd.as_ref().filter(|_| service.entrypoint.is_none());
    let command = service.command.as_ref().or(of_the_image);
    let words = entrypoint.into_iter().flatten().filter(|word| !word.is_empty()).chain(command.into_iter().flatten());
    let program: Vec<String> = words.cloned().collect();
    if program.is_empty() {
        let why = format!("service `{}` has no command, and its image has none either; give it one", service.name);
        return Err(RuntimeError::NothingToStart(why));
    }
    Ok(program)
}

fn setup(project: &Project, service: &ContainerSpec, wrap: &Wrap) -> serde_json::Value {
    let mounts = wrap.directories.iter().map(|directory| {
        let mut mount = json!({"path": directory.path, "direct": directory.past_cache});
        if is_shared(project, service, &directory.path) {
            mount["cache_ms"] = 0.into();
        }
        mount
    });
    let drop: Vec<String> = lacking(service).iter().map(|name| name.to_ascii_lowercase()).collect();
    json!({"mounts": mounts.collect::<Vec<_>>(), "drop": drop})
}

/// What the program needs and the service would not have: the program gives it up again.
fn lacking(service: &ContainerSpec) -> Vec<&'static str> {
    let names = |list: &[String], name: &str| list.iter().any(|one| bare(one) == name);
    let has = |name: &str| {
        let by_name = names(&service.cap_add, name) || (names(&service.cap_add, "ALL") && !names(&service.cap_drop, name));
        let by_default = name != NOT_BY_DEFAULT && !names(&service.cap_drop, name) && !names(&service.cap_drop, "ALL");
        service.privileged || by_name || by_default
    };
    NEEDED.into_iter().filter(|name| !has(name)).collect()
}

fn bare(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    upper.strip_prefix("CAP_").map_or(upper.clone(), str::to_owned)
}

/// Whether somebody else may write there, past this mount: the kernel must then trust nothing that it remembers.
fn is_shared(project: &Project, service: &ContainerSpec, directory: &str) -> bool {
    let about = |target: &str| {
        let (inside, outside) = (format!("{}/", directory.trim_end_matches('/')), format!("{}/", target.trim_end_matches('/')));
        inside.starts_with(&outside) || outside.starts_with(&inside)
    };
    let elsewhere = |source: &MountSource| {
        let others = project.services.values().filter(|other| other.name != service.name);
        others.flat_map(|other| &other.mounts).any(|mount| mount.source == *source)
    };
    service.mounts.iter().filter(|mount| about(&mount.target)).any(|mount| match &mount.source {
        MountSource::Bind(_) => true,
        MountSource::Volume(volume) => elsewhere(&mount.source) || project.volumes.get(volume).is_some_and(|spec| spec.external.is_some()),
        MountSource::Anonymous => false,
    })
}

/// The program as the engine takes it.
pub(crate) fn archive(binary: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::with_capacity(binary.len() + 4096));
    let mut header = tar::Header::new_gnu();
    header.set_size(binary.len() as u64);
    header.set_mode(0o4755);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_data(&mut header, PROGRAM.trim_start_matches('/'), binary)?;
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WrappedDirectory;
    use shakedown_model::stack::Mount;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn db() -> ContainerSpec {
        ContainerSpec { name: "db".to_owned(), ..ContainerSpec::default() }
    }

    fn image() -> ImageConfig {
        ImageConfig { entrypoint: Some(words(&["entry"])), cmd: Some(words(&["serve", "--now"])), ..ImageConfig::default() }
    }

    fn wrapped(service: &ContainerSpec) -> Result<ContainerCreateBody, RuntimeError> {
        let mut body = ContainerCreateBody::default();
        let host = body.host_config.get_or_insert_default();
        (host.cap_add, host.cap_drop) = (Some(service.cap_add.clone()), Some(service.cap_drop.clone()));
        let directories = vec![WrappedDirectory { path: "/data".to_owned(), past_cache: false }];
        let project = Project { services: [(service.name.clone(), service.clone())].into(), ..Project::default() };
        wrap(&mut body, &project, service, &image(), &Wrap { binary: b"", directories }).map(|()| body)
    }

    #[test]
    fn what_would_have_run_comes_behind_two_dashes_as_the_engine_puts_it_together() {
        let cases = [
            (db(), vec!["entry", "serve", "--now"]),
            (ContainerSpec { command: Some(words(&["other"])), ..db() }, vec!["entry", "other"]),
            (ContainerSpec { entrypoint: Some(words(&["mine"])), ..db() }, vec!["mine"]),
            (ContainerSpec { entrypoint: Some(vec![]), command: Some(words(&["bare"])), ..db() }, vec!["bare"]),
        ];
        for (service, expected) in cases {
            let body = wrapped(&service).unwrap();
            assert_eq!(body.entrypoint.unwrap(), [PROGRAM]);
            assert_eq!(body.cmd.unwrap()[2..], [&["--"], &expected[..]].concat());
        }
        assert!(wrapped(&ContainerSpec { entrypoint: Some(vec![]), ..db() }).is_err(), "there is nothing to run");
    }

    #[test]
    fn the_program_gets_what_it_needs_and_gives_up_what_the_service_would_not_have() {
        let drop = |service: &ContainerSpec| {
            let body = wrapped(service).unwrap();
            let setup: serde_json::Value = serde_json::from_str(&body.cmd.unwrap()[1]).unwrap();
            (setup["drop"].clone(), body.host_config.unwrap())
        };
        let (given_up, host) = drop(&db());
        assert_eq!(given_up, json!(["sys_admin"]));
        assert_eq!((host.cap_add.unwrap(), host.devices.unwrap().len()), (words(&["SYS_ADMIN"]), 1));
        assert_eq!(host.security_opt.unwrap(), ["apparmor=unconfined"]);
        let careful = ContainerSpec { cap_drop: words(&["ALL", "CAP_CHOWN"]), cap_add: words(&["setuid"]), ..db() };
        let (given_up, host) = drop(&careful);
        assert_eq!(given_up.as_array().unwrap().len(), NEEDED.len() - 1, "all but what the file asks for");
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!(drop(&ContainerSpec { privileged: true, ..db() }).0, json!([]));
        assert_eq!(drop(&ContainerSpec { cap_add: words(&["ALL"]), ..db() }).0, json!([]));
    }

    #[test]
    fn what_cannot_be_wrapped_is_said_with_a_way_out() {
        let bound = ContainerSpec { user: Some("app".to_owned()), security_opt: words(&["no-new-privileges:true"]), ..db() };
        for service in [ContainerSpec { read_only: true, ..db() }, bound.clone()] {
            assert!(matches!(wrapped(&service), Err(RuntimeError::Unsupported { .. })));
        }
        assert!(wrapped(&ContainerSpec { user: Some("0:0".to_owned()), ..bound }).is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_directories_that_others_write_to() {
        let mount = |volume: &str| Mount { source: MountSource::Volume(volume.to_owned()), target: "/data".to_owned(), read_only: false };
        let service = |name: &str, volume: &str| ContainerSpec { name: name.to_owned(), mounts: vec![mount(volume)], ..db() };
        let project = |other: &str| Project {
            services: [("db".to_owned(), service("db", "one")), ("other".to_owned(), service("other", other))].into(),
            ..Project::default()
        };
        assert!(is_shared(&project("one"), &service("db", "one"), "/data/inside"));
        assert!(!is_shared(&project("another"), &service("db", "one"), "/data"));
        assert!(!is_shared(&project("one"), &service("db", "one"), "/database"));
    }
}
