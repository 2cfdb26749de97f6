//! Recovery tests: an examination that is stopped and taken up again looks at everything once.
//! The fake database's rows belong to nobody, so that every chunk has a finding.

use crate::backups::{JOB, TENANT};
use crate::chains::{HISTORY, TIP, chained_by};
use crate::fake_ports::{self, FakePorts, LEASE_MS, Lease, NEVER, keep_lease};
use crate::faults::{BOTH, Break, Fault};
use m23_archive::Version;
use m23_engine::Driven;
use m23_ports::DatabaseError;
use serde_json::{Value, json};
use uuid::Uuid;

const TEST: Uuid = Uuid::from_u128(0x7e57);
const CHUNKS: usize = 6;

/// The half of the fake database that serves recovery tests: one test, its lease, its state.
#[derive(Default)]
pub struct RecoveryTests {
    lease: Option<Lease>,
    leases: u128,
    state: Option<Value>,
    saved: usize,
    level: &'static str,
    /// Ids, manifests' objects and their SHA-256, the full backup first.
    archives: Vec<(Uuid, String, String)>,
    /// What the test came to.
    tally: Option<Value>,
}

impl RecoveryTests {
    pub fn call(&mut self, name: &str, given: &Value, now: u64) -> Result<Value, DatabaseError> {
        if name == "m23_claim_test" {
            return Ok(self.claim(now));
        }
        let shown = &given["p_lease"];
        keep_lease(&mut self.lease, shown, now)?;
        match name {
            "m23_save_test" => {
                self.saved += 1;
                self.state = Some(given["p_state"].clone());
                Ok(Value::Null)
            }
            "m23_finish_test" => {
                self.lease = None;
                self.tally = Some(given["p_tally"].clone());
                Ok(
                    json!({"duration": 1.5, "issuesFound": given["p_tally"]["issues"],
                    "validationsPassed": given["p_tally"]["passed"], "recommendations": [],
                    "findings": given["p_tally"]["findings"]}),
                )
            }
            other => panic!("nobody calls {other} here"),
        }
    }

    fn claim(&mut self, now: u64) -> Value {
        if self.tally.is_some() || self.lease.is_some_and(|lease| lease.until > now) {
            return Value::Null;
        }
        self.leases += 1;
        let token = Uuid::from_u128(0xabc + self.leases);
        self.lease = Some(Lease {
            token,
            until: now + LEASE_MS,
        });
        let known = |(id, object, sha256): &(Uuid, String, String)| {
            json!({"backup_id": id, "manifest": object,
            "manifest_sha256": sha256})
        };
        let archives: Vec<Value> = self.archives.iter().map(known).collect();
        json!({"test_id": TEST, "lease": token, "tenant_id": TENANT, "level": self.level,
            "state": self.state.clone().unwrap_or(json!({})),
            "archives": archives})
    }

    pub fn release(&mut self, given: &Value) -> bool {
        let is_ours = given["p_work_id"] == json!(TEST);
        if is_ours {
            self.lease = None;
        }
        is_ours
    }
}

/// A ports with a complete backup, and a test of it that waits for a driver.
fn begun(level: &'static str) -> FakePorts {
    let ports = FakePorts::new();
    assert_eq!(
        ports.back_up(NEVER),
        Some(fake_ports::Driven::Completed(JOB))
    );
    ports.steps.borrow_mut().clear();
    ports.pauses.borrow_mut().clear();
    let (object, hash, _) = ports.backups.borrow().manifest.clone().unwrap();
    *ports.recovery_tests.borrow_mut() = RecoveryTests {
        level,
        archives: vec![(JOB, object, hash)],
        ..RecoveryTests::default()
    };
    ports
}

fn tally(ports: &FakePorts) -> Value {
    ports.recovery_tests.borrow().tally.clone().unwrap()
}

fn unhurried(level: &'static str) -> Value {
    let ports = begun(level);
    assert!(matches!(
        ports.run_test(NEVER),
        Some(Driven::Completed(TEST, _))
    ));
    tally(&ports)
}

#[test]
fn the_line_of_a_test_says_whose_it_was_how_long_it_took_and_what_it_read() {
    let ports = begun("full");
    ports.run_test(NEVER);
    let said = ports.line("test_completed", ["test_id", "tenant_id", "rows"]);
    assert_eq!(said, [json!(TEST), json!(TENANT), json!(10)]);
    let [ms, bytes] = ports.line("test_completed", ["ms", "bytes"]);
    assert!(
        ms.as_u64() > Some(0) && bytes.as_u64() > Some(0),
        "{ms} {bytes}"
    );
}

#[test]
fn a_list_of_objects_reads_the_manifest_and_no_chunk() {
    let ports = begun("basic");
    let Some(Driven::Completed(TEST, results)) = ports.run_test(NEVER) else {
        panic!("it ran");
    };
    assert_eq!((results.issues_found, results.validations_passed), (0, 7));
    assert_eq!(ports.begun("get"), 1);
    assert!(matches!(ports.run_test(NEVER), Some(Driven::Nothing)));
}

