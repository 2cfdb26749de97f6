//! A manifest that is accepted reads back as it was written, and names objects of its own alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m23_archive::{Manifest, Table, Version, check_link};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        let written = manifest.to_bytes().expect("it can be written");
        assert_eq!(Manifest::parse(&written).expect("it can be read"), manifest);
        for (_, _, chunk) in manifest.facts.tables.iter().flat_map(Table::objects) {
            assert!(chunk.object.starts_with(&manifest.prefix()));
            assert!(!chunk.object.contains(".."));
        }
        for table in &manifest.facts.tables {
            assert!(table.groups().len() <= Table::MOST_GROUPS);
            assert!(table.groups().is_empty() || !table.whole && manifest.version >= Version::Two);
        }
        assert!(check_link(&manifest, &manifest, "").is_err());
    }
});
