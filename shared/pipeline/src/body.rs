//! Reading a body of bounded size.

use crate::failure::Failure;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

/// The largest body that is read, in bytes.
pub const LARGEST_BODY: usize = 64 * 1024;

/// A body that nobody wants is read up to here.
const LARGEST_DRAIN: usize = 4 * 1024 * 1024;

/// A body that arrives piece by piece.
#[allow(async_fn_in_trait)]
pub trait BodySource {
    /// The next piece; `None` at the end.
    async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, BodyFailed>;
}

/// The body broke off.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the body could not be read: {0}")]
pub struct BodyFailed(pub String);

/// Reads the whole body, and no more than the limit of one that is larger.
pub(crate) async fn read_bounded<B: BodySource>(
    headers: &HeaderMap,
    source: &mut B,
) -> Result<Vec<u8>, Failure> {
    let too_large = declared_length(headers).is_some_and(|length| length > LARGEST_BODY as u64);
    let mut body = Vec::new();
    while !too_large && body.len() <= LARGEST_BODY {
        match source.next_piece().await {
            Ok(None) => return Ok(body),
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Err(_) => {
                let fault = "body: did not arrive whole".to_owned();
                return Err(Failure::Invalid(vec![fault]));
            }
        }
    }
    drain(source).await;
    Err(Failure::PayloadTooLarge)
}

/// Reads a body and throws it away. The server closes a connection of which it has not read all: a caller that is
/// still sending, or that sends its next request, would see it broken instead of an answer.
pub(crate) async fn drain<B: BodySource>(source: &mut B) {
    let mut thrown_away = 0;
    while thrown_away <= LARGEST_DRAIN {
        match source.next_piece().await {
            Ok(Some(piece)) => thrown_away += piece.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
