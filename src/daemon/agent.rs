//! The loop of a delivery agent: take a connection from the queue manager, serve its requests one by one, and end
//! after max_use requests or max_idle without one, so that no leak lives long.

use super::skeleton::{self, Context, Wait};
use crate::ipc::delivery::{Answer, Request};
use crate::ipc::wire;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// Serves until it is time to end. `deliver` answers a request; every recipient must be in its answer.
pub fn serve(context: Context, deliver: impl FnMut(&Request) -> Answer) -> Result<(), String> {
    serve_while(context, || true, deliver)
}

/// The same, and ends when what was read at the start holds no longer: the next process takes the request that waits.
pub fn serve_while(
    mut context: Context,
    holds: impl Fn() -> bool,
    mut deliver: impl FnMut(&Request) -> Answer,
) -> Result<(), String> {
    skeleton::finish_gracefully();
    let idle = context.cf.max_idle();
    let max_use = u64::try_from(context.cf.max_use()).unwrap_or(100).max(1);
    let listeners = std::mem::take(&mut context.listeners);
    let sockets: Vec<UnixListener> =
        listeners.iter().filter_map(|fd| fd.try_clone().ok()).map(UnixListener::from).collect();
    let mut served = 0;
    while served < max_use {
        match skeleton::wait_for_work(&listeners, &context.lifetime, idle) {
            Wait::Idle | Wait::Finish => break,
            Wait::Ready if !holds() => break,
            Wait::Ready => {}
        }
        for socket in &sockets {
            // The socket does not block: another process of this service may have been faster.
            let Ok((mut stream, _)) = socket.accept() else { continue };
            skeleton::report_status(&mut context.status, false);
            if let Err(error) = serve_stream(&mut stream, &mut deliver, &mut served) {
                context.log.warning(format!("queue manager connection: {error}"));
            }
            drop(stream);
            skeleton::report_status(&mut context.status, true);
        }
    }
    Ok(())
}

fn serve_stream(
    stream: &mut UnixStream,
    deliver: &mut impl FnMut(&Request) -> Answer,
    served: &mut u64,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1000)))?;
    while let Some(request) = wire::receive::<Request>(stream)? {
        *served += 1;
        let answer = deliver(&request);
        wire::send(stream, &answer)?;
    }
    Ok(())
}
