//! One HTTP exchange, in bounded time.

use crate::bounded::bounded;
use std::time::Duration;
use worker::{AbortController, Fetch, Headers, Method, Request, RequestInit, RequestRedirect};

/// A request to send.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<&'a [u8]>,
    pub(crate) timeout: Duration,
}

/// What came back.
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Outgoing<'_> {
    /// Sends it and reads the whole answer; aborts both when the time is up. Redirects are not
    /// followed: keys are for one address only.
    pub(crate) async fn send(&self) -> Result<Incoming, String> {
        let request = self.request().map_err(|error| error.to_string())?;
        let controller = AbortController::default();
        let signal = controller.signal();
        let exchange = async {
            let mut response = Fetch::Request(request).send_with_signal(&signal).await?;
            let status = response.status_code();
            let body = response.bytes().await?;
            Ok::<_, worker::Error>(Incoming { status, body })
        };
        match bounded(self.timeout, exchange).await {
            Ok(Ok(incoming)) => Ok(incoming),
            Ok(Err(error)) => Err(error.to_string()),
            Err(timed_out) => {
                controller.abort();
                Err(timed_out.to_string())
            }
        }
    }

    fn request(&self) -> worker::Result<Request> {
        let headers = Headers::new();
        for (name, value) in self.headers {
            headers.set(name, value)?;
        }
        let mut init = RequestInit::new();
        init.with_method(self.method.clone())
            .with_headers(headers)
            .with_redirect(RequestRedirect::Manual)
            .with_body(
                self.body
                    .map(|bytes| js_sys::Uint8Array::from(bytes).into()),
            );
        Request::new_with_init(self.url, &init)
    }
}
