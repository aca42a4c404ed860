//! OTLP over HTTP/1.1: `POST /v1/traces`, `/v1/logs`, `/v1/metrics`, in protobuf or JSON.

use super::{
    body,
    export::{self, Export},
    intake::{Form, Intake, Packing, Payload},
    refusal::{RETRY_SECONDS, Refusal, RpcStatus},
};
use crate::recorder::Accepted;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response,
    body::Incoming,
    header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use prost::Message as _;
use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// A connection that does not say what it wants is closed.
const HEADERS: Duration = Duration::from_secs(30);

/// Serves one connection until the client leaves, or until `stop`.
pub(super) async fn serve(stream: TcpStream, intake: Arc<Intake>, stop: CancellationToken) {
    let service = service_fn(|request| {
        let intake = Arc::clone(&intake);
        async move { Ok::<_, Infallible>(answer(request, &intake).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(256 << 10)
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

async fn answer(request: Request<Incoming>, intake: &Intake) -> Response<Full<Bytes>> {
    // Also a failure is told in the form of the request; where that is none of ours, in the one that people can read.
    let form = form(request.headers());
    let told = form.as_ref().map_or(Form::Json, |form| *form);
    let result = match (request.method(), request.uri().path()) {
        (_, "/v1/traces" | "/v1/logs" | "/v1/metrics") if request.method() != Method::POST => Err(Refusal::Method),
        (_, "/v1/traces") => export::<ExportTraceServiceRequest>(request, form, intake).await,
        (_, "/v1/logs") => export::<ExportLogsServiceRequest>(request, form, intake).await,
        (_, "/v1/metrics") => export::<ExportMetricsServiceRequest>(request, form, intake).await,
        (_, path) => Err(Refusal::Path { path: path.chars().take(200).collect() }),
    };
    match result {
        Ok(bytes) => respond(told, bytes),
        Err(refusal) => refuse(told, &refusal),
    }
}

async fn export<S: Export>(request: Request<Incoming>, form: Result<Form, Refusal>, intake: &Intake) -> Result<Vec<u8>, Refusal> {
    let form = form?;
    let packing = packing(request.headers())?;
    let (bytes, share) = body::collect(request.into_body(), intake).await?;
    let accepted: Accepted = intake.take::<S>(Payload { bytes, packing, form, share }).await?;
    Ok(match form {
        Form::Protobuf => export::protobuf(accepted),
        Form::Json => export::json::<S>(&accepted),
    })
}

fn form(headers: &HeaderMap) -> Result<Form, Refusal> {
    let value = text(headers.get(CONTENT_TYPE));
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Ok(Form::Protobuf),
        "application/json" => Ok(Form::Json),
        _ => Err(Refusal::ContentType { found: value }),
    }
}

fn packing(headers: &HeaderMap) -> Result<Packing, Refusal> {
    let value = text(headers.get(CONTENT_ENCODING));
    match value.trim().to_ascii_lowercase().as_str() {
        "" | "identity" | "none" => Ok(Packing::None),
        "gzip" => Ok(Packing::Gzip),
        _ => Err(Refusal::ContentEncoding { found: value }),
    }
}

fn text(value: Option<&HeaderValue>) -> String {
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).chars().take(100).collect()).unwrap_or_default()
}

fn respond(form: Form, bytes: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    let content_type = match form {
        Form::Protobuf => "application/x-protobuf",
        Form::Json => "application/json",
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refuse(form: Form, refusal: &Refusal) -> Response<Full<Bytes>> {
    let (code, message) = (refusal.code() as i32, refusal.to_string());
    let bytes = match form {
        Form::Protobuf => RpcStatus { code, message, details: Vec::new() }.encode_to_vec(),
        Form::Json => serde_json::json!({ "code": code, "message": message }).to_string().into_bytes(),
    };
    let mut response = respond(form, bytes);
    *response.status_mut() = refusal.status();
    match refusal {
        Refusal::Overloaded => response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS)),
        Refusal::Method => response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST")),
        _ => None,
    };
    response
}
