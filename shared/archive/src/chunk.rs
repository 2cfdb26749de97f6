//! Chunks: lines of COPY text, gzipped.

use crate::{ArchiveError, Chunk};
use flate2::{Compression, GzBuilder, bufread::GzDecoder, write::GzEncoder};
use std::io::{Read, Write};

/// Compresses lines. The same lines always give the same bytes: no time, no name.
///
/// # Errors
/// [`ArchiveError::Damaged`] if the compressor fails, which writing to memory does not.
pub fn pack(lines: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let mut packer = Packer::new(lines.len());
    packer.write(lines)?;
    packer.finish()
}

/// Compresses lines piece by piece, where a thread has other things to do in between.
pub struct Packer(GzEncoder<Vec<u8>>);

impl Packer {
    /// For about so many bytes of lines.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        // Level 1: in wasm it is more than twice as fast as level 6, for a tenth more bytes.
        Self(GzBuilder::new().write(Vec::with_capacity(bytes / 3), Compression::fast()))
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// As [`pack`].
    pub fn write(&mut self, piece: &[u8]) -> Result<(), ArchiveError> {
        self.0.write_all(piece).map_err(damaged)
    }

    /// Gives what has been compressed.
    ///
    /// # Errors
    /// As [`pack`].
    pub fn finish(self) -> Result<Vec<u8>, ArchiveError> {
        self.0.finish().map_err(damaged)
    }
}

/// Decompresses a chunk whose SHA-256 has been compared (an encrypted one that has been opened),
/// and checks that it is exactly what the manifest says: never more memory than the manifest
/// promises, every line whole.
///
/// # Errors
/// [`ArchiveError::WrongLength`], [`ArchiveError::Damaged`] or [`ArchiveError::WrongRows`].
pub fn unpack(packed: &[u8], chunk: &Chunk) -> Result<Vec<u8>, ArchiveError> {
    expect_length(chunk.packed_bytes(), packed.len())?;
    let mut decoder = GzDecoder::new(packed);
    let mut lines = Vec::new();
    decoder
        .by_ref()
        .take(chunk.bytes.saturating_add(1))
        .read_to_end(&mut lines)
        .map_err(damaged)?;
    expect_length(chunk.bytes, lines.len())?;
    if !decoder.into_inner().is_empty() {
        return Err(ArchiveError::Damaged(
            "something follows its end".to_owned(),
        ));
    }
    expect_lines(&lines, chunk.rows)?;
    Ok(lines)
}

fn expect_length(expected: u64, found: usize) -> Result<(), ArchiveError> {
    let found = u64::try_from(found).unwrap_or(u64::MAX);
    if found == expected {
        Ok(())
    } else {
        Err(ArchiveError::WrongLength { expected, found })
    }
}

fn expect_lines(lines: &[u8], expected: u64) -> Result<(), ArchiveError> {
    let ends = lines.iter().filter(|byte| **byte == b'\n').count();
    let found = u64::try_from(ends).unwrap_or(u64::MAX);
    if found == expected && lines.last().is_none_or(|last| *last == b'\n') {
        Ok(())
    } else {
        Err(ArchiveError::WrongRows { expected, found })
    }
}

fn damaged(error: std::io::Error) -> ArchiveError {
    ArchiveError::Damaged(error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn chunk_of(lines: &[u8], stored: &[u8]) -> Chunk {
        Chunk {
            object: "o".to_owned(),
            rows: lines.iter().filter(|byte| **byte == b'\n').count() as u64,
            bytes: lines.len() as u64,
            stored_bytes: stored.len() as u64,
            sha256: "0".repeat(64),
            fingerprint: None,
        }
    }

    #[test]
    fn lines_come_back_as_they_were() {
        let lines = "1\t\\N\tö\n2\ta\\tb\t\n".repeat(5000).into_bytes();
        let stored = pack(&lines).unwrap();
        assert!(stored.len() < lines.len() / 10);
        assert_eq!(unpack(&stored, &chunk_of(&lines, &stored)).unwrap(), lines);
    }

    #[test]
    fn packing_is_deterministic() {
        assert_eq!(pack(b"a\n").unwrap(), pack(b"a\n").unwrap());
    }

    #[test]
    fn every_truncation_is_noticed() {
        let lines = b"1\tone\n2\ttwo\n";
        let stored = pack(lines).unwrap();
        for end in 0..stored.len() {
            let mut chunk = chunk_of(lines, &stored);
            chunk.stored_bytes = end as u64;
            assert!(unpack(&stored[..end], &chunk).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_promised_size() {
        let lines = vec![b'\n'; 10_000_000];
        let stored = pack(&lines).unwrap();
        let mut chunk = chunk_of(b"\n\n", &stored);
        chunk.bytes = 2;
        assert_eq!(
            unpack(&stored, &chunk),
            Err(ArchiveError::WrongLength {
                expected: 2,
                found: 3
            })
        );
    }

    #[test]
    fn bytes_after_the_end_are_noticed() {
        let lines = b"1\n";
        let mut stored = pack(lines).unwrap();
        stored.extend_from_slice(b"more");
        assert!(matches!(
            unpack(&stored, &chunk_of(lines, &stored)),
            Err(ArchiveError::Damaged(_))
        ));
    }

    #[test]
    fn a_line_without_its_end_is_noticed() {
        let lines = b"1\n2";
        let stored = pack(lines).unwrap();
        let mut chunk = chunk_of(lines, &stored);
        chunk.rows = 1;
        assert!(matches!(
            unpack(&stored, &chunk),
            Err(ArchiveError::WrongRows { .. })
        ));
    }
}
