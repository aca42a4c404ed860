//! The OTLP receiver: gRPC and HTTP, as every OpenTelemetry SDK and collector sends it.
//!
//! Knows the protocol and its limits. What becomes of the telemetry is the recorder's business.

mod body;
mod connections;
mod export;
mod grpc;
mod http;
mod intake;
mod refusal;
mod shape;

use crate::{
    recorder::Recorder,
    source::{Source, SourceError},
};
use intake::Intake;
pub(crate) use intake::PARTS;
pub(crate) use shape::{LOGS, METRICS, Shape, TRACES, objection};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Where OTLP over gRPC is looked for.
const GRPC_PORT: u16 = 4317;
/// Where OTLP over HTTP is looked for.
const HTTP_PORT: u16 = 4318;

/// Listens for OTLP of one variant.
#[derive(Debug)]
pub struct OtlpReceiver {
    http: (TcpListener, SocketAddr),
    grpc: (TcpListener, SocketAddr),
}

impl OtlpReceiver {
    /// Listens at `ip` on the ports of the standard where they are free, else on any: the second variant of a run, or a collector that
    /// runs here already, must not stop a run.
    pub async fn bind(ip: IpAddr) -> io::Result<Self> {
        Ok(Self { http: listen(ip, HTTP_PORT).await?, grpc: listen(ip, GRPC_PORT).await? })
    }

    /// Where OTLP over HTTP is taken.
    pub fn http(&self) -> SocketAddr {
        self.http.1
    }

    /// Where OTLP over gRPC is taken.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc.1
    }

    /// Takes telemetry until `stop`; what is being sent at that moment is still taken, for at most two seconds.
    pub async fn run(self, recorder: Recorder, stop: CancellationToken) -> Result<(), SourceError> {
        let intake = Arc::new(Intake::new(recorder));
        let http = connections::accept(self.http.0, &stop, |stream| http::serve(stream, Arc::clone(&intake), stop.clone()));
        let grpc = connections::accept(self.grpc.0, &stop, |stream| grpc::serve(stream, Arc::clone(&intake), stop.clone()));
        tokio::try_join!(http, grpc).map(|_| ()).map_err(SourceError::Accept)
    }
}

#[async_trait::async_trait]
impl Source for OtlpReceiver {
    fn name(&self) -> &'static str {
        "otlp"
    }

    async fn run(self: Box<Self>, recorder: Recorder, stop: CancellationToken) -> Result<(), SourceError> {
        OtlpReceiver::run(*self, recorder, stop).await
    }
}

async fn listen(ip: IpAddr, port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = match TcpListener::bind((ip, port)).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => TcpListener::bind((ip, 0)).await,
        bound => bound,
    };
    let listener = listener.map_err(|error| io::Error::new(error.kind(), format!("cannot listen for telemetry at {ip}: {error}")))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
