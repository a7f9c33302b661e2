//! What a key may be called.

use core::fmt;
use core::str::FromStr;

/// Letters of a name, at most.
pub const NAME_LEN_MAX: usize = 32;

/// A name of 1 to 32 small letters, digits, `-` and `_`: the same file name on every system, and neither an option nor
/// the beginning of an address (KST-2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("a key needs a name of 1 to {NAME_LEN_MAX} letters")]
    Empty,
    /// Too many letters.
    #[error("a key's name has at most {NAME_LEN_MAX} letters, this one has {found}")]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// It would be read as something else.
    #[error("a key's name begins neither with - nor with cpc1: it would be read as an option or an address")]
    Beginning,
    /// A letter that file systems treat differently.
    #[error("{found:?} does not belong in a key's name: use a-z, 0-9, - and _")]
    Letter {
        /// The first one that does not belong.
        found: char,
    },
}

impl KeyName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // KST-2: nothing in a name can leave the folder, hide a file or differ only by case.
        if let Some(found) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')) {
            return Err(NameError::Letter { found });
        }
        // KST-2: one text never means both a key and something else.
        if text.starts_with('-') || text.starts_with("cpc1") {
            return Err(NameError::Beginning);
        }
        match text.len() {
            0 => Err(NameError::Empty),
            1..=NAME_LEN_MAX => Ok(Self(text.to_owned())),
            found => Err(NameError::TooLong { found }),
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(text: &str, expected: NameError) {
        assert_eq!(text.parse::<KeyName>(), Err(expected), "{text:?}");
    }

    #[test]
    fn small_letters_digits_and_two_signs_are_a_name() {
        for text in ["a", "0", "alice", "val-1_hot", "a-", "_", "cpc", "xcpc1", &"z".repeat(32)] {
            assert_eq!(text.parse::<KeyName>().expect(text).as_str(), text);
        }
    }

    #[test]
    fn what_could_leave_the_folder_or_hide_is_refused() {
        refuses("", NameError::Empty);
        refuses(&"z".repeat(33), NameError::TooLong { found: 33 });
        refuses("-", NameError::Beginning);
        refuses("--yes", NameError::Beginning);
        refuses("cpc1", NameError::Beginning);
        refuses("cpc1qqqq", NameError::Beginning);
        refuses("Alice", NameError::Letter { found: 'A' });
        refuses("../alice", NameError::Letter { found: '.' });
        refuses("a/b", NameError::Letter { found: '/' });
        refuses("a b", NameError::Letter { found: ' ' });
        refuses("a\0", NameError::Letter { found: '\0' });
        refuses("\u{e9}", NameError::Letter { found: '\u{e9}' });
    }
}
