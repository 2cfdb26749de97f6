//! JSON Schemas of what [`Fields`](crate::Fields) accepts, where a Rust type alone does not say it.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";
const PROSE: &str = r"^[^\u0000]*$";
const TABLE: &str =
    r#"^[^".\u0000-\u001f\u007f-\u009f]{1,63}(\.[^"\u0000-\u001f\u007f-\u009f]{1,63})?$"#;
const TRANSACTION: &str = "^[1-9][0-9]{0,17}$";
const SCHEMA: &str = "^[A-Za-z_][A-Za-z0-9_-]{0,62}$";

/// One line of text that is not blank, as [`Fields::line`](crate::Fields::line) takes it.
pub(crate) fn line<const LONGEST: usize>(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": LINE })
}

/// The same, or nothing.
pub(crate) fn optional_line<const LONGEST: usize>(generator: &mut SchemaGenerator) -> Schema {
    optional(line::<LONGEST>(generator))
}

/// Text of any lines, as [`Fields::text`](crate::Fields::text) takes it.
pub(crate) fn optional_text<const LONGEST: usize>(_: &mut SchemaGenerator) -> Schema {
    optional(json_schema!({ "type": "string", "maxLength": LONGEST, "pattern": PROSE }))
}

/// A list of tables, as [`Fields::tables`](crate::Fields::tables) takes it.
pub(crate) fn optional_tables(_: &mut SchemaGenerator) -> Schema {
    let table = json!({ "type": "string", "pattern": TABLE });
    optional(json_schema!({ "type": "array", "minItems": 1, "uniqueItems": true, "items": table }))
}

/// A schema's name, as [`Fields::schema`](crate::Fields::schema) takes it.
pub(crate) fn optional_schema(_: &mut SchemaGenerator) -> Schema {
    optional(json_schema!({ "type": "string", "pattern": SCHEMA }))
}

/// `true`, `false` or nothing, which counts as `false`.
pub(crate) fn optional_boolean(_: &mut SchemaGenerator) -> Schema {
    optional(json_schema!({ "type": "boolean" }))
}

/// A list of transactions.
pub(crate) fn transactions(_: &mut SchemaGenerator) -> Schema {
    let id = json!({ "type": "string", "pattern": TRANSACTION });
    json_schema!({ "type": "array", "minItems": 1, "maxItems": 1_000, "items": id })
}

/// A transaction, or nothing.
pub(crate) fn optional_transaction(_: &mut SchemaGenerator) -> Schema {
    optional(json_schema!({ "type": "string", "pattern": TRANSACTION }))
}

/// What becomes of live rows, or nothing.
pub(crate) fn optional_mode(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["exact", "missing_only", "overwrite_existing", null] })
}

/// What becomes of blocked rows, or nothing.
pub(crate) fn optional_on_blocked(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["refuse", "skip", "null", null] })
}

/// Keys of rows by table, or nothing.
pub(crate) fn keys_by_table(_: &mut SchemaGenerator) -> Schema {
    let value = json!({ "type": ["string", "number", "boolean"] });
    let key = json!({ "type": "object", "minProperties": 1, "additionalProperties": value });
    let keys = json!({ "type": "array", "minItems": 1, "items": key });
    by_table(&keys)
}

/// Filters of rows by table, or nothing.
pub(crate) fn filters_by_table(_: &mut SchemaGenerator) -> Schema {
    let bound = json!({ "type": ["string", "number", "boolean"] });
    let value = json!({ "type": ["string", "number", "boolean", "null"] });
    let terms = json!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": false,
        "properties": {
            "gte": bound, "gt": bound, "lte": bound, "lt": bound,
            "in": { "type": "array", "items": value },
        },
    });
    let column = json!({ "anyOf": [value, terms] });
    let filter = json!({ "type": "object", "minProperties": 1, "additionalProperties": column });
    by_table(&filter)
}

/// An object by table, or nothing.
fn by_table(inner: &Value) -> Schema {
    optional(json_schema!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "pattern": TABLE },
        "additionalProperties": inner,
    }))
}

/// What has happened since, or nothing.
pub(crate) fn optional_operations(_: &mut SchemaGenerator) -> Schema {
    let kind = json!({ "enum": ["insert", "update", "delete"] });
    optional(json_schema!({ "type": "array", "minItems": 1, "uniqueItems": true, "items": kind }))
}

/// Which rows come along, or nothing.
pub(crate) fn optional_with_related(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["children", "parents", "both", null] })
}

