//! The demo shop, both variants at once, as a paired run starts it; prints what it cost.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use shakedown_model::{
    compose,
    stack::{Project, Variant},
};
use shakedown_runtime::{Notice, Runtime, docker::DockerRuntime};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};
use support::{Run, engine, labelled};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/shop").canonicalize().unwrap()
}

fn project() -> Project {
    let read = |name| (shop().join(name), std::fs::read_to_string(shop().join(name)).unwrap());
    let files = BTreeMap::from(["compose.yaml", "Dockerfile", "postgres/Dockerfile", "redis/Dockerfile"].map(read));
    compose::read(&shop().join("compose.yaml"), &files, &BTreeMap::new()).unwrap()
}

async fn checkout(gateway: SocketAddr) -> String {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let body = r#"{"sku": 17}"#;
    let head = format!(
        "POST /checkout HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_starts_twice_at_once_sells_and_leaves_nothing_behind() {
    let Some(engine) = engine("shop").await else { return };
    let base = engine.docker().inspect_image("debian:bookworm-slim").await.is_ok();
    if !shop().join("image/shop").is_file() || !base {
        println!("SKIPPED (run fixtures/shop/build.sh first): the_shop_starts_twice");
        return;
    }
    let runtime = DockerRuntime::new(engine);
    let mut run = Run::new("shop");
    let specs = [Variant::Candidate, Variant::Baseline].map(|variant| {
        let mut spec = run.spec(variant);
        spec.project = project();
        spec
    });
    let began = Instant::now();
    for spec in &specs {
        runtime.build(spec, &run.notices, &run.cancel).await.unwrap();
    }
    println!("build: {:?}", began.elapsed());
    let began = Instant::now();
    let (candidate, baseline) = tokio::join!(run.up(&runtime, &specs[0]), run.up(&runtime, &specs[1]));
    let ups = [candidate.unwrap(), baseline.unwrap()];
    println!("up: {:?}", began.elapsed());
    for notice in run.notices_so_far() {
        match notice {
            Notice::Ready { service, after } => println!("  {service} after {after:?}"),
            other => println!("  {other:?}"),
        }
    }
    for up in &ups {
        let gateway = up.address("gateway", 8080).await.unwrap();
        let answer = checkout(gateway).await;
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    drop(ups);
    let began = Instant::now();
    run.down().await;
    println!("down: {:?}", began.elapsed());
    let engine = support::engine("shop").await.unwrap();
    assert_eq!(labelled(&engine, &run.id).await, Vec::<String>::new());
}
