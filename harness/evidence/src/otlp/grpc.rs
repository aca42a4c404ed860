//! OTLP over gRPC. Framing, packing and status are tonic's; the bytes of a message go the same way in as those of HTTP, because a
//! decoder that does not count the parts first can be made to fill the memory.

use super::{
    body::TIME,
    export::{self, Export},
    intake::{Form, Intake, Packing, Payload, WIRE},
    refusal::Refusal,
};
use bytes::{Buf as _, BufMut as _, Bytes};
use futures_util::future::BoxFuture;
use hyper::{Request, Response, body::Incoming, rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsServiceRequest, logs_service_server},
    metrics::v1::{ExportMetricsServiceRequest, metrics_service_server},
    trace::v1::{ExportTraceServiceRequest, trace_service_server},
};
use std::{
    convert::Infallible,
    marker::PhantomData,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    body::Body,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, UnaryService},
};

/// Calls at once on one connection.
const STREAMS: u32 = 16;
/// Bytes of one call that may be on their way; what all of them together hold is bounded by the intake.
const WINDOW: u32 = 1 << 20;
const FRAME: u32 = 64 << 10;
/// A peer that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Serves one connection until the client leaves, or until `stop`.
pub(super) async fn serve(stream: TcpStream, intake: Arc<Intake>, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let intake = Arc::clone(&intake);
        async move { Ok::<_, Infallible>(answer(request, intake).await) }
    });
    let mut connection = pin!(
        http2::Builder::new(Streams::default())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .max_concurrent_streams(STREAMS)
            // A batch is half a megabyte; with the protocol's 64 KiB each would wait for its sender several times.
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(4 * WINDOW)
            .max_frame_size(FRAME)
            .max_header_list_size(16 << 10)
            .serve_connection(TokioIo::new(stream), service)
    );
    // What a client does to its own connection is no news to anybody.
    let _ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

/// The calls of one connection: they end with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, call: F) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while calls.try_join_next().is_some() {}
        calls.spawn(call);
    }
}

async fn answer(request: Request<Incoming>, intake: Arc<Intake>) -> Response<Body> {
    let service = request.uri().path().strip_prefix('/').and_then(|path| path.strip_suffix("/Export"));
    let call: BoxFuture<'_, Response<Body>> = match service {
        Some(trace_service_server::SERVICE_NAME) => Box::pin(unary::<ExportTraceServiceRequest>(request, intake)),
        Some(logs_service_server::SERVICE_NAME) => Box::pin(unary::<ExportLogsServiceRequest>(request, intake)),
        Some(metrics_service_server::SERVICE_NAME) => Box::pin(unary::<ExportMetricsServiceRequest>(request, intake)),
        _ => {
            let path = request.uri().path();
            return Status::unimplemented(format!("{path} is not taken; use the Export calls of OTLP")).into_http();
        }
    };
    let late = || Status::from(Refusal::Slow { seconds: TIME.as_secs() }).into_http();
    timeout(TIME, call).await.unwrap_or_else(|_| late())
}

async fn unary<S: Export>(request: Request<Incoming>, intake: Arc<Intake>) -> Response<Body> {
    let mut response = Grpc::new(Raw)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(WIRE)
        .unary(Call::<S> { intake, signal: PhantomData }, request)
        .await;
    // tonic says OUT_OF_RANGE of a message that is too large, which OTLP clients take for a reason to send it again.
    let status = response.headers_mut().get_mut(Status::GRPC_STATUS);
    if let Some(status) = status.filter(|status| **status == (Code::OutOfRange as i32).to_string()) {
        *status = (Code::ResourceExhausted as i32).into();
    }
    response
}

struct Call<S> {
    intake: Arc<Intake>,
    signal: PhantomData<S>,
}

impl<S: Export> UnaryService<Bytes> for Call<S> {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let intake = Arc::clone(&self.intake);
        Box::pin(async move {
            let bytes = request.into_inner();
            let share = Some(intake.share(bytes.len())?);
            let payload = Payload { bytes, packing: Packing::None, form: Form::Protobuf, share };
            let accepted = intake.take::<S>(payload).await?;
            Ok(tonic::Response::new(export::protobuf(accepted).into()))
        })
    }
}

/// Messages as bytes.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
