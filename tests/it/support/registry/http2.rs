//! HTTP/2, by hand: only so can a connection be given up in the middle of a body.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{self, UnboundedSender};

use super::respond::{self, End};
use super::serve::FLUSH;
use super::state::{Seen, State};

/// Serves one connection, until the client leaves or a fault gives it up.
pub(super) async fn connection(socket: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    let Ok(mut connection) = h2::server::handshake(socket).await else {
        return;
    };
    let (give_up, mut signals) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            next = connection.accept() => match next {
                Some(Ok((request, respond))) => {
                    tokio::spawn(answer(Arc::clone(&state), request, respond, give_up.clone()));
                }
                _ => return,
            },
            Some(()) = signals.recv() => connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM),
        }
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    give_up: UnboundedSender<()>,
) {
    let (parts, _) = request.into_parts();
    let mut seen = Seen::of(&parts, &[]);
    let answer = respond::answer(&state, &seen);
    seen.status = answer.status;
    let path = seen.path.clone();
    state.held().seen.push(seen);
    let mut response =
        Response::builder().status(answer.status).header("content-length", answer.body.len());
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let response = response.body(()).expect("headers of a test are valid");
    let body = Bytes::from(answer.body);
    let sent = match answer.end {
        End::GoAway(at) | End::Cut(at) => at.min(body.len()),
        _ => body.len(),
    };
    *state.held().sent.entry(path).or_default() += sent as u64;
    // A client that has left is told nothing.
    let Ok(mut stream) = respond.send_response(response, false) else {
        return;
    };
    let is_whole = !matches!(answer.end, End::GoAway(_) | End::Cut(_));
    stream.send_data(body.slice(..sent), is_whole).ok();
    if is_whole {
        return;
    }
    tokio::time::sleep(FLUSH).await;
    if let End::Cut(_) = answer.end {
        stream.send_reset(Reason::INTERNAL_ERROR);
        return;
    }
    give_up.send(()).ok();
    // The stream must outlive the connection, or it would be reset first.
    std::future::pending::<()>().await;
}
