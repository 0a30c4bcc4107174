//! Connected byte streams for jobs and servers.

use std::io;

use crate::job::Receipt;

/// A connected byte stream that takes buffers by value. This is the one interface that std, readiness-based and
/// completion-based runtimes can all implement without copying. On an error the buffer is dropped.
pub trait Stream: Send {
    /// Writes all of `buffer`.
    fn send(&mut self, buffer: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// Reads exactly `buffer.len()` bytes, overwriting `buffer`.
    fn receive(&mut self, buffer: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// Reads what is available, at least one byte and at most `buffer.len()`, overwriting `buffer` without changing its
    /// length. Returns the number of bytes: 0 at the end of the stream.
    fn read(
        &mut self,
        buffer: Vec<u8>,
    ) -> impl Future<Output = io::Result<(Vec<u8>, usize)>> + Send;

    /// Does `times` round trips of `bytes` bytes. Each carries the checksum there and back.
    fn exchange(
        &mut self,
        bytes: usize,
        times: u64,
        receipt: Receipt,
    ) -> impl Future<Output = io::Result<Receipt>> + Send {
        async move { round_trips!(self, bytes, times, receipt) }
    }
}

/// The body of `exchange`, for streams that are `Send` and for those that are not; in Rust, only a macro can be generic
/// over that. It checks every byte of the reply: the head is cleared first, or a missing reply would look right, and
/// the rest must still be the filling.
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

/// Implements [`Stream`], or a trait with the same methods, for a type with slice-based `write_all` and `read_exact`.
/// `field` is the inner stream that has them, `read` is the function that reads what is available, and `wait` is
/// `await` if these functions are `async`.
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

/// The byte that fills a message after its first 8 bytes.
pub(crate) const FILLING: u8 = 0xA5;

/// Returns the checksum at the start of a message.
#[inline]
pub(crate) fn head(message: &[u8]) -> u64 {
    u64::from_le_bytes(*message.first_chunk().expect("messages hold at least 8 bytes"))
}
