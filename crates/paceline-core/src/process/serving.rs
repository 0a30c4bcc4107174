//! A host that serves, seen from its parent.

use std::{net::SocketAddr, time::Duration};

use super::host::{Host, HostError, unexpected};
use crate::{
    prepared::ServerSeen,
    protocol::{CellSpec, Reply, Request},
    usage::Usage,
};

impl Host {
    /// Makes the host serve `cell`'s jobs until it ends; from then on it answers only [`usage`], [`watch`] and [`seen`].
    /// Returns the address that it listens on. The cell's scale is ignored.
    /// [`ModelInfo::connections`](crate::models::ModelInfo::connections) gives the number of connections that it serves
    /// concurrently.
    ///
    /// [`usage`]: Self::usage
    /// [`watch`]: Self::watch
    /// [`seen`]: Self::seen
    pub fn serve(&mut self, cell: CellSpec, patience: Duration) -> Result<SocketAddr, HostError> {
        match self.ask(&Request::Serve(cell), patience)? {
            Reply::Serving { address } => Ok(address),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns the resources that the host has used so far, all threads together.
    ///
    /// # Errors
    ///
    /// Returns an error if the host has ended. A server that runs out of descriptors ends its host.
    pub fn usage(&mut self, patience: Duration) -> Result<Usage, HostError> {
        match self.ask(&Request::Usage, patience)? {
            Reply::Usage(used) => Ok(used),
            other => Err(unexpected(&other)),
        }
    }

    /// Watches the server from now on. With `counting`, the threads that run jobs are counted, which takes time of each
    /// job.
    pub fn watch(&mut self, counting: bool, patience: Duration) -> Result<(), HostError> {
        match self.ask(&Request::Watch { counting }, patience)? {
            Reply::Watching => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns what was seen of the server since [`watch`](Self::watch).
    pub fn seen(&mut self, patience: Duration) -> Result<ServerSeen, HostError> {
        match self.ask(&Request::Seen, patience)? {
            Reply::Seen(seen) => Ok(seen),
            other => Err(unexpected(&other)),
        }
    }
}
