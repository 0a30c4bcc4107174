//! Connections to the suite's server that start with a request word, and the messages sent and received in its rooms.

use std::io;

use super::batch::jobs_of_the_batch;
use crate::{
    job::{Messages, Receipt, Server, room_messages},
    model::{FILLING, Model, Stream, head},
};

/// Opens a connection to `server`. The checksum selects the address: statistically even, and the same in every run.
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
        // Boxed, so that a connection to the echo server does not carry it.
        Server::Slow(_) | Server::Room => Box::pin(greet(stream, server)).await,
    }
}

/// Sends the delay or the size of the room to the server as an 8-byte number. In a room, waits until all members are
/// there.
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

/// Sends `messages` to a room, each after the previous one was heard, or receives them.
pub(super) async fn talk<S: Stream>(
    stream: &mut S,
    Messages { bytes, times }: Messages,
    says: bool,
    mut receipt: Receipt,
) -> io::Result<Receipt> {
    let mut buffer = vec![FILLING; bytes];
    for message in room_messages(times) {
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
