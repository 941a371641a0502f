//! Ctrl-C and SIGTERM: the first ends the work, in order and soon; the second ends the process at once.
//!
//! Both are waited for on a thread of their own. So they are heard whatever the others do, and a thread that
//! waits for a disk or for another process keeps nobody longer than [`END_MAX`].

use std::io;
use std::process::exit;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot::{Receiver, channel};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::cli::environment::Environment;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output::Output;

/// What the end of the work may take: what is promised is 2 s.
const END_MAX: Duration = Duration::from_millis(1200);

/// What it may take to say so: whoever should read it may not.
const TELL_MAX: Duration = Duration::from_millis(200);

/// Starts to listen, and answers who is told of the first signal.
pub(crate) fn listen(output: Output, environment: Environment) -> io::Result<Receiver<Kind>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let (told, first) = channel();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let kind = signals.next().await;
            // Who does not listen any more is about to end by itself.
            let _ = told.send(kind);
            tokio::select! {
                _ = signals.next() => {}
                () = sleep(END_MAX) => {
                    let tell =
                        spawn_blocking(move || output.failure(&interrupted(kind), &environment));
                    let _ = timeout(TELL_MAX, tell).await;
                }
            }
            exit(kind.exit_code().into())
        })
    })?;
    Ok(first)
}

/// What ended the command.
pub(crate) fn interrupted(kind: Kind) -> Failure {
    Failure::new(kind, "interrupted", "interrupted; the store is consistent")
        .help("run the command again: it goes on where this one stopped")
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
    }

    async fn next(&mut self) -> Kind {
        tokio::select! {
            _ = self.interrupt.recv() => Kind::Interrupted,
            _ = self.terminate.recv() => Kind::Terminated,
        }
    }
}
