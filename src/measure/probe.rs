//! Probes of a host's model, from its parent's side.

use std::time::Duration;

use super::{
    host::{Reply, Request},
    process::{Host, HostError, unexpected},
};
use crate::perform::{Probe, Probed};

impl Host {
    /// Probes the model of the cell that is prepared.
    ///
    /// # Errors
    ///
    /// Returns an error where no cell is prepared, the host does not know the question, or it is gone.
    pub fn probe(&mut self, what: Probe, patience: Duration) -> Result<Probed, HostError> {
        match self.ask(&Request::Probe { what }, patience)? {
            Reply::Probed(seen) => Ok(seen),
            other => Err(unexpected(&other)),
        }
    }
}
