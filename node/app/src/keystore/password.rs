//! Passwords: checked, wiped when dropped, and never printed.

use core::fmt;

use zeroize::Zeroizing;

/// Bytes of a password, at most: `openssl` reads no longer ones.
pub const PASSWORD_BYTES_MAX: usize = 1_000;

/// A password of 1 to 1000 bytes without a line end (KST-8).
pub struct Password(Zeroizing<Vec<u8>>);

/// Why bytes are not a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing, or only a line end.
    #[error("the password is empty")]
    Empty,
    /// More than other programs read.
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// Other programs would stop reading there.
    #[error("the password holds a zero byte")]
    ZeroByte,
    /// A file of something else.
    #[error("the password has more than one line")]
    Lines,
}

impl Password {
    /// Takes the bytes of a line, with or without its end.
    pub fn from_line(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, PasswordError> {
        // KST-8: editors end a file with a line end, and nobody means it as a part of the password.
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if bytes.is_empty() {
            return Err(PasswordError::Empty);
        }
        if bytes.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        if bytes.contains(&0) {
            return Err(PasswordError::ZeroByte);
        }
        if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return Err(PasswordError::Lines);
        }
        Ok(Self(bytes))
    }

    /// The bytes, for the envelope.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are the same.
    pub fn same_as(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Password, PasswordError> {
        Password::from_line(Zeroizing::new(bytes.to_vec()))
    }

    #[test]
    fn one_line_end_is_not_a_part_of_the_password() {
        for bytes in [&b"secret"[..], b"secret\n", b"secret\r\n"] {
            assert_eq!(read(bytes).expect("a password").bytes(), b"secret");
        }
        assert_eq!(read(b" blanks stay \n").expect("a password").bytes(), b" blanks stay ");
        assert_eq!(read(&[b'x'; 1_000]).expect("a password").bytes().len(), 1_000);
    }

    #[test]
    fn what_other_programs_would_read_differently_is_refused() {
        for (bytes, expected) in [
            (&b""[..], PasswordError::Empty),
            (b"\n", PasswordError::Empty),
            (b"\r\n", PasswordError::Empty),
            (b"a\nb\n", PasswordError::Lines),
            (b"a\n\n", PasswordError::Lines),
            (b"a\0b", PasswordError::ZeroByte),
            (&[b'x'; 1_001], PasswordError::TooLong),
        ] {
            assert_eq!(read(bytes).expect_err("refused"), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        assert_eq!(format!("{:?}", read(b"hunter2")), "Ok(Password(not shown))");
    }
}
