//! A server that sends bytes of its own choice to whoever connects, and keeps what it was sent.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A running server; it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct RawServer {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RawServer {
    /// Starts a server that answers whatever it is sent first with `answer`, and hangs up.
    pub(crate) fn start(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (heard, ended) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let (keeps, ends, answer) = (Arc::clone(&heard), Arc::clone(&ended), answer.into());
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(socket) = socket {
                    serve(socket, &answer, &keeps);
                }
            }
        });
        Self { address, heard, ended, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was sent by each connection so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(mut socket: TcpStream, answer: &[u8], heard: &Mutex<Vec<String>>) {
    let mut bytes = vec![0; 64 << 10];
    let length = socket.read(&mut bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    // Who has left does not want the answer.
    socket.write_all(answer).ok();
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for somebody to connect.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
