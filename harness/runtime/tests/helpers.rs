//! What stands beside a container or runs inside it, and what a container may use: on a real engine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use shakedown_model::{plan::RuntimeKind, stack::ContainerSpec};
use shakedown_runtime::{
    Depth, Lifecycle, Limit, Notice, Pipe, Post, Resource, Reverter, StateWord, Trail, Within, marked, sweep, sweep_run,
};
use shakedown_undo::{Revert, Undo};
use support::{
    Run,
    containers::{docker, echo_agent, ends_clean, service, stack, web},
    engine, eventually, labelled,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The next line that a helper says.
async fn line(pipe: &mut Pipe) -> String {
    let mut said = Vec::new();
    while said.last() != Some(&b'\n') {
        let byte = tokio::time::timeout(support::DEADLINE, pipe.output.read_u8()).await.unwrap().unwrap();
        said.push(byte);
    }
    String::from_utf8(said).unwrap().trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_beside_a_service_shares_its_network_and_ends_with_its_pipe() {
    let Some(runtime) = docker("agent").await else { return };
    let mut run = Run::new("agent");
    let spec = stack(&run, vec![web("web")]);
    let up = run.up(&runtime, &spec).await.unwrap();
    let mut pipe = up.stand_beside("web", &echo_agent(Post::Packets), &run.journal).await.unwrap();
    pipe.input.write_all(b"one\n").await.unwrap();
    let answer = line(&mut pipe).await;
    assert!(answer.starts_with("one beside 8080: true"), "{answer}");
    pipe.input.shutdown().await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(support::DEADLINE, pipe.output.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, b"", "end of file on its stdin ended the agent");

    let dropped = up.stand_beside("web", &echo_agent(Post::Packets), &run.journal).await.unwrap();
    drop(dropped);
    let engine = engine("agent").await.unwrap();
    let name = format!("sd-{}-c-web-agent2", run.id);
    eventually("the end of an agent whose pipe was dropped", async || {
        let found = engine.docker().inspect_container(&name, None).await.unwrap();
        found.state.unwrap().running == Some(false)
    })
    .await;
    let notices = run.notices_so_far();
    assert!(notices.contains(&Notice::Warning("agent beside `web`: agent speaking".to_owned())), "{notices:?}");
    assert!(!notices.iter().any(|notice| matches!(notice, Notice::Changed { .. })), "the end of an agent is not the end of the service");
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helper_has_the_powers_of_its_post_and_no_others() {
    let Some(runtime) = docker("posts").await else { return };
    let run = Run::new("posts");
    let up = run.up(&runtime, &stack(&run, vec![web("web")])).await.unwrap();
    let (net_admin, setgid_setuid_ptrace) = (1_u64 << 12, 1_u64 << 6 | 1 << 7 | 1 << 19);
    for (post, expected) in [
        (Post::Packets, format!("beside 8080: true, user 0, capabilities {net_admin:x}, among: false, cgroup: false")),
        (Post::Relay, "beside 8080: true, user 64317, capabilities 0, among: false, cgroup: false".to_owned()),
        (Post::Processes, format!("beside 8080: false, user 0, capabilities {setgid_setuid_ptrace:x}, among: true, cgroup: false")),
    ] {
        let mut pipe = up.stand_beside("web", &echo_agent(post), &run.journal).await.unwrap();
        pipe.input.write_all(b"I am\n").await.unwrap();
        assert_eq!(line(&mut pipe).await, format!("I am {expected}"), "{post:?}");
    }
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_within_a_service_is_in_its_cgroup_and_ends_with_its_pipe() {
    let Some(runtime) = docker("within").await else { return };
    let run = Run::new("within");
    let user = ContainerSpec { user: Some("1000".to_owned()), ..web("web") };
    let up = run.up(&runtime, &stack(&run, vec![user])).await.unwrap();
    let within = Within { binary: echo_agent(Post::Packets).binary, arguments: &[] };
    let mut pipe = up.run_within("web", &within).await.unwrap();
    pipe.input.write_all(b"I am\n").await.unwrap();
    let said = line(&mut pipe).await;
    assert!(said.contains("user 0") && said.ends_with("among: true, cgroup: true"), "{said}");
    drop(pipe);
    eventually("the end of what ran within", async || up.usage("web").await.unwrap().tasks == 1).await;
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_service_is_named_where_nothing_can_run_within() {
    let Some(runtime) = docker("read_only").await else { return };
    let run = Run::new("read-only");
    let read_only = ContainerSpec { read_only: true, ..web("web") };
    let up = run.up(&runtime, &stack(&run, vec![read_only])).await.unwrap();
    let within = Within { binary: b"#!/bin/sh", arguments: &[] };
    let error = up.run_within("web", &within).await.unwrap_err().to_string();
    assert!(error.contains("`web`") && error.contains("root file system that can be written"), "{error}");
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_service_is_proven_stopped_and_goes_on_even_if_only_the_journal_is_left() {
    let Some(runtime) = docker("stopped").await else { return };
    let run = Run::new("stopped");
    let up = run.up(&runtime, &stack(&run, vec![web("web")])).await.unwrap();
    let stopped = up.change("web", Lifecycle::Stop, &run.journal).await.unwrap();
    assert_eq!(stopped.after.word, StateWord::Paused);
    up.change("web", Lifecycle::Continue, &run.journal).await.unwrap();
    assert!(!run.journal.pending().iter().any(|(_, undo)| matches!(undo, Undo::ContinueContainer { .. })), "settled");
    up.change("web", Lifecycle::Stop, &run.journal).await.unwrap();
    let (_, undo) = run.journal.pending().into_iter().find(|(_, undo)| matches!(undo, Undo::ContinueContainer { .. })).unwrap();
    Reverter::new().revert(&undo).await.unwrap();
    Reverter::new().revert(&undo).await.unwrap();
    // Only a process that runs can be stopped again.
    assert_eq!(up.change("web", Lifecycle::Stop, &run.journal).await.unwrap().after.word, StateWord::Paused);
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_bite_and_give_back_what_the_service_declares() {
    let Some(runtime) = docker("limits").await else { return };
    let run = Run::new("limits");
    let busy =
        ContainerSpec { memory: Some(64 << 20), cpus: Some(1.0), pids_limit: Some(50), ..service("declares", "while :; do :; done") };
    let services = vec![busy, service("free", "while :; do :; done")];
    let up = run.up(&runtime, &stack(&run, services)).await.unwrap();
    let engine = engine("limits").await.unwrap();
    let told = async |service: &str| {
        let found = engine.docker().inspect_container(&format!("sd-{}-c-{service}", run.id), None).await.unwrap().host_config.unwrap();
        (
            found.nano_cpus.unwrap_or_default(),
            found.cpu_quota.unwrap_or_default().max(0),
            found.memory,
            found.pids_limit.unwrap_or_default().max(0),
        )
    };
    let before = told("declares").await;
    for name in ["declares", "free"] {
        let quiet = up.usage(name).await.unwrap().throttled_periods;
        for limit in [Limit::Cpu(0.1), Limit::Memory(32 << 20), Limit::Tasks(20)] {
            up.limit(name, limit, &run.journal).await.unwrap();
        }
        eventually("a throttled service", async || up.usage(name).await.unwrap().throttled_periods > quiet + 2).await;
        let usage = up.usage(name).await.unwrap();
        assert_eq!((usage.memory_limit, usage.tasks), (Some(32 << 20), 1), "{name}");
        for resource in Resource::ALL {
            up.unlimit(name, resource, &run.journal).await.unwrap();
        }
    }
    assert_eq!(told("declares").await, before);
    assert_eq!(up.usage("free").await.unwrap().memory_limit, None);
    up.limit("declares", Limit::Memory(32 << 20), &run.journal).await.unwrap();
    let (_, undo) = run.journal.pending().into_iter().find(|(_, undo)| matches!(undo, Undo::RestoreLimits { .. })).unwrap();
    Reverter::new().revert(&undo).await.unwrap();
    assert_eq!(told("declares").await, before, "what only the journal knows of is restored too");
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_left_limited_stopped_or_with_a_helper_inside_is_seen_by_a_survey() {
    let Some(runtime) = docker("survey").await else { return };
    let run = Run::new("survey");
    let up = run.up(&runtime, &stack(&run, vec![web("web")])).await.unwrap();
    let engine = engine("survey").await.unwrap();
    let before = up.survey("web", Depth::Inside).await.unwrap();
    assert_eq!((before.is_stopped, before.limits.len(), before.ours.len()), (false, 0, 0));
    let name = format!("sd-{}-c-web", run.id);
    let less = bollard::models::ContainerUpdateBody { cpu_period: Some(100_000), cpu_quota: Some(50_000), ..Default::default() };
    engine.docker().update_container(&name, less).await.unwrap();
    assert_eq!(up.survey("web", Depth::Inside).await.unwrap().limits[0], ("quota of cores".to_owned(), 50_000));
    up.unlimit("web", Resource::Cpu, &run.journal).await.unwrap();
    up.change("web", Lifecycle::Stop, &run.journal).await.unwrap();
    assert!(up.survey("web", Depth::Inside).await.unwrap().is_stopped);
    up.change("web", Lifecycle::Continue, &run.journal).await.unwrap();
    assert_eq!(up.survey("web", Depth::Inside).await.unwrap(), before);
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_runs_at_once_a_sweep_spares_both_and_one_that_is_named_is_swept_alone() {
    let Some(runtime) = docker("two_runs").await else { return };
    let (one, other) = (Run::new("one"), Run::new("other"));
    let up = one.up(&runtime, &stack(&one, vec![web("web")])).await.unwrap();
    let stays = other.up(&runtime, &stack(&other, vec![web("web")])).await.unwrap();
    let engine = engine("two_runs").await.unwrap();
    let (all, others) = (labelled(&engine, &one.id).await, labelled(&engine, &other.id).await);
    let trail = Trail::of(&one.id, RuntimeKind::Docker).await;
    sweep().await.unwrap();
    assert_eq!(labelled(&engine, &one.id).await, all, "its owner lives");
    assert_eq!(labelled(&engine, &other.id).await, others);
    assert!(marked().await.unwrap()[&one.id].things.len() >= all.len());
    let left = trail.remains().await;
    assert!(left.contains(&format!("container sd-{}-c-web is still there", one.id)), "{left:?}");
    assert!(left.iter().any(|what| what.starts_with("cgroup ")), "a container that runs has a cgroup: {left:?}");
    drop(up);
    sweep_run(&one.id).await.unwrap();
    assert_eq!(labelled(&engine, &one.id).await, Vec::<String>::new());
    assert_eq!(trail.remains().await, Vec::<String>::new());
    assert_eq!(labelled(&engine, &other.id).await, others);
    ends_clean(&one, None).await;
    ends_clean(&other, Some(stays)).await;
}
