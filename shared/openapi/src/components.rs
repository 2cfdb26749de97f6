//! The schemas of all bodies.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

const PLACE: &str = "/components/schemas";

/// Collects the schemas that bodies refer to: requests as they are read, responses as they are written.
pub(crate) struct Schemas {
    requests: SchemaGenerator,
    responses: SchemaGenerator,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        let placed =
            |settings: SchemaSettings| settings.with(|own| own.definitions_path = PLACE.into());
        Self {
            requests: placed(SchemaSettings::draft2020_12()).into_generator(),
            responses: placed(SchemaSettings::draft2020_12().for_serialize())
                .with_transform(RecursiveTransform(never_null))
                .into_generator(),
        }
    }

    /// A reference to the schema of a request body.
    pub(crate) fn request<T: JsonSchema>(&mut self) -> Value {
        self.requests.subschema_for::<T>().to_value()
    }

    /// A reference to the schema of a response body.
    pub(crate) fn response<T: JsonSchema>(&mut self) -> Value {
        self.responses.subschema_for::<T>().to_value()
    }

    /// Everything that was referred to.
    pub(crate) fn into_definitions(mut self) -> Map<String, Value> {
        let mut all = self.requests.take_definitions(true);
        all.extend(self.responses.take_definitions(true));
        all
    }
}

/// A field that is left out when it is empty is never null.
fn never_null(schema: &mut Schema) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for (name, property) in properties {
        let always_there = required
            .as_array()
            .is_some_and(|names| names.iter().any(|one| one == name));
        if !always_there {
            without_null(property);
        }
    }
}

fn without_null(property: &mut Value) {
    if let Some(Value::Array(kinds)) = property.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            property["type"] = only.clone();
        }
    }
    if let Some(Value::Array(choices)) = property.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            if let Value::Object(whole) = property {
                whole.remove("anyOf");
                whole.extend(only);
            }
        }
    }
}
