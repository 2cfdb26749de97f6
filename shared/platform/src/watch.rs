//! The watch: lets the database look for what has to be told, and tells it. Every Worker with a cron trigger keeps it,
//! so that the others can tell that one does not come.

use crate::crypto;
use crate::fetch::Outgoing;
use crate::runtime::Runtime;
use m23_alerts::{Courier, Webhook, deliver};
use m23_ports::{Clock as _, Database as _, DatabaseError, DigestFailed, Level, Log as _, Record};
use serde_json::{Value, json};
use std::time::Duration;
use worker::Method;

/// How long one event of the clock delivers.
const DELIVERING_MS: u64 = 20_000;

/// A receiver says within this time that it has a message.
const RECEIVING: Duration = Duration::from_secs(10);

pub(crate) async fn watch(runtime: &Runtime) {
    if let Err(error) = runtime.call("m23_watch", &json!({})).await {
        runtime.log(&Record::new(Level::Error, "not_watched").with_cause(&error));
    }
    let is_development = runtime.settings().supabase_url.starts_with("http://");
    let fault = match Webhook::read(|name| runtime.variable(name), is_development) {
        Ok(None) => return,
        Ok(Some(webhook)) => {
            deliver(runtime, &webhook, runtime.now_ms() + DELIVERING_MS).await;
            None
        }
        Err(fault) => {
            runtime.log(&Record::new(Level::Error, "webhook_unusable").with_cause(&fault));
            Some(fault.to_string())
        }
    };
    let arguments = json!({ "p_name": "alerts", "p_ended": true, "p_error": fault });
    if let Err(error) = runtime.call("m23_heartbeat", &arguments).await {
        runtime.log(&Record::new(Level::Warn, "heartbeat_not_noted").with_cause(&error));
    }
}

impl Courier for Runtime {
    async fn ask(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError> {
        self.call(name, arguments).await
    }

    async fn hmac_sha256(&self, key: &[u8], bytes: &[u8]) -> Result<Vec<u8>, DigestFailed> {
        crypto::hmac_sha256(key, bytes).await
    }

    async fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<u16, String> {
        let outgoing = Outgoing {
            method: Method::Post,
            url,
            headers,
            body: Some(body),
            timeout: RECEIVING,
        };
        outgoing.send_for_status().await
    }
}
