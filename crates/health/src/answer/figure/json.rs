//! A number in JSON by its pointer (RFC 6901). Nothing but the way to it is kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::FigureError;

/// The number there.
pub fn read(body: &[u8], pointer: &str) -> Result<f64, FigureError> {
    let tokens: Vec<String> = pointer
        .split('/')
        .skip(1)
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect();
    let mut json = serde_json::Deserializer::from_slice(body);
    let found = Way(&tokens)
        .deserialize(&mut json)
        .and_then(|found| json.end().map(|()| found))
        .map_err(|error| FigureError::Json(error.to_string()))?;
    match found {
        Found::Number(number) => Ok(number),
        Found::Other => Err(FigureError::NoNumber(pointer.to_owned())),
        Found::Nothing => Err(FigureError::Missing(pointer.to_owned())),
    }
}

enum Found {
    Number(f64),
    Other,
    Nothing,
}

/// What is left of the way.
struct Way<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Way<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Way<'_> {
    fn scalar(&self, found: Found) -> Found {
        if self.0.is_empty() {
            found
        } else {
            Found::Nothing
        }
    }
}

impl<'de> Visitor<'de> for Way<'_> {
    type Value = Found;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Found, E> {
        Ok(self.scalar(Found::Other))
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(self.scalar(Found::Other))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Found, E> {
        Ok(self.scalar(Found::Number(value as f64)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Found, E> {
        Ok(self.scalar(Found::Number(value as f64)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Found, E> {
        Ok(self.scalar(Found::Number(value)))
    }

    /// Some write numbers as strings.
    fn visit_str<E: Error>(self, text: &str) -> Result<Found, E> {
        let number = text.trim().parse().map_or(Found::Other, Found::Number);
        Ok(self.scalar(number))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let Some((next, rest)) = self.0.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Found::Other);
        };
        let mut found = Found::Nothing;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if key == next.as_str() {
                found = map.next_value_seed(Way(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Found, A::Error> {
        let Some((next, rest)) = self.0.split_first() else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Found::Other);
        };
        let mut found = Found::Nothing;
        if let Ok(wanted) = next.parse::<usize>() {
            for _ in 0..wanted {
                if list.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(found);
                }
            }
            match list.next_element_seed(Way(rest))? {
                Some(there) => found = there,
                None => return Ok(found),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_found() {
        let text = r#" {"load": {"1m": 0.5, "a/b~": [1, "2.5", {"": -3}]}, "x": true, "big": 18446744073709551615} "#;
        let missing = |at: &str| Err(FigureError::Missing(at.to_owned()));
        let other = |at: &str| Err(FigureError::NoNumber(at.to_owned()));
        for (pointer, found) in [
            ("/load/1m", Ok(0.5)),
            ("/load/a~1b~0/0", Ok(1.0)),
            ("/load/a~1b~0/1", Ok(2.5)),
            ("/load/a~1b~0/2/", Ok(-3.0)),
            ("/big", Ok(18_446_744_073_709_551_615.0)),
            ("/load/5m", missing("/load/5m")),
            ("/load/a~1b~0/3", missing("/load/a~1b~0/3")),
            ("/load/a~1b~0/-", missing("/load/a~1b~0/-")),
            ("/load/1m/x", missing("/load/1m/x")),
            ("/x", other("/x")),
            ("/load", other("/load")),
            ("/load/a~1b~0", other("/load/a~1b~0")),
            ("", other("")),
        ] {
            assert_eq!(read(text.as_bytes(), pointer), found, "{pointer}");
        }
        assert_eq!(read(b"7", ""), Ok(7.0));
    }

    #[test]
    fn what_is_not_json_is_told() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{\"a\": 1", "{\"a\": 1} x", "<html>", &deep] {
            let error = read(text.as_bytes(), "/a").unwrap_err();
            assert!(matches!(error, FigureError::Json(_)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]{}\",:0-9a-z.\\\\ -]{0,60}", pointer in "(/[a0-9~]{0,2}){0,3}") {
            let _ = read(text.as_bytes(), &pointer);
        }
    }
}
