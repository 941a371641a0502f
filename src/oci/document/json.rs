//! JSON that every reader understands alike.
//!
//! RFC 8259, section 4, leaves open what a duplicate key means: one reader takes the first value, one the
//! last. A document with duplicate keys at any level is therefore refused before it is read.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};

use crate::oci::document::error::DocumentError;

/// Reads `bytes`, which are one JSON value without duplicate keys. `serde_json` bounds the nesting to 128.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DocumentError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Unambiguous
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(DocumentError::Json)?;
    serde_json::from_slice(bytes).map_err(DocumentError::Json)
}

/// Walks over a value and keeps nothing but the keys of the objects it is in.
struct Unambiguous;

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Self)?;
            if let Some(key) = keys.replace(key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<serde_json::Value, DocumentError> {
        read(text.as_bytes())
    }

    #[test]
    fn a_duplicate_key_is_refused_at_any_level() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":[{"b":{"c":1,"c":2}}]}"#, r#"{"a":1,"\u0061":2}"#]
        {
            let error = check(text).unwrap_err();
            assert!(
                matches!(error, DocumentError::Json(cause) if cause.to_string().contains("duplicate key"))
            );
        }
    }

    #[test]
    fn the_same_key_in_two_objects_is_no_duplicate() {
        assert!(check(r#"{"a":{"a":null},"b":[{"a":1.5},{"a":-1},true,"x"]}"#).is_ok());
    }

    #[test]
    fn what_follows_the_value_is_refused() {
        assert!(check("{} {}").is_err());
        assert!(check("").is_err());
        assert!(check(&"[".repeat(100_000)).is_err());
    }
}
