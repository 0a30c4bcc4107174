//! Finds the end of an answer's body: by its length, by its chunks, or by the end of the connection.

/// The missing part of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// The remaining bytes.
    Length(u64),
    /// Chunks (RFC 9112, section 7.1).
    Chunked(Chunk),
    /// Everything until the server closes.
    UntilClosed,
}

/// The position in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeFeed { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataFeed,
    Trailer { empty: bool },
    LastFeed,
}

impl Chunk {
    /// The position before the first chunk.
    pub(super) const FIRST: Chunk = Chunk::Size { size: 0, digits: 0 };
}

impl Body {
    /// Returns whether nothing is missing.
    pub(super) fn is_empty(self) -> bool {
        self == Body::Length(0)
    }

    /// Takes the bytes of the body from `bytes`, and passes its content to `take`. Returns how many it took; once the
    /// body is complete, it is [empty](Body::is_empty).
    ///
    /// # Errors
    ///
    /// Returns a sentence if the chunks are invalid, or the error of `take`.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<usize, String> {
        match self {
            Body::UntilClosed => take(bytes).map(|()| bytes.len()),
            Body::Length(left) => {
                let part = &bytes[..bounded(*left, bytes)];
                *left -= part.len() as u64;
                take(part).map(|()| part.len())
            }
            Body::Chunked(chunk) => {
                let mut used = 0;
                while used < bytes.len() {
                    if let Chunk::Data { left } = chunk {
                        let part = &bytes[used..used + bounded(*left, &bytes[used..])];
                        take(part)?;
                        used += part.len();
                        *left -= part.len() as u64;
                        if *left == 0 {
                            *chunk = Chunk::DataReturn;
                        }
                        continue;
                    }
                    let next = chunk.step(bytes[used])?;
                    used += 1;
                    let Some(next) = next else {
                        *self = Body::Length(0);
                        break;
                    };
                    *chunk = next;
                }
                Ok(used)
            }
        }
    }
}

impl Chunk {
    /// Returns the position after one byte that is not data; `None` after the last.
    fn step(self, byte: u8) -> Result<Option<Chunk>, String> {
        let next = match (self, byte) {
            (Chunk::Size { size, digits: 1.. } | Chunk::Extension { size }, b'\r') => {
                Chunk::SizeFeed { size }
            }
            (Chunk::Size { size, digits: 1.. }, b' ' | b'\t' | b';') => Chunk::Extension { size },
            // 15 digits cannot overflow.
            (Chunk::Size { size, digits: digits @ ..15 }, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                Chunk::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (Chunk::Extension { size }, _) if byte != b'\n' => Chunk::Extension { size },
            (Chunk::SizeFeed { size: 0 }, b'\n') => Chunk::Trailer { empty: true },
            (Chunk::SizeFeed { size }, b'\n') => Chunk::Data { left: size },
            (Chunk::DataReturn, b'\r') => Chunk::DataFeed,
            (Chunk::DataFeed, b'\n') => Chunk::FIRST,
            (Chunk::Trailer { empty: true }, b'\r') => Chunk::LastFeed,
            (Chunk::Trailer { .. }, _) => Chunk::Trailer { empty: byte == b'\n' },
            (Chunk::LastFeed, b'\n') => return Ok(None),
            _ => return Err(format!("byte {byte:#04x} is out of place in its chunks")),
        };
        Ok(Some(next))
    }
}

/// Returns how many of `bytes` belong to a part of `left` bytes.
fn bounded(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in parts of `size`. Returns the content, the number of bytes left, and whether the body is
    /// complete.
    fn fed(body: Body, bytes: &[u8], size: usize) -> Result<(Vec<u8>, usize, bool), String> {
        let (mut body, mut content, mut used) = (body, Vec::new(), 0);
        for part in bytes.chunks(size) {
            if body.is_empty() {
                break;
            }
            used += body.take(part, |data| {
                content.extend_from_slice(data);
                Ok(())
            })?;
        }
        Ok((content, bytes.len() - used, body.is_empty()))
    }

    #[test]
    fn chunks_give_the_same_content_however_they_are_cut() {
        let bytes = b"5\r\nhello\r\n6;ext=1\r\n world\r\n00\r\nTrailer: x\r\n\r\n";
        for size in 1..=bytes.len() {
            let (content, left, whole) = fed(Body::Chunked(Chunk::FIRST), bytes, size).unwrap();
            assert_eq!((content.as_slice(), left, whole), (&b"hello world"[..], 0, true));
        }
    }

    #[test]
    fn a_body_takes_no_byte_after_its_end() {
        for (body, bytes) in
            [(Body::Length(3), &b"abcHTTP"[..]), (Body::Chunked(Chunk::FIRST), b"0\r\n\r\nHTTP")]
        {
            assert_eq!(fed(body, bytes, 100).unwrap().1, 4);
        }
    }

    #[test]
    fn a_body_that_is_cut_short_is_not_whole() {
        assert!(!fed(Body::Length(3), b"ab", 100).unwrap().2);
        let bytes = b"2\r\nab\r\n0\r\n\r\n";
        for size in 0..bytes.len() {
            assert!(!fed(Body::Chunked(Chunk::FIRST), &bytes[..size], 100).unwrap().2);
        }
        assert!(!fed(Body::UntilClosed, b"ab", 100).unwrap().2);
    }

    #[test]
    fn what_is_no_chunk_is_said_to_be_none() {
        for bytes in
            ["\r\n", "x\r\n", "2\n", "2\r\nabc\r\n", "1\r\na\n", "0\r\n\rx", "1111111111111111\r\n"]
        {
            assert!(fed(Body::Chunked(Chunk::FIRST), bytes.as_bytes(), 100).is_err(), "{bytes:?}");
        }
    }
}
