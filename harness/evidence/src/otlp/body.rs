//! Reads an HTTP body: bounded in size, in time, and in what all of them together hold.

use super::{
    intake::{Intake, WIRE},
    refusal::Refusal,
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use std::time::Duration;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

/// A whole request has to be here by then.
pub(super) const TIME: Duration = Duration::from_secs(10);
/// What is read on and thrown away, so that a client that sends too much still gets to read the answer.
const DRAINED: usize = 4 * WIRE;

/// The whole body with its share of what may be in flight.
pub(super) async fn collect(mut body: Incoming, intake: &Intake) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    let read = timeout(TIME, read(&mut body, intake)).await;
    let result = read.unwrap_or(Err(Refusal::Slow { seconds: TIME.as_secs() }));
    if matches!(result, Err(Refusal::TooLarge { .. } | Refusal::Overloaded)) {
        // Whether the rest comes or not, the answer stays the same.
        let _rest = timeout(TIME, drain(&mut body)).await;
    }
    result
}

async fn read(body: &mut Incoming, intake: &Intake) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    let too_large = || Refusal::TooLarge { limit: WIRE, stage: "on the wire" };
    if body.size_hint().lower() > WIRE as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut share) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::Malformed(error.to_string()))?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > WIRE {
            return Err(too_large());
        }
        let more = intake.share(data.len())?;
        match &mut share {
            Some(share) => share.merge(more),
            None => share = Some(more),
        }
        bytes.extend_from_slice(data);
    }
    Ok((bytes.freeze(), share))
}

async fn drain(body: &mut Incoming) {
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        drained += frame.data_ref().map_or(0, Bytes::len);
        if drained > DRAINED {
            return;
        }
    }
}
