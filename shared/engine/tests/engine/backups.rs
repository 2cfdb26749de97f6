//! The half of the fake database that serves backups: one job, its lease, its chunks.

use crate::fake_ports::{FakePorts, LEASE_MS, Lease, check_lease, keep_lease, sha256};
use crate::faults::refused;
use m23_archive::{Manifest, unpack};
use m23_contract::ErrorCode;
use m23_ports::DatabaseError;
use m23_tenant::TenantId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

pub const JOB: Uuid = Uuid::from_u128(0xb);
pub const TENANT: Uuid = Uuid::from_u128(0xa);

/// The tenant of a UUID.
pub fn tenant(id: Uuid) -> TenantId {
    id.to_string().parse().unwrap()
}

/// The tables of the tenant, and their rows: with a last chunk that is not full, with none, with
/// full chunks only, and with one row.
pub const TABLES: [(&str, usize); 4] = [("a", 5), ("b", 0), ("c", 4), ("d", 1)];
pub const CHUNK_ROWS: usize = 2;

#[derive(Default)]
struct Part {
    done: bool,
    chunks: BTreeMap<u64, Value>,
}

pub struct Backups {
    pub status: &'static str,
    pub error: Option<String>,
    pub lease: Option<Lease>,
    /// The manifest's object, its SHA-256, the backup's size.
    pub manifest: Option<(String, String, u64)>,
    pub server_version: u32,
    /// Chunks that were recorded, each time.
    pub recorded: usize,
    /// The key of this backup, and that of the tenant.
    pub key: Option<Uuid>,
    pub tenant_key: Option<Uuid>,
    /// Somebody wants the tenant's keys erased.
    pub erasing: bool,
    /// Which row after a chunk's last one it says will end the next chunk: none, the right one, or
    /// another, as where the bytes of a chunk are its limit.
    pub looks_ahead: Option<usize>,
    parts: Vec<Part>,
    leases: u128,
}

pub fn rows(table: usize) -> Vec<String> {
    let (name, count) = TABLES[table];
    (0..count)
        .map(|key| format!("{key:04}\trow of {name}\n"))
        .collect()
}

impl Backups {
    pub fn new() -> Self {
        Self {
            status: "pending",
            error: None,
            lease: None,
            manifest: None,
            server_version: 170_010,
            recorded: 0,
            key: None,
            tenant_key: None,
            erasing: false,
            looks_ahead: None,
            parts: TABLES.iter().map(|_| Part::default()).collect(),
            leases: 0,
        }
    }

    pub fn call(&mut self, name: &str, given: &Value, now: u64) -> Result<Value, DatabaseError> {
        match name {
            "m23_claim_backup" => Ok(self.claim(now)),
            "m23_choose_key" => {
                keep_lease(&mut self.lease, &given["p_lease"], now)?;
                self.choose_key(given)
            }
            "m23_claim_erasure" => Ok(self.claim_erasure()),
            "m23_finish_erasure" => {
                self.erasing = false;
                Ok(Value::Null)
            }
            "m23_record_chunk" => self.record(&given["p_chunk"], now),
            "m23_backup_facts" => {
                keep_lease(&mut self.lease, &given["p_lease"], now)?;
                self.facts()
            }
            "m23_finish_backup" => {
                keep_lease(&mut self.lease, &given["p_lease"], now)?;
                self.finish(given);
                Ok(Value::Null)
            }
            "m23_fail_backup" => {
                keep_lease(&mut self.lease, &given["p_lease"], now)?;
                self.status = "failed";
                self.error = given["p_error"].as_str().map(ToOwned::to_owned);
                self.lease = None;
                Ok(Value::Null)
            }
            "m23_release_work" => {
                if check_lease(self.lease, &given["p_lease"]).is_ok() {
                    self.lease.as_mut().unwrap().until = now;
                }
                Ok(Value::Null)
            }
            other => panic!("no such function: {other}"),
        }
    }

    fn claim(&mut self, now: u64) -> Value {
        let is_free = self.lease.is_none_or(|lease| lease.until <= now);
        if !is_free || !matches!(self.status, "pending" | "in_progress") {
            return Value::Null;
        }
        self.leases += 1;
        let token = Uuid::from_u128(self.leases);
        self.lease = Some(Lease {
            token,
            until: now + LEASE_MS,
        });
        self.status = "in_progress";
        let part = |(at, part): (usize, &Part)| {
            let last = part.chunks.iter().next_back();
            json!({ "ordinal": at + 1, "schema": "public", "name": TABLES[at].0, "history": false, "done": part.done,
                    "next_seq": last.map_or(1, |(seq, _)| seq + 1),
                    "after": last.map(|(_, chunk)| &chunk["last_key"]) })
        };
        let tables: Vec<Value> = self.parts.iter().enumerate().map(part).collect();
        json!({ "job_id": JOB, "lease": token, "parts": tables,
                "tenant_id": TENANT, "prefix": format!("tenants/{TENANT}/backups/{JOB}"),
                "key": { "tenant_id": TENANT, "key_id": self.key, "tenant_key_id": self.tenant_key,
                         "sealed": self.tenant_key.is_some(),
                         "plain": self.key.is_none() && self.parts.iter().any(|part| !part.chunks.is_empty()) } })
    }

    fn choose_key(&mut self, given: &Value) -> Result<Value, DatabaseError> {
        let id = |name: &str| serde_json::from_value::<Option<Uuid>>(given[name].clone()).unwrap();
        if self.erasing {
            let wait = "the keys of this tenant are being erased";
            return Err(refused(ErrorCode::Unavailable, wait));
        }
        if self.tenant_key.is_none() || self.tenant_key == id("p_instead_of") {
            self.tenant_key = id("p_key_id");
        }
        self.key = self.key.or(self.tenant_key);
        Ok(json!(self.key))
    }

