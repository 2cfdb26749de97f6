//! Reading a body into an object, strictly: one JSON object, no name twice.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// An object and the names that it had more than once.
pub(crate) struct StrictObject {
    pub(crate) values: Map<String, Value>,
    pub(crate) repeated: Vec<String>,
}

impl StrictObject {
    /// Reads `body`, or says in one sentence why it is not a JSON object.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let fault = match serde_json::from_slice::<Top>(body) {
            Ok(Top::Object(object)) => return Ok(object),
            Ok(Top::Other) => "must be a JSON object".to_owned(),
            Err(_) if body.iter().all(u8::is_ascii_whitespace) => "is empty".to_owned(),
            Err(error) if std::str::from_utf8(body).is_err() => {
                format!("is not UTF-8 (line {})", error.line().max(1))
            }
            Err(error) if error.is_data() => error.to_string(),
            Err(error) => format!(
                "is not JSON (line {}, column {})",
                error.line(),
                error.column()
            ),
        };
        Err(fault)
    }
}

enum Top {
    Object(StrictObject),
    Other,
}

impl<'de> Deserialize<'de> for Top {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TopVisitor)
    }
}

struct TopVisitor;

impl<'de> Visitor<'de> for TopVisitor {
    type Value = Top;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Top, A::Error> {
        let mut values = Map::new();
        let mut repeated = Vec::new();
        while let Some((name, Unrepeated(value))) = access.next_entry::<String, Unrepeated>()? {
            if values.contains_key(&name) {
                repeated.push(name);
            } else {
                values.insert(name, value);
            }
        }
        Ok(Top::Object(StrictObject { values, repeated }))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<Top, A::Error> {
        while access.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Top::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Top, E> {
        Ok(Top::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Top, E> {
        Ok(Top::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Top, E> {
        Ok(Top::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Top, E> {
        Ok(Top::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Top, E> {
        Ok(Top::Other)
    }

    fn visit_unit<E>(self) -> Result<Top, E> {
        Ok(Top::Other)
    }
}

/// A value in which no object has a name twice: the last would silently win.
struct Unrepeated(Value);

impl<'de> Deserialize<'de> for Unrepeated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnrepeatedVisitor).map(Self)
    }
}

struct UnrepeatedVisitor;

impl<'de> Visitor<'de> for UnrepeatedVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some((name, Unrepeated(value))) = access.next_entry::<String, Unrepeated>()? {
            if values.contains_key(&name) {
                return Err(A::Error::custom("has an object with a name given twice"));
            }
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unrepeated(value)) = access.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}
