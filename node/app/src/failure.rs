//! How a command fails: with an exit code for scripts, a sentence for people, and what to do about it.

use std::process::ExitCode;

/// What went wrong, in numbers that scripts can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// None of the kinds below.
    Failed = 1,
    /// The command line is wrong, or misses something.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// A rule forbids it.
    Refused = 4,
    /// No node answers.
    Unreachable = 5,
    /// It took longer than allowed.
    TimedOut = 6,
    /// The account has too little.
    InsufficientFunds = 7,
    /// A signature, a proof or a password does not hold.
    VerificationFailed = 8,
    /// Stored data does not say what was written.
    Damaged = 9,
    /// It is right, but not at this time.
    NotNow = 10,
    /// Somebody pressed Ctrl-C.
    Interrupted = 130,
}

/// Why a command did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: Exit,
    /// One sentence: what happened, with names and both sides.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Failure {
    /// A failure without a hint.
    pub fn new(code: Exit, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
