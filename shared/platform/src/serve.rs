//! From a Worker's request to the pipeline and back.

use crate::health::{health, unusable};
use crate::runtime::{Runtime, ambient, ambient::Bare, shared_keys};
use crate::timeout::bounded;
use futures_channel::oneshot;
use futures_util::StreamExt as _;
use m23_pipeline::{
    BodyFailed, BodySource, Function, Inquiry, Pipeline, health_inquiry, health_response,
    refuse_unconfigured,
};
use std::time::Duration;
use worker::{ByteStream, Context, Delay, Env, Headers, Request, Response};

/// A caller who sends nothing for this long is not waited for.
const NEXT_PIECE: Duration = Duration::from_secs(10);

/// How long to wait, again and again, for a database that is away when a call has ended. The
/// platform ends a Worker 30 s after its answer.
const UNTIL_CONCLUDED: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
    Duration::from_secs(0),
];

/// Serves one request with the function that `build` makes of the runtime.
///
/// The request is worked off even when its caller hangs up meanwhile, so that what was begun is
/// finished, logged and kept under its Idempotency-Key.
///
/// # Errors
/// Only when the platform cannot even make a response.
pub async fn serve<F: Function + 'static>(
    request: Request,
    env: Env,
    context: Context,
    build: impl FnOnce(&Runtime) -> F,
) -> worker::Result<Response> {
    let request = incoming(request)?;
    if let Some(inquiry) = health_inquiry(request.method(), request.uri(), F::NAME) {
        return tell_health(inquiry, env, context).await;
    }
    let runtime = match Runtime::for_request(env, context) {
        Ok(runtime) => runtime,
        Err(fault) => {
            return outgoing(refuse_unconfigured(&Bare, F::NAME, request, fault).await);
        }
    };
    let function = build(&runtime);
    let (sender, receiver) = oneshot::channel();
    let ports = runtime.clone();
    runtime.wait_until(async move {
        let keys = shared_keys();
        let pipeline = Pipeline {
            platform: &ports,
            settings: ports.settings(),
            keys: &keys,
        };
        let answered = pipeline.run(&function, request).await;
        let _caller_may_be_gone = sender.send(answered.response);
        for pause in UNTIL_CONCLUDED {
            if !pipeline.conclude(answered.entry.as_ref()).await {
                break;
            }
            Delay::from(pause).await;
        }
    });
    match receiver.await {
        Ok(response) => outgoing(response),
        Err(_) => Err("the request was dropped".into()),
    }
}

async fn tell_health(inquiry: Inquiry, env: Env, context: Context) -> worker::Result<Response> {
    let known = match inquiry {
        Inquiry::Preflight | Inquiry::Other => None,
        Inquiry::Ask | Inquiry::Head => Some(match Runtime::for_request(env, context) {
            Ok(runtime) => health(&runtime).await,
            Err(fault) => {
                worker::console_error!("{fault}");
                unusable()
            }
        }),
    };
    outgoing(health_response(ambient::new_id(), inquiry, known.as_ref()))
}

/// The pieces of a request's body, each awaited for a bounded time.
struct Pieces(Option<ByteStream>);

impl BodySource for Pieces {
    async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, BodyFailed> {
        let Some(stream) = &mut self.0 else {
            return Ok(None);
        };
        match bounded(NEXT_PIECE, stream.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => Err(BodyFailed(error.to_string())),
            Err(timed_out) => Err(BodyFailed(timed_out.to_string())),
        }
    }
}

/// A Worker's request in the pipeline's form. A header that is not text is left out.
fn incoming(mut request: Request) -> worker::Result<http::Request<Pieces>> {
    let path = http::Uri::try_from(request.path());
    let mut builder = http::Request::builder()
        .method(request.inner().method().as_str())
        .uri(path.unwrap_or_else(|_| http::Uri::from_static("/not-a-path")));
    for (name, value) in request.headers() {
        if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
            builder = builder.header(name, value);
        }
    }
    let body = Pieces(request.stream().ok());
    builder
        .body(body)
        .map_err(|error| worker::Error::RustError(error.to_string()))
}

fn outgoing(response: http::Response<Vec<u8>>) -> worker::Result<Response> {
    let (parts, body) = response.into_parts();
    let headers = Headers::new();
    for (name, value) in &parts.headers {
        if let Ok(value) = value.to_str() {
            headers.set(name.as_str(), value)?;
        }
    }
    let builder = Response::builder()
        .with_status(parts.status.as_u16())
        .with_headers(headers);
    Ok(if body.is_empty() {
        builder.empty()
    } else {
        builder.fixed(body)
    })
}
