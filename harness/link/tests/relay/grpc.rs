//! Faults on calls of gRPC, between a client and a server as services use them.

use crate::rig::{Rig, soon};
use shakedown_link::{Behaviour, GrpcStatus, HttpAction, Matching, Patch, PathPattern};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{Service, http, tokio_stream},
    server::{NamedService, StreamingService, UnaryService},
    transport::{Channel, Server},
};

type Reply<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

/// Messages are bytes.
#[derive(Clone, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Plain;
    type Decoder = Plain;

    fn encoder(&mut self) -> Plain {
        Plain
    }

    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(bytes::Buf::copy_to_bytes(buffer, length).into()))
    }
}

/// A payment service: it says what it was told, once or as a stream.
#[derive(Clone)]
struct Payment;

impl NamedService for Payment {
    const NAME: &'static str = "shop.Payment";
}

impl UnaryService<Vec<u8>> for Payment {
    type Response = Vec<u8>;
    type Future = Reply<Vec<u8>>;

    fn call(&mut self, request: Request<Vec<u8>>) -> Reply<Vec<u8>> {
        Box::pin(async move { Ok(Response::new(request.into_inner())) })
    }
}

impl StreamingService<Vec<u8>> for Payment {
    type Response = Vec<u8>;
    type ResponseStream = Streaming<Vec<u8>>;
    type Future = Reply<Streaming<Vec<u8>>>;

    fn call(&mut self, request: Request<Streaming<Vec<u8>>>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(request.into_inner())) })
    }
}

impl Service<http::Request<Body>> for Payment {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Plain);
            Ok(if request.uri().path().ends_with("/Watch") {
                grpc.streaming(Payment, request).await
            } else {
                grpc.unary(Payment, request).await
            })
        })
    }
}

/// A client that has connected, its server, and the link between them.
struct Shop {
    rig: Rig,
    client: Grpc<Channel>,
    server: JoinSet<()>,
}

impl Shop {
    async fn open() -> Shop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        // The server answers by itself; nobody calls at the rig's own address.
        let rig = Rig::leading_to(upstream, TcpListener::bind("127.0.0.1:0").await.unwrap()).await;
        let mut server = JoinSet::new();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        server.spawn(async move { Server::builder().add_service(Payment).serve_with_incoming(incoming).await.unwrap() });
        let channel = Channel::from_shared(format!("http://{}", rig.link.address())).unwrap().connect().await.unwrap();
        let shop = Shop { rig, client: Grpc::new(channel), server };
        assert_eq!(shop.call("Charge", b"before".to_vec()).await.unwrap(), b"before");
        shop
    }

    async fn call(&self, method: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut client = self.client.clone();
        soon(call(&mut client, method, message)).await
    }

    async fn shut(mut self) {
        drop(self.client);
        self.server.shutdown().await;
        self.rig.shut().await;
    }
}

async fn call(client: &mut Grpc<Channel>, method: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    client.ready().await.unwrap();
    let path = format!("/shop.Payment/{method}").parse().unwrap();
    Ok(client.unary(Request::new(message), path, Plain).await?.into_inner())
}

fn on(method: &str) -> Matching {
    Matching { path: Some(PathPattern::Glob(format!("/{method}"))), ..Matching::default() }
}

fn unavailable() -> HttpAction {
    HttpAction::GrpcAbort { status: GrpcStatus::UNAVAILABLE, message: "50 % are außer Haus".into() }
}

fn rule(matching: Matching, action: HttpAction) -> Behaviour {
    Behaviour::http(matching, action).unwrap()
}

#[tokio::test]
async fn of_many_calls_on_one_connection_the_share_ends_with_the_status_and_the_others_arrive_whole() {
    const CALLS: usize = 500;
    let shop = Shop::open().await;
    shop.rig.link.set(rule(Matching { share: 0.2, seed: 9, ..on("shop.Payment/Charge") }, unavailable()));
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let (mut client, method) = (shop.client.clone(), if number % 5 == 0 { "Refund" } else { "Charge" });
        let message: Vec<u8> = (0..number * 200).map(|index| (index + number) as u8).collect();
        calls.spawn(async move {
            let reply = call(&mut client, method, message.clone()).await;
            match reply {
                Ok(reply) => assert!(reply == message),
                Err(status) => {
                    assert_eq!((status.code(), status.message(), method), (Code::Unavailable, "50 % are außer Haus", "Charge"));
                    return 1;
                }
            }
            0
        });
    }
    let aborted: u64 = soon(calls.join_all()).await.into_iter().sum();
    let dose = shop.rig.link.dose();
    assert!((50..120).contains(&aborted), "{aborted}");
    assert_eq!((dose.http.requests, dose.http.matched, dose.http.aborted, dose.http.opaque), (CALLS as u64, aborted, aborted, 0));
    assert_eq!(dose.connections_touched, 1);
    shop.rig.link.set(Behaviour::Pass);
    assert_eq!(shop.call("Charge", b"after".to_vec()).await.unwrap(), b"after");
    shop.shut().await;
}

