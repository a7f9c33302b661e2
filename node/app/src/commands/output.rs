//! What a command says: answers on stdout, words on stderr; no reader that leaves early breaks it.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;

use super::{Context, Exit, Failure};

/// How answers are written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Human,
    /// For programs: one JSON object in one line, with a version.
    Json,
}

impl Context {
    /// Prints one line, or more, of an answer.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        written(writeln!(out, "{}", harmless(text)).and_then(|()| out.flush()))
    }

    /// Prints one JSON object in one line, with its version.
    pub fn json(&self, value: Value) -> Result<(), Failure> {
        self.print(&versioned(value).to_string())
    }

    /// Gives a text that this program made, as it is: what a shell or a pager reads.
    pub(super) fn give_text(&self, name: &str, text: &[u8]) -> Result<(), Failure> {
        if self.output == Output::Json {
            return self.json(serde_json::json!({ name: String::from_utf8_lossy(text) }));
        }
        let mut out = io::stdout().lock();
        written(out.write_all(text).and_then(|()| out.flush()))
    }

    /// Says something that is not an answer.
    pub fn say(&self, words: &str) {
        if !self.quiet {
            warn(words);
        }
    }
}

/// Says something that also a quiet command says.
pub(super) fn warn(words: &str) {
    // Whoever has closed stderr wants no words.
    let _ = writeln!(io::stderr().lock(), "{}", harmless(words));
}

/// A reader that has seen enough, such as `head`, is no failure.
pub(super) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, format!("cannot write the answer: {error}")))
        }
        _ => Ok(()),
    }
}

/// An object with the version of its shape, which no field can take the place of.
pub(super) fn versioned(value: Value) -> Value {
    let version = || ("version".to_owned(), Value::from(1));
    let mut object = serde_json::Map::from_iter([version()]);
    match value {
        Value::Object(fields) => object.extend(fields),
        other => object.extend([("value".to_owned(), other)]),
    }
    object.extend([version()]);
    Value::Object(object)
}

/// A text without what moves a terminal's cursor or changes its colours: part of it may come from a stranger.
fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(harmful) { text.replace(harmful, "").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_of_the_shape_is_first_and_nobody_elses() {
        let cases = [
            (json!({ "a": 1 }), r#"{"version":1,"a":1}"#),
            (json!({ "a": 1, "version": 9 }), r#"{"version":1,"a":1}"#),
            (json!([2]), r#"{"version":1,"value":[2]}"#),
        ];
        for (value, expected) in cases {
            assert_eq!(versioned(value).to_string(), expected);
        }
    }

    #[test]
    fn a_text_moves_no_cursor() {
        let cases = [
            ("two\n\tlines", "two\n\tlines"),
            ("\u{1b}[2Jall is well\r", "[2Jall is well"),
            ("\u{9b}31m\u{7}\u{0}", "31m"),
        ];
        for (text, expected) in cases {
            assert_eq!(harmless(text), expected);
        }
    }

    #[test]
    fn a_reader_that_leaves_is_no_failure_and_a_full_disk_is_one() {
        assert_eq!(written(Err(io::ErrorKind::BrokenPipe.into())), Ok(()));
        let failure = written(Err(io::ErrorKind::StorageFull.into())).expect_err("nothing was written");
        assert_eq!(failure.code, Exit::Failed);
    }
}
