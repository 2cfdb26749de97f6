//! A chunk never gives another number of bytes or lines than its manifest promises. The first two
//! bytes of the input are the promise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m23_archive::{Chunk, pack, unpack};

fuzz_target!(|input: (u16, u16, Vec<u8>)| {
    let (bytes, rows, stored) = input;
    let mut chunk = Chunk {
        object: String::new(),
        rows: rows.into(),
        bytes: bytes.into(),
        stored_bytes: stored.len() as u64,
        sha256: String::new(),
        fingerprint: None,
    };
    if let Ok(lines) = unpack(&stored, &chunk) {
        assert_eq!(lines.len() as u64, chunk.bytes);
        assert_eq!(
            lines.iter().filter(|byte| **byte == b'\n').count() as u64,
            chunk.rows
        );
    }
    // The same input as lines comes back as it was, or is refused for its last line alone.
    let packed = pack(&stored).expect("it can be packed");
    chunk.bytes = stored.len() as u64;
    chunk.rows = stored.iter().filter(|byte| **byte == b'\n').count() as u64;
    chunk.stored_bytes = packed.len() as u64;
    match unpack(&packed, &chunk) {
        Ok(lines) => assert_eq!(lines, stored),
        Err(_) => assert_ne!(stored.last(), Some(&b'\n')),
    }
});
