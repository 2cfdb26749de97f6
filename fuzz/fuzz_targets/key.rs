//! A key object that is accepted reads back as it was written and holds a wrapped key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m23_archive::seal::{Sealed, mac_from_bytes, mac_to_bytes};
use m23_archive::{KeyObject, master_key};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = KeyObject::parse(bytes) {
        let written = key.to_bytes().expect("it can be written");
        assert_eq!(KeyObject::parse(&written).expect("it can be read"), key);
        assert!(key.wrapped().is_ok());
    }
    if let Ok(mac) = mac_from_bytes(bytes) {
        assert_eq!(
            mac_to_bytes(Sealed::split(&mac).expect("it is whole")),
            bytes
        );
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = master_key(text);
    }
});
