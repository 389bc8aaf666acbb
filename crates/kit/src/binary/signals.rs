use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Error, shutdown::Shutdown};

/// Exit code after a second signal, as shells report an interrupt.
const EXIT_INTERRUPTED: i32 = 130;

/// Begins shutdown on the first `SIGTERM` or `SIGINT`; ends the process at once on the second.
pub fn stop_on_signal(shutdown: &Shutdown) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;

    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("a signal asks to stop");
        shutdown.begin();

        either(&mut terminate, &mut interrupt).await;
        tracing::warn!("a second signal ends the process at once");
        std::process::exit(EXIT_INTERRUPTED);
    });
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
