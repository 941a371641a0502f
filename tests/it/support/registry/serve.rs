//! The server: sockets, TLS and bodies that end as they are told to.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::respond::{self, Answer, End};
use super::state::{Seen, State};
use super::{Place, http2};

/// How bodies are cut into frames, so that what precedes a fault reaches the client.
const FRAME_BYTES: usize = 16 << 10;

/// hyper drops what it has not flushed when a body fails: the bytes before a cut get this long to leave.
pub(super) const FLUSH: Duration = Duration::from_millis(20);

/// A certificate for the names of a place, and the authority that signed it.
pub(crate) fn tls(place: &Place) -> (TlsAcceptor, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().expect("a key");
    let ca = CertifiedIssuer::self_signed(params, ca_key).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(place.names.clone())
        .expect("names or addresses")
        .signed_by(&key, &ca)
        .expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate and its key");
    if place.http2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    (TlsAcceptor::from(Arc::new(config)), ca.pem())
}

/// Serves until `stopped`; then every connection is closed.
pub(crate) fn run(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    state: Arc<State>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::select! {
            () = accept(listener, tls, state) => {}
            _ = stopped => {}
        }
    });
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        let (state, tls) = (Arc::clone(&state), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => connection(socket, state).await,
                Some(tls) => {
                    // A client that does not trust the certificate hangs up here.
                    let Ok(socket) = tls.accept(socket).await else { return };
                    match socket.get_ref().1.alpn_protocol() {
                        Some(b"h2") => http2::connection(socket, state).await,
                        _ => connection(socket, state).await,
                    }
                }
            }
        });
    }
}

async fn connection(socket: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    let service = service_fn(|request| handle(Arc::clone(&state), request));
    // An error here is a client that left or a fault that did its work.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

async fn handle(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, io::Error>>, io::Error> {
    let head_only = request.method() == Method::HEAD;
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut seen = Seen::of(&parts, &body);
    let answer = respond::answer(&state, &seen);
    seen.status = answer.status;
    let path = seen.path.clone();
    state.held().seen.push(seen);
    if answer.end == End::Silent {
        std::future::pending::<()>().await;
    }
    if answer.status == 0 {
        return Err(io::Error::other("the connection is closed by a fault"));
    }
    Ok(response(state, path, answer, head_only))
}

fn response(
    state: Arc<State>,
    path: String,
    answer: Answer,
    head_only: bool,
) -> Response<BoxBody<Bytes, io::Error>> {
    let has_length = !matches!(answer.end, End::Endless | End::Short(_));
    let says_length = answer.headers.iter().any(|(name, _)| *name == "content-length");
    let mut response =
        Response::builder().status(StatusCode::from_u16(answer.status).expect("a status"));
    if has_length && !says_length {
        response = response.header("content-length", answer.body.len());
    }
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    // What a fault says of the length is not true: the connection ends with the body.
    let end = if says_length { End::Cut(answer.body.len()) } else { answer.end };
    let body = if head_only {
        http_body_util::Empty::new().map_err(|never: Infallible| match never {}).boxed()
    } else {
        BodyExt::boxed(StreamBody::new(frames(state, path, answer.body, end)))
    };
    response.body(body).expect("headers of a test are valid")
}

/// The body in frames, ending as `end` says. What is sent is counted under `path`.
fn frames(
    state: Arc<State>,
    path: String,
    body: Vec<u8>,
    end: End,
) -> impl Stream<Item = Result<Frame<Bytes>, io::Error>> {
    let body = Bytes::from(body);
    let limit = match end {
        End::Cut(at) | End::Stall(at) | End::Short(at) | End::GoAway(at) => at.min(body.len()),
        End::Whole | End::Endless | End::Slow(_) | End::Silent => body.len(),
    };
    stream::unfold(0, move |at| {
        let (state, path, body) = (Arc::clone(&state), path.clone(), body.clone());
        async move {
            let at = if at >= limit && end == End::Endless { 0 } else { at };
            if at < limit {
                let mut next = limit.min(at + FRAME_BYTES);
                if let End::Slow(pause) = end {
                    tokio::time::sleep(pause).await;
                    next = at + 1;
                }
                *state.held().sent.entry(path).or_default() += (next - at) as u64;
                return Some((Ok(Frame::data(body.slice(at..next))), next));
            }
            match end {
                End::Whole | End::Endless | End::Short(_) | End::Slow(_) | End::Silent => None,
                End::Cut(_) | End::GoAway(_) => {
                    tokio::time::sleep(FLUSH).await;
                    Some((Err(io::Error::other("cut by a fault")), at))
                }
                End::Stall(_) => std::future::pending().await,
            }
        }
    })
}
