//! The operator's webhook: where messages go, and what they are signed with.

use crate::address::{is_loopback, is_public};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

/// An address and its key.
#[derive(Clone)]
pub struct Webhook {
    url: Url,
    key: Vec<u8>,
}

/// A webhook that cannot be used. Neither its address nor its secret is in the sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookFault {
    /// No URL.
    #[error("ALERT_WEBHOOK_URL is no URL")]
    NotAnAddress,
    /// Anybody on the way could read it.
    #[error("ALERT_WEBHOOK_URL must start with https://")]
    NotEncrypted,
    /// It leads into a private network.
    #[error("ALERT_WEBHOOK_URL must be an address of the open internet")]
    NotPublic,
    /// It would be sent in every request's line.
    #[error("ALERT_WEBHOOK_URL must have no user name and no password")]
    WithCredentials,
    /// Messages could not be told from forged ones.
    #[error("ALERT_WEBHOOK_SECRET is not set")]
    NoSecret,
    /// No secret of the standard's.
    #[error("ALERT_WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in base64")]
    Malformed,
}

impl Webhook {
    /// Reads `ALERT_WEBHOOK_URL` and `ALERT_WEBHOOK_SECRET`; `None` where there is no address. In a development stack it
    /// may be on this machine, and then need not be encrypted.
    ///
    /// # Errors
    /// [`WebhookFault`].
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
        is_development: bool,
    ) -> Result<Option<Self>, WebhookFault> {
        let some = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let Some(address) = some("ALERT_WEBHOOK_URL") else {
            return Ok(None);
        };
        let url = address_of(address.trim(), is_development)?;
        let secret = some("ALERT_WEBHOOK_SECRET").ok_or(WebhookFault::NoSecret)?;
        Ok(Some(Self {
            url,
            key: key_of(secret.trim())?,
        }))
    }

    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

fn address_of(text: &str, is_development: bool) -> Result<Url, WebhookFault> {
    let url = Url::parse(text).map_err(|_| WebhookFault::NotAnAddress)?;
    let host = url.host().ok_or(WebhookFault::NotAnAddress)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(WebhookFault::WithCredentials);
    }
    if is_development && is_loopback(&host) && matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err(WebhookFault::NotEncrypted);
    }
    if !is_public(&host) {
        return Err(WebhookFault::NotPublic);
    }
    Ok(url)
}

fn key_of(secret: &str) -> Result<Vec<u8>, WebhookFault> {
    secret
        .strip_prefix("whsec_")
        .and_then(|text| STANDARD.decode(text).ok())
        .filter(|key| (24..=64).contains(&key.len()))
        .ok_or(WebhookFault::Malformed)
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Webhook(…)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn read(
        url: &str,
        secret: Option<&str>,
        is_development: bool,
    ) -> Result<Option<Webhook>, WebhookFault> {
        let variable = |name: &str| match name {
            "ALERT_WEBHOOK_URL" => Some(url.to_owned()),
            _ => secret.map(ToOwned::to_owned),
        };
        Webhook::read(variable, is_development)
    }

    fn fault(url: &str) -> WebhookFault {
        read(url, Some(SECRET), false).unwrap_err()
    }

    #[test]
    fn a_public_https_address_is_called() {
        for url in [
            "https://hooks.example.com/a?b=c",
            "https://example.com:8443",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
        ] {
            let webhook = read(url, Some(SECRET), false).unwrap().unwrap();
            assert_eq!(webhook.key().len(), 24, "{url}");
            assert_eq!(format!("{webhook:?}"), "Webhook(…)");
        }
        assert!(read(" ", Some(SECRET), false).unwrap().is_none());
    }

    #[test]
    fn what_is_not_encrypted_is_not_called() {
        for url in [
            "http://example.com/",
            "ftp://example.com/",
            "http://127.0.0.1/",
        ] {
            assert_eq!(fault(url), WebhookFault::NotEncrypted, "{url}");
        }
        for url in ["example.com", "https://", "not an address", "data:,"] {
            assert_eq!(fault(url), WebhookFault::NotAnAddress, "{url}");
        }
        assert_eq!(
            fault("https://user:password@example.com/"),
            WebhookFault::WithCredentials
        );
    }

    #[test]
    fn no_private_address_is_called_however_it_is_written() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "kong",
            "db.internal",
            "printer.local",
            "router.home.arpa",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:10.0.0.1]",
            "[::127.0.0.1]",
            "[fc00::1]",
            "[fd12::1]",
            "[fe80::1]",
            "[ff02::1]",
            "[64:ff9b::a00:1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[2001::1]",
        ] {
            assert_eq!(
                fault(&format!("https://{host}/")),
                WebhookFault::NotPublic,
                "{host}"
            );
        }
    }

    #[test]
    fn a_development_stack_may_call_this_machine_and_nothing_else_that_is_private() {
        for url in [
            "http://127.0.0.1:9000/a",
            "http://localhost:9000",
            "http://[::1]/",
            "https://127.0.0.1/",
        ] {
            assert!(read(url, Some(SECRET), true).unwrap().is_some(), "{url}");
        }
        for url in [
            "http://example.com/",
            "http://10.0.0.1/",
            "https://10.0.0.1/",
        ] {
            assert!(read(url, Some(SECRET), true).is_err(), "{url}");
        }
    }

    #[test]
    fn nothing_is_sent_without_a_key_that_can_be_relied_on() {
        let url = "https://example.com/";
        assert_eq!(read(url, None, false).unwrap_err(), WebhookFault::NoSecret);
        for secret in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_not base64!",
        ] {
            let fault = read(url, Some(secret), false).unwrap_err();
            assert_eq!(fault, WebhookFault::Malformed, "{secret}");
            assert!(!fault.to_string().contains("c2hvcnQ"));
        }
    }
}