#[test]
fn an_examination_whose_time_is_up_goes_on_where_it_stopped() {
    let ports = begun("full");
    for _ in 0..CHUNKS - 1 {
        assert!(matches!(ports.run_test(0), Some(Driven::Paused(TEST))));
    }
    assert!(matches!(
        ports.run_test(0),
        Some(Driven::Completed(TEST, _))
    ));
    assert_eq!(tally(&ports), unhurried("full"));
    assert_eq!(
        ports.begun("get"),
        CHUNKS + CHUNKS,
        "every chunk once, and the manifest each time"
    );
}

#[test]
fn a_driver_that_dies_anywhere_loses_nothing() {
    let whole = unhurried("full");
    let steps = {
        let ports = begun("full");
        ports.run_test(NEVER);
        ports.steps.borrow().len()
    };
    for step in 0..steps {
        for when in BOTH {
            let ports = begun("full");
            ports
                .faults
                .borrow_mut()
                .push(Fault::at(step, when, Break::Death));
            ports.run_test(NEVER);
            ports.mend();
            ports.run_test(NEVER);
            assert_eq!(tally(&ports), whole, "died at {step}, {when:?}");
        }
    }
}

#[test]
fn a_store_that_is_away_ends_the_drive_and_not_the_test() {
    let ports = begun("full");
    ports
        .faults
        .borrow_mut()
        .push(Fault::from(3, BOTH[0], Break::Passing).sparing("m23_release_work"));
    assert!(matches!(ports.run_test(NEVER), Some(Driven::Paused(TEST))));
    ports.mend();
    assert!(matches!(
        ports.run_test(NEVER),
        Some(Driven::Completed(TEST, _))
    ));
    assert_eq!(tally(&ports), unhurried("full"));
}

#[test]
fn a_long_examination_keeps_its_lease() {
    let ports = begun("full");
    ports.slow.set(3_000);
    assert!(matches!(
        ports.run_test(NEVER),
        Some(Driven::Completed(TEST, _))
    ));
    assert!(ports.recovery_tests.borrow().saved > 2);
}

#[test]
fn what_is_damaged_is_found_and_the_rest_is_looked_at() {
    let ports = begun("full");
    let (removed, altered) = {
        let mut objects = ports.objects.borrow_mut();
        let chunks: Vec<String> = objects
            .keys()
            .filter(|name| name.ends_with(".copy.gz"))
            .cloned()
            .collect();
        objects.remove(&chunks[1]);
        let bytes = objects.get_mut(&chunks[2]).unwrap();
        bytes[12] ^= 1;
        (chunks[1].clone(), chunks[2].clone())
    };
    ports.run_test(NEVER);
    let tally = tally(&ports);
    let kinds_of = |object: &str| -> Vec<&Value> {
        let findings = tally["findings"].as_array().unwrap().iter();
        findings
            .filter(|finding| finding["object"] == object)
            .map(|finding| &finding["kind"])
            .collect()
    };
    assert_eq!(
        kinds_of(&removed),
        ["object_missing"],
        "once, at the first look"
    );
    assert_eq!(kinds_of(&altered), ["object_altered"]);
    assert_eq!(tally["issues"], CHUNKS, "{tally}");
}

/// What is found of the log of an incremental whose first table has one group, without columns.
fn found_of_history(history: &str) -> Vec<Value> {
    let (ports, order) = chained_by(Version::Two, json!([[]]), history);
    let (full, sha256, _) = ports.backups.borrow().manifest.clone().unwrap();
    let tip = (TIP, order.manifest.unwrap(), order.manifest_sha256.unwrap());
    *ports.recovery_tests.borrow_mut() = RecoveryTests {
        level: "full",
        archives: vec![(JOB, full, sha256), tip],
        ..RecoveryTests::default()
    };
    ports.run_test(NEVER);
    let tally = tally(&ports);
    let findings = tally["findings"].as_array().unwrap().iter();
    let is_of_history = |found: &&Value| found["object"].as_str().unwrap().contains("/history-");
    findings.filter(is_of_history).cloned().collect()
}

#[test]
fn images_that_leave_out_what_they_may_not_are_found() {
    let history = HISTORY.replace("row of a", &TENANT.to_string());
    assert_eq!(found_of_history(&history), [""; 0]);
    let found = found_of_history(HISTORY);
    assert_eq!((found.len(), &found[0]["kind"]), (1, &json!("foreign_row")));
    for (good, bad, what) in [
        (
            "\t1\t0001",
            "\t2\t0001",
            "a group that its table does not have",
        ),
        ("\t0\t0002", "\t1\t0002", "is no update"),
        ("\t0\t0002", "\t\\N\t0002", "no number of unchanged groups"),
    ] {
        let found = found_of_history(&history.replacen(good, bad, 1));
        assert_eq!(found.len(), 1, "{bad:?}: {found:?}");
        assert_eq!(found[0]["kind"], "line_malformed");
        let sentence = found[0]["sentence"].as_str().unwrap();
        assert!(sentence.contains(what), "{sentence}");
    }
}
