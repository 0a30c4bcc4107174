//! Connections to the suite's server that begin with a word, and what is said and heard in its rooms.

use std::io;

use super::batch::jobs_of_the_batch;
use crate::{
    job::{Messages, Receipt, Server, said},
    model::{FILLING, Model, Stream, head},
};

/// Opens a connection to `server`. The address is dealt out by the checksum: as evenly as chance does it, and the same in
/// every run.
pub(super) async fn connect<M: Model>(
    model: M,
    server: Server,
    checksum: u64,
) -> io::Result<M::Stream> {
    let addresses = model.servers().of(server);
    let address = addresses
        .get(checksum as usize % addresses.len().max(1))
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    let stream = model.connect(*address).await?;
    match server {
        Server::Echo => Ok(stream),
        // Boxed: a connection to the echo server must not carry it.
        Server::Slow(_) | Server::Room => Box::pin(greet(stream, server)).await,
    }
}

/// Says what is asked of the server, as a number of 8 bytes, and waits in a room until all are there.
async fn greet<S: Stream>(mut stream: S, server: Server) -> io::Result<S> {
    let word = match server {
        Server::Slow(after) => u64::try_from(after.as_nanos()).unwrap_or(u64::MAX),
        Server::Echo | Server::Room => jobs_of_the_batch(),
    };
    let word = stream.send(word.to_le_bytes().to_vec()).await?;
    if server == Server::Room {
        stream.receive(word).await?;
    }
    Ok(stream)
}

/// Says `messages` in a room, each once the last was heard, or hears them.
pub(super) async fn talk<S: Stream>(
    stream: &mut S,
    Messages { bytes, times }: Messages,
    says: bool,
    mut receipt: Receipt,
) -> io::Result<Receipt> {
    let mut buffer = vec![FILLING; bytes];
    for message in said(times) {
        if says {
            buffer[..8].copy_from_slice(&message.to_le_bytes());
            buffer = stream.send(buffer).await?;
            buffer[..8].fill(0);
        }
        buffer = stream.receive(buffer).await?;
        if head(&buffer) != message || buffer[8..].iter().any(|byte| *byte != FILLING) {
            return Err(io::Error::other("another message was heard in the room than was said"));
        }
        receipt.heard(message);
    }
    Ok(receipt)
}