    fn claim_erasure(&self) -> Value {
        if self.erasing {
            json!({ "work_id": JOB, "lease": JOB, "tenant_id": TENANT, "prefix": format!("keys/{TENANT}/") })
        } else {
            Value::Null
        }
    }

    pub fn read(&self, given: &Value) -> Result<Vec<u8>, DatabaseError> {
        check_lease(self.lease, &given["p_lease"])?;
        let key = |row: &String| row.split('\t').next().unwrap().to_owned();
        let table = usize::try_from(given["p_ordinal"].as_u64().unwrap()).unwrap() - 1;
        let after = given["p_after"][0].as_str().unwrap_or("");
        let mut page: Vec<String> = rows(table)
            .into_iter()
            .filter(|row| key(row).as_str() > after)
            .collect();
        let beyond = page.split_off(page.len().min(CHUNK_ROWS));
        let next = self.looks_ahead.and_then(|count| beyond.get(count - 1));
        let is_end = self.looks_ahead.is_some() && beyond.is_empty();
        let head = json!({ "rows": page.len(), "done": page.len() < CHUNK_ROWS || is_end,
                           "last_key": page.last().map(|row| [key(row)]),
                           "next_key": next.map(|row| [key(row)]) });
        Ok(format!("{head}\n{}", page.concat()).into_bytes())
    }

    fn record(&mut self, chunk: &Value, now: u64) -> Result<Value, DatabaseError> {
        keep_lease(&mut self.lease, &chunk["lease"], now)?;
        let part =
            &mut self.parts[usize::try_from(chunk["ordinal"].as_u64().unwrap()).unwrap() - 1];
        let seq = chunk["seq"].as_u64().unwrap();
        if part.chunks.keys().next_back().map_or(1, |last| last + 1) < seq {
            let lost = "the database has lost the record of an earlier chunk of this backup";
            return Err(refused(ErrorCode::Unavailable, lost));
        }
        if chunk["rows"] != 0 {
            let kept = part.chunks.entry(seq).or_insert_with(|| chunk.clone());
            assert_eq!(
                kept["object"], chunk["object"],
                "a chunk that is said twice is the same"
            );
        }
        part.done = chunk["done"].as_bool().unwrap();
        self.recorded += 1;
        Ok(Value::Null)
    }

    fn facts(&self) -> Result<Value, DatabaseError> {
        if !self.parts.iter().all(|part| part.done) {
            let unread = "not every table of this backup has been read to its end";
            return Err(refused(ErrorCode::Unavailable, unread));
        }
        let table = |(at, part): (usize, &Part)| {
            json!({ "schema": "public", "name": TABLES[at].0, "tenant_column": "t", "key": ["k"],
                    "columns": [{ "name": "k", "type": "text" }, { "name": "t", "type": "text" }],
                    "groups": null, "chunks": part.chunks.values().collect::<Vec<_>>() })
        };
        let tables: Vec<Value> = self.parts.iter().enumerate().map(table).collect();
        Ok(
            json!({ "backup_id": JOB, "tenant_id": TENANT, "backup_name": "nightly",
            "job_type": "full", "position": "10:12:11", "incarnation": Uuid::from_u128(0xc),
            "position_at": "2026-01-02T03:04:05.678901+00:00",
            "server_version": self.server_version, "tables": tables }),
        )
    }

    fn finish(&mut self, given: &Value) {
        let text = |name: &str| given[name].as_str().unwrap().to_owned();
        let size = given["p_size_bytes"].as_u64().unwrap();
        self.manifest = Some((text("p_manifest"), text("p_manifest_sha256"), size));
        self.status = "completed";
        self.lease = None;
    }
}

impl FakePorts {
    /// The backup is complete and holds every row once; the store holds nothing else; the
    /// manifest came last; every name tells its bytes.
    pub fn assert_exact(&self, case: &str) {
        let backups = self.backups.borrow();
        assert_eq!(
            (backups.status, &backups.error),
            ("completed", &None),
            "{case}"
        );
        let (object, hash, size) = backups.manifest.clone().unwrap();
        let objects = self.objects.borrow();
        assert_eq!(
            self.created.borrow().last(),
            Some(&object),
            "{case}: manifest last"
        );
        assert_eq!(sha256(&objects[&object]), hash, "{case}");
        assert_eq!(
            objects
                .values()
                .map(|bytes| bytes.len() as u64)
                .sum::<u64>(),
            size,
            "{case}"
        );

        let manifest = Manifest::parse(&objects[&object]).unwrap();
        let mut known = vec![object];
        for (at, table) in manifest.facts.tables.iter().enumerate() {
            let mut lines = Vec::new();
            for chunk in &table.chunks {
                let stored = &objects[&chunk.object];
                assert_eq!(sha256(stored), chunk.sha256, "{case}");
                assert!(
                    chunk.object.contains(&chunk.sha256[..16]),
                    "{case}: {}",
                    chunk.object
                );
                lines.extend(unpack(stored, chunk).unwrap());
                known.push(chunk.object.clone());
            }
            assert_eq!(
                String::from_utf8(lines).unwrap(),
                rows(at).concat(),
                "{case}"
            );
        }
        known.sort();
        assert_eq!(
            objects.keys().cloned().collect::<Vec<_>>(),
            known,
            "{case}: no orphan"
        );
    }
}
