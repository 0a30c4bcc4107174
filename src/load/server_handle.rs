//! A model's server for other clients, which runs until it is dropped.

use std::{net::SocketAddr, time::Duration};

use super::target::{Serving, most_connections, planned};
use crate::{machine::cores, plan::Planned, session::Session, start::model_info};
use paceline_core::{
    job::Workload,
    models::Entry,
    process::{HostError, Program},
};

/// The time limit for starting, and for an answer of its host.
const PATIENCE: Duration = Duration::from_secs(30);

/// A model's server, and the echo server that its jobs may connect to. Dropping it ends both.
pub struct ServerHandle {
    serving: Serving,
    _session: Session,
}

impl ServerHandle {
    /// Starts the server.
    ///
    /// # Errors
    ///
    /// Returns a sentence, and whether the settings are at fault and not the machine.
    pub fn start(
        workload: &Workload,
        entry: &'static Entry,
        workers: Option<usize>,
        program: Program,
    ) -> Result<Self, (bool, String)> {
        let cell = planned(workload, entry, workers, None, cores());
        // The number of connections is unknown: reserve as many as it can serve, or one if that is unbounded.
        let cell = Planned { scale: most_connections(&cell).unwrap_or(1), ..cell };
        let wrong =
            cell.cannot_honour().or_else(|| entry.info.unsupported_as_server_step(workload));
        if let Some(why) = wrong {
            return Err((true, why));
        }
        let fault = |error: HostError| (false, error.to_string());
        let session = Session::start(program, &[model_info(entry)]).map_err(|why| (false, why))?;
        if let Some(why) = session.refusal(&cell) {
            return Err((false, why));
        }
        let serving = Serving::start(&session, &cell, PATIENCE).map_err(fault)?;
        Ok(ServerHandle { serving, _session: session })
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// Checks that it is still running.
    ///
    /// # Errors
    ///
    /// Returns why it has ended.
    pub fn check(&mut self) -> Result<(), String> {
        match self.serving.host.usage(PATIENCE) {
            Ok(_) | Err(HostError::Interrupted) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
