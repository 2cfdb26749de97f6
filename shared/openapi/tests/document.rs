//! The document says what the contract's code does, and the committed file is that document.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::Path;

use m23_contract::{
    BackupCreateRequest, BackupCreateResponse, BackupRestoreRequest, BackupRestoreResponse,
    ErrorCode, FunctionName, PitrRestoreRequest, PitrRestoreResponse, PitrRollbackRequest,
    PitrRollbackResponse, RecoveryTestRequest, RecoveryTestResponse, Validate, read_request,
};
use m23_openapi::{codes_of, document, examples_of};
use serde_json::Value;

#[test]
fn the_committed_file_is_the_document() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let committed: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(
        committed == document(),
        "docs/openapi.json is out of date: run `cargo xtask generate`"
    );
}

#[test]
fn a_request_has_the_fields_that_are_read() {
    fn check<R: Validate>(schema: &str) {
        let fields: BTreeSet<String> = R::FIELDS.iter().map(|field| (*field).to_owned()).collect();
        assert_eq!(fields_of(&document(), schema), fields, "{schema}");
    }
    check::<BackupCreateRequest>("BackupCreateRequest");
    check::<BackupRestoreRequest>("BackupRestoreRequest");
    check::<PitrRestoreRequest>("PitrRestoreRequest");
    check::<PitrRollbackRequest>("PitrRollbackRequest");
    check::<RecoveryTestRequest>("RecoveryTestRequest");
}

/// The properties of a schema, and of those that it is a choice of.
fn fields_of(document: &Value, name: &str) -> BTreeSet<String> {
    properties(document, &document["components"]["schemas"][name])
}

fn properties(document: &Value, schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Some(Value::Object(own)) = schema.get("properties") {
        found.extend(own.keys().cloned());
    }
    if let Some(Value::Array(choices)) = schema.get("anyOf") {
        found.extend(
            choices
                .iter()
                .flat_map(|choice| properties(document, choice)),
        );
    }
    if let Some(target) = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.rsplit('/').next())
    {
        found.extend(fields_of(document, target));
    }
    found
}

#[test]
fn every_example_is_a_valid_request_and_a_whole_answer() {
    use FunctionName as Name;
    for function in FunctionName::ALL {
        for example in examples_of(function) {
            let body = serde_json::to_vec(&example.request).unwrap();
            let faults = match function {
                Name::BackupCreate => read_request::<BackupCreateRequest>(&body).request.err(),
                Name::BackupRestore => read_request::<BackupRestoreRequest>(&body).request.err(),
                Name::PitrRestore => read_request::<PitrRestoreRequest>(&body).request.err(),
                Name::PitrRollback => read_request::<PitrRollbackRequest>(&body).request.err(),
                Name::RecoveryTest => read_request::<RecoveryTestRequest>(&body).request.err(),
            };
            assert_eq!(faults, None, "{function} {}", example.name);
            let written = match function {
                Name::BackupCreate => again::<BackupCreateResponse>(&example.response),
                Name::BackupRestore => again::<BackupRestoreResponse>(&example.response),
                Name::PitrRestore => again::<PitrRestoreResponse>(&example.response),
                Name::PitrRollback => again::<PitrRollbackResponse>(&example.response),
                Name::RecoveryTest => again::<RecoveryTestResponse>(&example.response),
            };
            assert_eq!(written, example.response, "{function} {}", example.name);
        }
    }
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(value.clone()).unwrap()).unwrap()
}

#[test]
fn every_code_stands_under_its_status() {
    let document = document();
    let mut seen = BTreeSet::new();
    for function in FunctionName::ALL {
        let responses =
            &document["paths"][format!("/functions/v1/{function}")]["post"]["responses"];
        for code in codes_of(function) {
            let response = &responses[code.status().to_string()];
            let codes = &response["content"]["application/json"]["schema"]["allOf"][1]["properties"]
                ["code"]["enum"];
            assert!(
                codes.as_array().unwrap().contains(&code.as_str().into()),
                "{function} {code}"
            );
            seen.insert(code.as_str());
        }
    }
    assert_eq!(seen.len(), ErrorCode::ALL.len());
}
