//! Values of the configuration: how each kind is read from a text, and written as one.

use std::net::SocketAddr;
use std::time::Duration;

use super::{LogFormat, LogLevel};

/// Entries of a list.
const LIST_MAX: usize = 64;
/// The longest time.
const TIME_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// A kind of value.
pub(super) trait Value: Sized {
    /// What it is called.
    const KIND: &'static str;

    /// Reads it; otherwise what it should be.
    fn read(text: &str) -> Result<Self, String>;

    /// Writes it as it is read.
    fn write(&self) -> String;
}

impl Value for SocketAddr {
    const KIND: &'static str = "address";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "an address and a port, for example 127.0.0.1:8000".to_owned())
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    const KIND: &'static str = "number";

    fn read(text: &str) -> Result<Self, String> {
        let count: Self = text.parse().map_err(|_| format!("a whole number of at most {}", Self::MAX))?;
        if count == 0 { Err("at least 1".to_owned()) } else { Ok(count) }
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for bool {
    const KIND: &'static str = "true or false";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "true or false".to_owned())
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for Duration {
    const KIND: &'static str = "time";

    fn read(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let wrong = || "a time of at most a week, for example 500ms, 30s or 10m".to_owned();
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let unit = match &text[digits.len()..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        let total = count.checked_mul(unit).filter(|total| *total <= TIME_MS_MAX);
        total.map(Self::from_millis).ok_or_else(wrong)
    }

    fn write(&self) -> String {
        let millis = self.as_millis();
        if millis.is_multiple_of(1_000) && millis > 0 { format!("{}s", millis / 1_000) } else { format!("{millis}ms") }
    }
}

/// A value that may be absent: an empty text.
impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::read(text).map(Some) }
    }

    fn write(&self) -> String {
        self.as_ref().map_or_else(String::new, T::write)
    }
}

/// Names with commas between them.
impl Value for Vec<String> {
    const KIND: &'static str = "list";

    fn read(text: &str) -> Result<Self, String> {
        let items: Self = text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect();
        if items.len() > LIST_MAX { Err(format!("at most {LIST_MAX} entries")) } else { Ok(items) }
    }

    fn write(&self) -> String {
        self.join(",")
    }
}

/// One of a few words.
macro_rules! words {
    ($name:ident, $kind:literal, $($variant:ident = $word:literal),*) => {
        impl Value for $name {
            const KIND: &'static str = $kind;

            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("one of {}", [$($word),*].join(", "))),
                }
            }

            fn write(&self) -> String {
                match self {
                    $(Self::$variant => $word,)*
                }
                .to_owned()
            }
        }
    };
}

words!(LogLevel, "word", Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace");
words!(LogFormat, "word", Text = "text", Json = "json");

/// A value of TOML as a text; otherwise what may stand there.
pub(super) fn of_toml(value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(yes) => Ok(yes.to_string()),
        toml::Value::Array(items) => {
            let text = |item: &toml::Value| item.as_str().filter(|text| !text.contains(',')).map(str::to_owned);
            let texts: Option<Vec<String>> = items.iter().map(text).collect();
            texts.map(|texts| texts.join(",")).ok_or_else(|| "a list holds texts without commas".to_owned())
        }
        _ => Err("a text, a whole number, true or false, or a list of texts".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        for text in ["0ms", "20ms", "1s", "90s", "1500ms"] {
            assert_eq!(Duration::read(text).map(|time| time.write()), Ok(text.to_owned()));
        }
        for text in ["", "s", "5", "-1s", "1d", "200h", "18446744073709551615h"] {
            assert!(Duration::read(text).is_err(), "{text:?}");
        }
    }
}
