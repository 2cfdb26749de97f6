//! Reading a body of bounded size.

use crate::failure::Failure;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

/// The largest body that is read, in bytes.
pub const LARGEST_BODY: usize = 64 * 1024;

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
    if declared_length(headers).is_some_and(|length| length > LARGEST_BODY as u64) {
        return Err(Failure::PayloadTooLarge);
    }
    let mut body = Vec::new();
    loop {
        match source.next_piece().await {
            Ok(None) => return Ok(body),
            Ok(Some(piece)) if body.len() + piece.len() > LARGEST_BODY => {
                return Err(Failure::PayloadTooLarge);
            }
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Err(_) => {
                let fault = "body: did not arrive whole".to_owned();
                return Err(Failure::Invalid(vec![fault]));
            }
        }
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
