//! The half of the fake database that serves restores: one restore, its lease, its staging.

use crate::backups::{JOB, TABLES, TENANT, rows, tenant};
use crate::fake_ports::{Driven, FakePorts, LEASE_MS, Lease, NEVER, keep_lease};
use m23_engine::RestoreOrder;
use m23_ports::{Clock as _, DatabaseError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

pub const RESTORE: Uuid = Uuid::from_u128(0xe);
const TOKEN: Uuid = Uuid::from_u128(0xf);

#[derive(Default)]
pub struct Restores {
    pub lease: Option<Lease>,
    /// What `m23_fail_restore` wrote into the log row, each time.
    pub failures: Vec<String>,
    pub notes: Vec<Value>,
    /// What was written into the live tables: rows by table.
    pub written: Option<BTreeMap<String, String>>,
    /// Tables that are not protected any more.
    pub gone: Vec<&'static str>,
    /// What the one transaction answers instead of its outcome.
    pub answer: Option<Value>,
    tables: BTreeMap<u64, (String, u64)>,
    chunks: BTreeMap<(u64, u64), (u64, String)>,
    /// What each chunk does, in their order.
    pub kinds: Vec<String>,
    /// The groups of each table, as often as room was made for it.
    pub groups: BTreeMap<String, Value>,
    /// What the next worker is given.
    order: Value,
}

impl Restores {
    pub fn call(&mut self, name: &str, given: &Value, now: u64) -> Result<Value, DatabaseError> {
        assert_eq!(given["p_restore_id"], json!(RESTORE));
        keep_lease(&mut self.lease, &given["p_lease"], now)?;
        match name {
            "m23_stage_table" => Ok(self.stage_table(&given["p_table"])),
            "m23_note_restore" => {
                self.notes.push(given["p_progress"].clone());
                Ok(Value::Null)
            }
            "m23_fail_restore" => {
                self.failures
                    .push(given["p_error"].as_str().unwrap().to_owned());
                self.lease = None;
                Ok(Value::Null)
            }
            _ => Ok(self.execute()),
        }
    }

    fn stage_table(&mut self, table: &Value) -> Value {
        let name = table["name"].as_str().unwrap().to_owned();
        if self.gone.contains(&name.as_str()) {
            return Value::Null;
        }
        assert_eq!(table["columns"], json!(["k", "t"]));
        self.groups.insert(name.clone(), table["groups"].clone());
        let ordinal = table["ordinal"].as_u64().unwrap();
        self.tables
            .insert(ordinal, (name, table["rows"].as_u64().unwrap()));
        let missing = (1_u64..).find(|seq| !self.chunks.contains_key(&(ordinal, *seq)));
        json!(missing)
    }

    /// How many chunks are staged with all before them, in all tables.
    pub fn staged_in_order(&self) -> usize {
        let follows = |(table, seq): &(u64, u64)| {
            (1..*seq).all(|before| self.chunks.contains_key(&(*table, before)))
        };
        self.chunks.keys().filter(|key| follows(key)).count()
    }

    /// A detached restore whose lease has lapsed is taken up, once.
    pub fn claim(&mut self, now: u64) -> Value {
        if self.lease.is_none_or(|lease| lease.until > now) {
            return Value::Null;
        }
        self.lease = Some(Lease {
            token: TOKEN,
            until: now + LEASE_MS,
        });
        self.order.clone()
    }

    pub fn stage_chunk(&mut self, bytes: &[u8], now: u64) -> Result<Value, DatabaseError> {
        let text = std::str::from_utf8(bytes).unwrap();
        let (head, lines) = text.split_once('\n').unwrap();
        let head: Value = serde_json::from_str(head).unwrap();
        keep_lease(&mut self.lease, &head["lease"], now)?;
        let number = |name: &str| head[name].as_u64().unwrap();
        assert!(self.tables.contains_key(&number("ordinal")));
        assert_eq!(lines.lines().count() as u64, number("rows"));
        let kind = head["kind"].as_str().unwrap();
        self.chunks
            .entry((number("ordinal"), number("seq")))
            .or_insert_with(|| {
                self.kinds.push(kind.to_owned());
                let lines = lines.split_inclusive('\n');
                let mark = if kind == "rows" {
                    "r"
                } else {
                    &number("version").to_string()
                };
                let marked = lines.map(|line| format!("{mark}{line}"));
                (number("rows"), marked.collect())
            });
        Ok(head["rows"].clone())
    }

    fn execute(&mut self) -> Value {
        self.lease = None;
        if let Some(answer) = self.answer.take() {
            return answer;
        }
        let mut written = BTreeMap::new();
        for (ordinal, (name, promised)) in &self.tables {
            let staged = || {
                self.chunks
                    .iter()
                    .filter(|((table, _), _)| table == ordinal)
            };
            let count: u64 = staged().map(|(_, (rows, _))| rows).sum();
            assert_eq!(count, *promised, "{name} is staged whole");
            let lines: String = staged().map(|(_, (_, lines))| lines.as_str()).collect();
            written.insert(name.clone(), rows_left(&lines));
        }
        let names: Vec<&String> = written.keys().collect();
        let count = written
            .values()
            .map(|lines| lines.lines().count())
            .sum::<usize>();
        let reply = json!({ "restored_tables": names, "rows_restored": count, "duration": 0.5,
            "snapshot_id": null, "warnings": [],
            "stats": { "totalOperations": count, "insertCount": count, "updateCount": 0,
                       "deleteCount": 0, "affectedTables": names } });
        self.written = Some(written);
        reply
    }
}

/// The rows that staging comes to: a line of history takes the row of its key away. How many fields stand
/// before that is said by its archive's version.
fn rows_left(lines: &str) -> String {
    let mut rows: Vec<&str> = Vec::new();
    for marked in lines.split_inclusive('\n') {
        let (kind, line) = marked.split_at(1);
        let key = match kind {
            "1" => line.split('\t').nth(4),
            "2" => line.split('\t').nth(5),
            _ => None,
        };
        match key {
            Some(key) => rows.retain(|row| row.split('\t').next() != Some(key)),
            None => rows.push(line),
        }
    }
    rows.concat()
}

/// What a restore of these tables writes.
pub fn wanted(tables: &[&str]) -> BTreeMap<String, String> {
    let all = TABLES.iter().enumerate();
    all.filter(|(_, (name, _))| tables.contains(name))
        .map(|(at, (name, _))| ((*name).to_owned(), rows(at).concat()))
        .collect()
}

pub fn everything() -> BTreeMap<String, String> {
    wanted(&TABLES.map(|(name, _)| name))
}

/// A ports with a complete backup, and a restore of it that has just begun. Its steps are counted
/// from here.
pub fn begun() -> (FakePorts, RestoreOrder) {
    let ports = FakePorts::new();
    assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
    ports.steps.borrow_mut().clear();
    ports.logged.borrow_mut().clear();
    let order = begin(&ports);
    (ports, order)
}

/// Begins a restore of the ports's backup.
pub fn begin(ports: &FakePorts) -> RestoreOrder {
    let until = ports.now_ms() + LEASE_MS;
    let (object, hash, _) = ports.backups.borrow().manifest.clone().unwrap();
    *ports.restores.borrow_mut() = Restores {
        lease: Some(Lease {
            token: TOKEN,
            until,
        }),
        order: json!({ "work_id": RESTORE, "lease": TOKEN, "tenant_id": TENANT, "backup_id": JOB, "manifest": object,
                       "manifest_sha256": hash, "tables": null, "rewind": false }),
        ..Restores::default()
    };
    RestoreOrder {
        work_id: RESTORE,
        lease: TOKEN,
        tenant_id: tenant(TENANT),
        backup_id: Some(JOB),
        manifest: Some(object),
        manifest_sha256: Some(hash),
        tables: None,
        rewind: false,
        dry_run: false,
    }
}
