//! The issuer's key set.

use crate::fetch::Outgoing;
use m23_auth::KeySourceFailed;
use std::time::Duration;
use worker::Method;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A larger set is not read.
const LARGEST_SET: usize = 64 * 1024;

/// Fetches the key set of the project's issuer.
pub(crate) async fn fetch_keys(supabase_url: &str) -> Result<String, KeySourceFailed> {
    let url = format!("{supabase_url}/auth/v1/.well-known/jwks.json");
    let outgoing = Outgoing {
        method: Method::Get,
        url: &url,
        headers: &[("accept", "application/json")],
        body: None,
        timeout: TIMEOUT,
    };
    let incoming = outgoing.send().await.map_err(KeySourceFailed)?;
    if incoming.status != 200 {
        return Err(KeySourceFailed(format!("status {}", incoming.status)));
    }
    if incoming.body.len() > LARGEST_SET {
        return Err(KeySourceFailed("the key set is too large".to_owned()));
    }
    String::from_utf8(incoming.body)
        .map_err(|_| KeySourceFailed("the key set is not text".to_owned()))
}
