//! The `Idempotency-Key` header.

use http::HeaderMap;

/// Longer keys are refused.
const LONGEST_KEY: usize = 255;

/// The request's key, if it has one.
///
/// # Errors
/// A fault that names the header.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, String> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err("Idempotency-Key: is given twice".to_owned());
    }
    let bytes = value.as_bytes();
    let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if bytes.is_empty() || bytes.len() > LONGEST_KEY || !printable {
        return Err("Idempotency-Key: must be 1 to 255 printable ASCII characters".to_owned());
    }
    Ok(value.to_str().ok().map(ToOwned::to_owned))
}
