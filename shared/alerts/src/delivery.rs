//! Claims messages, sends them, and notes how that went.

use crate::webhook::Webhook;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use m23_ports::{Clock, DatabaseError, DigestFailed, Level, Log, Record};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Messages that are on their way at once.
const AT_ONCE: u32 = 5;

/// What delivering needs of the platform.
#[allow(async_fn_in_trait)]
pub trait Courier: Clock + Log {
    /// Calls a function of the database with the service key.
    async fn ask(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError>;

    /// HMAC-SHA256.
    async fn hmac_sha256(&self, key: &[u8], bytes: &[u8]) -> Result<Vec<u8>, DigestFailed>;

    /// Sends a body in bounded time, follows no redirect, and gives the answer's status.
    async fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<u16, String>;
}

/// A message of `m23_claim_alerts`.
#[derive(Debug, Deserialize)]
struct Message {
    id: Uuid,
    lease: Uuid,
    body: String,
}

/// Delivers what waits for it; claims nothing any more from `deadline` on (Unix milliseconds).
pub async fn deliver(courier: &impl Courier, webhook: &Webhook, deadline: u64) {
    while courier.now_ms() < deadline {
        match claim(courier).await {
            Ok(messages) if messages.is_empty() => return,
            Ok(messages) => {
                join_all(
                    messages
                        .iter()
                        .map(|message| tell(courier, webhook, message)),
                )
                .await;
            }
            Err(cause) => {
                let record = Record::new(Level::Error, "alerts_not_claimed");
                return courier.log(&record.with("cause", cause));
            }
        }
    }
}

async fn claim(courier: &impl Courier) -> Result<Vec<Message>, String> {
    let claimed = courier
        .ask("m23_claim_alerts", &json!({ "p_limit": AT_ONCE }))
        .await
        .map_err(|error| error.to_string())?;
    serde_json::from_value(claimed).map_err(|error| error.to_string())
}

async fn tell(courier: &impl Courier, webhook: &Webhook, message: &Message) {
    let fault = send(courier, webhook, message).await.err();
    let (level, event) = match &fault {
        None => (Level::Info, "alert_delivered"),
        Some(_) => (Level::Warn, "alert_not_delivered"),
    };
    let record = Record::new(level, event).with("delivery_id", message.id.to_string());
    courier.log(&record.with("cause", fault.clone()));
    let arguments = json!({ "p_id": message.id, "p_lease": message.lease, "p_error": fault });
    if let Err(error) = courier.ask("m23_note_alert", &arguments).await {
        // It is sent once more, under the same id.
        courier.log(&Record::new(Level::Warn, "delivery_not_noted").with_cause(&error));
    }
}

/// `Err` says why it has not arrived, without a word of the receiver's.
async fn send(courier: &impl Courier, webhook: &Webhook, message: &Message) -> Result<(), String> {
    let id = message.id.to_string();
    let timestamp = (courier.now_ms() / 1000).to_string();
    let signed = format!("{id}.{timestamp}.{}", message.body);
    let mac = courier
        .hmac_sha256(webhook.key(), signed.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    let signature = format!("v1,{}", STANDARD.encode(mac));
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", "m23"),
        ("webhook-id", id.as_str()),
        ("webhook-timestamp", timestamp.as_str()),
        ("webhook-signature", signature.as_str()),
    ];
    match courier
        .post(webhook.url(), &headers, message.body.as_bytes())
        .await
    {
        Ok(200..=299) => Ok(()),
        Ok(status @ 300..=399) => Err(format!("status {status}: redirects are not followed")),
        Ok(status) => Err(format!("status {status}")),
        Err(_) => Err("no answer".to_owned()),
    }
}
