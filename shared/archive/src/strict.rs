//! JSON that is read strictly: nothing twice, nothing unknown.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a document. A field that is null counts as one that is absent.
pub(crate) fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, String> {
    let text = |error: serde_json::Error| error.to_string();
    let document: T = serde_json::from_slice(bytes).map_err(text)?;
    let given: Value = serde_json::from_slice(bytes).map_err(text)?;
    let known = serde_json::to_value(&document).map_err(text)?;
    match unknown_field(&given, &known) {
        Some(name) => Err(format!("it has an unknown field, {name:?}")),
        None => Ok(document),
    }
}

/// The bytes of a document.
pub(crate) fn write(document: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut bytes = serde_json::to_vec_pretty(document).map_err(|error| error.to_string())?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn unknown_field(given: &Value, known: &Value) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            given
                .iter()
                .find_map(|(name, value)| match known.get(name) {
                    Some(known) => unknown_field(value, known),
                    None => (!value.is_null()).then(|| name.clone()),
                })
        }
        (Value::Array(given), Value::Array(known)) => given
            .iter()
            .zip(known)
            .find_map(|(given, known)| unknown_field(given, known)),
        _ => None,
    }
}