/// One of several, which exclude each other by what they are: generated types need no more to tell them apart.
pub(crate) fn any_of(schema: &mut Schema) {
    if let Some(variants) = schema.remove("oneOf") {
        schema.insert("anyOf".to_owned(), variants);
    }
}

/// `null` counts as absent.
fn optional(mut schema: Schema) -> Schema {
    if let Some(kind) = schema.remove("type") {
        schema.insert("type".to_owned(), json!([kind, "null"]));
    }
    schema
}

/// An incremental backup names its base, and has that one's tables.
pub(crate) fn based_when_incremental(schema: &mut Schema) {
    let either = json!([
        { "properties": { "jobType": { "enum": ["full", "snapshot"] } } },
        {
            "properties": { "baseBackupId": { "type": "string" }, "tables": { "type": "null" } },
            "required": ["baseBackupId"],
        },
    ]);
    schema.insert("anyOf".to_owned(), either);
}

/// Adds the confirmation of a restore.
fn confirmed_or_dry_restore(schema: &mut Schema) {
    confirmed_or_dry(schema, "confirmRestore");
}

/// The same, and what goes with live tables only, where a restore can write a schema beside them.
pub(crate) fn live_or_beside(schema: &mut Schema) {
    confirmed_or_dry_restore(schema);
    let either = json!([
        { "properties": { "targetSchema": { "type": "null" } } },
        { "properties": { "dryRun": { "enum": [false, null] }, "mode": { "enum": ["exact", null] },
            "withRelated": { "type": "null" } } },
    ]);
    schema.insert("allOf".to_owned(), json!([{ "anyOf": either }]));
}

/// The same for a restore to a moment, to before a transaction, or of an undo: one of the three.
pub(crate) fn one_target(schema: &mut Schema) {
    live_or_beside(schema);
    let nothing = json!({ "type": "null" });
    let without = |names: &[&str], required: &str| {
        let properties: serde_json::Map<String, Value> = names
            .iter()
            .map(|name| ((*name).to_owned(), nothing.clone()))
            .chain([(required.to_owned(), json!({ "not": nothing }))])
            .collect();
        json!({ "properties": properties, "required": [required] })
    };
    let either = json!([
        without(
            &["beforeTransaction", "undo", "onConflict"],
            "targetTimestamp"
        ),
        without(
            &["targetTimestamp", "undo", "onConflict", "baseBackupId"],
            "beforeTransaction"
        ),
        without(
            &[
                "targetTimestamp",
                "beforeTransaction",
                "baseBackupId",
                "rows",
                "exceptRows",
                "where",
                "operations",
                "withRelated",
                "mode",
                "targetSchema",
            ],
            "undo"
        ),
    ]);
    if let Some(Value::Array(all)) = schema.get_mut("allOf") {
        all.push(json!({ "anyOf": either }));
    }
}

/// What is taken back, or nothing.
pub(crate) fn optional_undo(generator: &mut SchemaGenerator) -> Schema {
    let nothing = json!({ "type": "null" });
    let moment = json!({ "type": "string", "format": "date-time" });
    let until = json!({ "anyOf": [moment, nothing] });
    let of = |by: &str, value: Value| {
        json!({
            "type": "object", "additionalProperties": false, "required": [by, "since"],
            "properties": { by: value, "since": moment, "until": until },
        })
    };
    let whole = json!({
        "type": "object", "additionalProperties": false, "required": ["transactions"],
        "properties": { "transactions": transactions(generator) },
    });
    json_schema!({ "anyOf": [
        whole,
        of("actor", json!({ "type": "string", "format": "uuid" })),
        of("source", json!({ "type": "string" })),
        nothing,
    ] })
}

/// Adds the confirmation of a rollback.
pub(crate) fn confirmed_or_dry_rollback(schema: &mut Schema) {
    confirmed_or_dry(schema, "confirmRollback");
}

fn confirmed_or_dry(schema: &mut Schema, confirmation: &str) {
    let description = "Must be true unless dryRun is: live data is changed.";
    let field = json!({ "type": ["boolean", "null"], "description": description });
    add_property(schema, confirmation, field);
    let either = ["dryRun", confirmation]
        .map(|name| json!({ "properties": { name: { "const": true } }, "required": [name] }));
    schema.insert("anyOf".to_owned(), json!(either));
}

fn add_property(schema: &mut Schema, name: &str, property: Value) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert(name.to_owned(), property);
    }
}
