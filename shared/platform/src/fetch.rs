//! One HTTP exchange, in bounded time.

use crate::body::Body;
use crate::timeout::bounded;
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

/// What begins to come back. Where the rest is not wanted any more, it is aborted.
pub(crate) struct Begun {
    pub(crate) status: u16,
    body: Body,
    exchange: Exchange,
    timeout: Duration,
}

/// Aborts what is dropped before its end.
struct Exchange(Option<AbortController>);

impl Outgoing<'_> {
    /// Sends it and reads the whole answer; aborts both when the time is up.
    pub(crate) async fn send(&self) -> Result<Incoming, String> {
        let answer = async {
            let begun = self.open().await?;
            let status = begun.status;
            let body = begun.all().await?;
            Ok(Incoming { status, body })
        };
        in_time(self.timeout, answer).await
    }

    /// Sends it and reads the answer's first line, which is given without its end. The rest may take
    /// as much time again.
    pub(crate) async fn begin(&self) -> Result<(Vec<u8>, Begun), String> {
        let answer = async {
            let mut begun = self.open().await?;
            let line = begun.body.first_line().await?;
            Ok((line, begun))
        };
        in_time(self.timeout, answer).await
    }

    /// Sends it and gives the answer's status; its body is not read.
    pub(crate) async fn send_for_status(&self) -> Result<u16, String> {
        in_time(self.timeout, async { Ok(self.open().await?.status) }).await
    }

    /// Redirects are not followed: keys are for one address only.
    async fn open(&self) -> worker::Result<Begun> {
        let request = self.request()?;
        let controller = AbortController::default();
        let signal = controller.signal();
        let exchange = Exchange(Some(controller));
        let response = Fetch::Request(request).send_with_signal(&signal).await?;
        Ok(Begun {
            status: response.status_code(),
            body: Body::of(&response)?,
            exchange,
            timeout: self.timeout,
        })
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

impl Begun {
    /// What has not been read yet.
    pub(crate) async fn rest(self) -> Result<Vec<u8>, String> {
        in_time(self.timeout, self.all()).await
    }

    async fn all(self) -> worker::Result<Vec<u8>> {
        let bytes = self.body.rest().await?;
        self.exchange.end();
        Ok(bytes)
    }
}

impl Exchange {
    fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(controller) = self.0.take() {
            controller.abort();
        }
    }
}

async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = worker::Result<T>>,
) -> Result<T, String> {
    bounded(limit, work)
        .await
        .map_err(|timed_out| timed_out.to_string())?
        .map_err(|error| error.to_string())
}