#[tokio::test]
async fn a_call_whose_client_still_streams_ends_at_once() {
    let shop = Shop::open().await;
    shop.rig.link.set(rule(on("shop.Payment/Watch"), unavailable()));
    for _ in 0..3 {
        let mut client = shop.client.clone();
        client.ready().await.unwrap();
        let endless = tokio_stream::StreamExt::chain(tokio_stream::iter([vec![7; 100_000]]), tokio_stream::pending());
        let path = http::uri::PathAndQuery::from_static("/shop.Payment/Watch");
        let status = soon(client.streaming(Request::new(endless), path, Plain)).await.map(|_| ()).unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(shop.call("Charge", vec![1; 2 << 20]).await.unwrap().len(), 2 << 20);
    }
    shop.shut().await;
}

#[tokio::test]
async fn the_status_behind_the_messages_is_changed_and_the_messages_are_not() {
    let shop = Shop::open().await;
    let set = vec![("grpc-status".into(), "15".into()), ("grpc-message".into(), "lost".into())];
    shop.rig.link.set(rule(on("shop.Payment/*"), HttpAction::Patch(Patch { set, ..Patch::default() })));
    let mut client = shop.client.clone();
    client.ready().await.unwrap();
    let said = tokio_stream::iter([b"one".to_vec(), vec![2; 100_000]]);
    let path = http::uri::PathAndQuery::from_static("/shop.Payment/Watch");
    let mut heard = soon(client.streaming(Request::new(said), path, Plain)).await.unwrap().into_inner();
    assert_eq!(soon(heard.message()).await.unwrap(), Some(b"one".to_vec()));
    assert_eq!(soon(heard.message()).await.unwrap(), Some(vec![2; 100_000]));
    let status = soon(heard.message()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::DataLoss, "lost"));
    assert_eq!(shop.call("Charge", vec![1]).await.unwrap_err().code(), Code::DataLoss);
    assert_eq!(shop.rig.link.dose().http.patched, 2);
    shop.shut().await;
}

#[tokio::test]
async fn a_deadline_that_the_delay_exceeds_ends_the_call_and_leaves_the_connection_usable() {
    let shop = Shop::open().await;
    shop.rig.link.set(rule(on("shop.Payment/Charge"), HttpAction::Delay { duration: Duration::from_hours(1) }));
    let mut request = Request::new(vec![3; 50_000]);
    request.set_timeout(Duration::from_millis(50));
    let mut client = shop.client.clone();
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/shop.Payment/Charge");
    let status = soon(client.unary(request, path, Plain)).await.unwrap_err();
    assert!(matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded), "{status:?}");
    assert_eq!(shop.call("Refund", vec![4; 3 << 20]).await.unwrap().len(), 3 << 20);
    assert_eq!((shop.rig.link.dose().http.matched, shop.rig.link.dose().http.delayed), (1, 0));
    shop.shut().await;
}

#[tokio::test]
async fn what_is_not_grpc_is_not_met_by_a_rule_for_grpc() {
    let shop = Shop::open().await;
    shop.rig.link.set(rule(Matching::default(), unavailable()));
    let (mut client, connection) = h2::client::handshake(shop.rig.call().await).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let (response, _) = client.send_request(http::Request::get("http://shop/shop.Payment/Charge").body(()).unwrap(), true).unwrap();
    let refused = soon(response).await.unwrap();
    assert_ne!(refused.headers().get("grpc-status").unwrap(), "14");
    assert_eq!((shop.rig.link.dose().http.requests, shop.rig.link.dose().http.matched), (1, 0));
    tasks.shutdown().await;
    shop.shut().await;
}
