//! Connected byte streams, as jobs and servers use them.

use std::io;

use crate::job::Receipt;

/// A connected byte stream whose buffers are passed by value, the one shape that std, readiness and completion
/// runtimes can all implement without a copy. On an error the buffer is dropped.
pub trait Stream: Send {
    /// Writes all of `buffer`.
    fn send(&mut self, buffer: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// Reads exactly `buffer.len()` bytes over what `buffer` holds.
    fn receive(&mut self, buffer: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// Reads what there is, at least one byte and at most `buffer.len()`, over what `buffer` holds, whose length stays.
    /// Returns how many bytes that were: 0 at the end of the stream.
    fn read(
        &mut self,
        buffer: Vec<u8>,
    ) -> impl Future<Output = io::Result<(Vec<u8>, usize)>> + Send;

    /// Does `times` round trips of `bytes`, each of which carries the checksum there and back.
    fn exchange(
        &mut self,
        bytes: usize,
        times: u64,
        receipt: Receipt,
    ) -> impl Future<Output = io::Result<Receipt>> + Send {
        async move { round_trips!(self, bytes, times, receipt) }
    }
}

/// The body of `exchange`, for streams that are `Send` and for those that are not: generic over that, Rust is only
/// in macros. Of the reply every byte is checked: its head is cleared before, or a reply that never came would look
/// right, and the rest must still be the filling.
macro_rules! round_trips {
    ($stream:expr, $bytes:expr, $times:expr, $receipt:expr) => {{
        let mut receipt: $crate::job::Receipt = $receipt;
        let mut message = vec![$crate::model::FILLING; $bytes];
        for _ in 0..$times {
            message[..8].copy_from_slice(&receipt.checksum().to_le_bytes());
            message = $stream.send(message).await?;
            message[..8].fill(0);
            message = $stream.receive(message).await?;
            receipt.did($crate::job::mix($crate::model::head(&message)));
        }
        if message[8..].iter().any(|byte| *byte != $crate::model::FILLING) {
            return Err(std::io::Error::other(
                "the echo server returned other bytes than it was sent",
            ));
        }
        Ok(receipt)
    }};
}
pub(crate) use round_trips;

/// Implements [`Stream`], or a trait with the same methods, for a type whose `write_all` and `read_exact` take a slice:
/// `field` is where in it they are, `read` is its function that reads what there is, and `wait` is `await` where they
/// are `async`.
macro_rules! reads_and_writes {
    (
        $trait:ident [$($generics:tt)*] for $stream:ty, $(field: $field:tt,)? read: $read:path $(, wait: $wait:tt)?
    ) => {
        impl<$($generics)*> $trait for $stream {
            async fn send(&mut self, buffer: Vec<u8>) -> std::io::Result<Vec<u8>> {
                self$(.$field)?.write_all(&buffer)$(.$wait)? ?;
                Ok(buffer)
            }

            async fn receive(&mut self, mut buffer: Vec<u8>) -> std::io::Result<Vec<u8>> {
                self$(.$field)?.read_exact(&mut buffer)$(.$wait)? ?;
                Ok(buffer)
            }

            async fn read(&mut self, mut buffer: Vec<u8>) -> std::io::Result<(Vec<u8>, usize)> {
                let read = $read(self, &mut buffer)$(.$wait)? ?;
                Ok((buffer, read))
            }
        }
    };
}
pub(crate) use reads_and_writes;

/// What a message holds behind its first 8 bytes.
pub(crate) const FILLING: u8 = 0xA5;

/// The checksum that a message starts with.
#[inline]
pub(crate) fn head(message: &[u8]) -> u64 {
    u64::from_le_bytes(*message.first_chunk().expect("messages hold at least 8 bytes"))
}
