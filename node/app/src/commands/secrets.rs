//! How secrets come in and words get out: the terminal, password files and descriptors; never arguments or environment.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rustix::termios::OptionalActions;
use tokio::signal::unix::SignalKind;
use zeroize::Zeroizing;

use super::output::written;
use super::{Context, Exit, Failure};
use crate::keystore::{KeyInfo, Keystore, KeystoreError, PASSWORD_BYTES_MAX, Password, Protection, read_file};

use cpc_primitives::SecretKey;

/// The terminal of the process, whatever its streams are connected to.
const TERMINAL: &str = "/dev/tty";
/// How long a command may take to end by itself after Ctrl-C.
const INTERRUPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the password of an existing key comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct PasswordArgs {
    /// Read the password from FILE, which holds it as its one line
    #[arg(long, value_name = "FILE", conflicts_with = "password_fd")]
    pub password_file: Option<PathBuf>,
    /// Read the password from the open file descriptor N, up to the end of a line
    #[arg(long, value_name = "N")]
    pub password_fd: Option<u32>,
}

/// Where a new password comes from, beside the one of [`PasswordArgs`].
#[derive(Debug, Clone, Default, Args)]
pub struct NewPasswordArgs {
    /// Read the new password from FILE, which holds it as its one line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["new_password_fd", "no_encryption"])]
    pub new_password_file: Option<PathBuf>,
    /// Read the new password from the open file descriptor N, up to the end of a line
    #[arg(long, value_name = "N", conflicts_with = "no_encryption")]
    pub new_password_fd: Option<u32>,
    /// Write the key without encryption, for devnets: whoever reads the file has the key
    #[arg(long)]
    pub no_encryption: bool,
}

/// Where one password comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A file with one line.
    File(&'a Path),
    /// A descriptor that the caller has opened.
    Descriptor(u32),
    /// The person at the terminal.
    Person,
}

/// Whether a person types a password once, or twice because a typing error would lock the key for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// The password exists.
    Once,
    /// The password is new.
    Twice,
}

/// The two streams and the terminal.
pub struct Console<'a> {
    /// Data.
    pub out: &'a mut dyn Write,
    /// Words.
    pub err: &'a mut dyn Write,
    /// The person.
    pub terminal: &'a mut Terminal,
}

/// The person at the terminal, if there is one.
#[derive(Debug)]
pub enum Terminal {
    /// `/dev/tty`.
    Device,
    /// Nobody is there, or nobody may be asked.
    Absent,
    /// A person of a test: the answers to come, and everything that was asked and shown.
    #[cfg(test)]
    Scripted {
        /// The answers to come.
        answers: std::collections::VecDeque<&'static str>,
        /// Everything that was asked and shown.
        screen: String,
    },
}

impl<'a> Source<'a> {
    /// What a file option and a descriptor option say together.
    pub fn of(file: Option<&'a Path>, descriptor: Option<u32>) -> Self {
        match (file, descriptor) {
            (Some(file), _) => Self::File(file),
            (None, Some(descriptor)) => Self::Descriptor(descriptor),
            (None, None) => Self::Person,
        }
    }
}

impl PasswordArgs {
    /// Where the password comes from.
    pub fn source(&self) -> Source<'_> {
        Source::of(self.password_file.as_deref(), self.password_fd)
    }
}

impl NewPasswordArgs {
    /// Where the new password comes from.
    pub fn source(&self) -> Source<'_> {
        Source::of(self.new_password_file.as_deref(), self.new_password_fd)
    }
}

impl Console<'_> {
    /// Gets a password; `what` names it in the question, `option` begins the names of its options.
    pub fn password(
        &mut self,
        source: Source<'_>,
        typed: Typed,
        what: &str,
        option: &str,
    ) -> Result<Password, Failure> {
        // KST-8: a password comes from a file, a descriptor or a person.
        let (line, place) = match source {
            Source::File(path) => (self.password_file(path)?, path.display().to_string()),
            Source::Descriptor(number) => (read_descriptor(number)?, format!("descriptor {number}")),
            Source::Person => {
                let missing = |failure: Failure| Failure {
                    hint: Some(format!("give {option}-file FILE or {option}-fd N")),
                    ..failure
                };
                let line = self.terminal.secret(&format!("{what}: ")).map_err(missing)?;
                (into_bytes(line), "the terminal".to_owned())
            }
        };
        let password = Password::from_line(line)
            .map_err(|error| Failure::new(Exit::Usage, format!("{what}: {error} ({place})")))?;
        if matches!((source, typed), (Source::Person, Typed::Twice)) {
            let again = Password::from_line(into_bytes(self.terminal.secret(&format!("{what}, again: "))?));
            if !again.is_ok_and(|again| again.same_as(&password)) {
                return Err(Failure::new(Exit::Usage, "the two passwords differ: nothing was written"));
            }
        }
        Ok(password)
    }

    /// Opens a key, and asks for its password only if it has one.
    pub fn unlock(
        &mut self,
        keystore: &Keystore,
        info: &KeyInfo,
        password: &PasswordArgs,
    ) -> Result<SecretKey, Failure> {
        Ok(match info.protection {
            Protection::Plain => keystore.unlock(&info.name, None)?,
            Protection::Encrypted => {
                let what = format!("Password of {}", info.name);
                let password = self.password(password.source(), Typed::Once, &what, "--password")?;
                keystore.unlock(&info.name, Some(&password))?
            }
        })
    }

    /// Writes words for people.
    pub fn say(&mut self, ctx: &Context, words: &str) -> Result<(), Failure> {
        if ctx.quiet { Ok(()) } else { written(writeln!(self.err, "{words}")) }
    }

    /// Writes data.
    pub fn print(&mut self, data: &str) -> Result<(), Failure> {
        written(self.out.write_all(data.as_bytes()).and_then(|()| self.out.flush()))
    }

    fn password_file(&mut self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
        // More room than a password takes: what is too long is then called so.
        read_file(path, PASSWORD_BYTES_MAX.saturating_mul(4))?
            .ok_or_else(|| Failure::new(Exit::NotFound, format!("there is no password file {}", path.display())))
    }
}

impl Terminal {
    /// The terminal of this process, unless nothing may be asked.
    pub fn of(ctx: &Context) -> Self {
        let there = !ctx.no_input && OpenOptions::new().read(true).write(true).open(TERMINAL).is_ok();
        if there { Self::Device } else { Self::Absent }
    }

    /// Whether a person is there.
    pub fn is_there(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// Asks for a line that is not shown.
    pub fn secret(&mut self, question: &str) -> Result<Zeroizing<String>, Failure> {
        match self {
            Self::Device => {
                let asked = echo_returns().and_then(|()| rpassword::prompt_password(question));
                asked.map(Zeroizing::new).map_err(|error| gone(&error))
            }
            Self::Absent => {
                let asked = question.trim_end_matches([':', ' ']);
                Err(Failure::new(Exit::Usage, format!("there is no terminal to ask on: {asked}")))
            }
            #[cfg(test)]
            Self::Scripted { answers, screen } => {
                screen.push_str(question);
                let answer = answers.pop_front().ok_or_else(|| gone(&ErrorKind::UnexpectedEof.into()))?;
                Ok(Zeroizing::new(answer.to_owned()))
            }
        }
    }

    /// Asks a question that only `yes` or `y` agrees to.
    pub fn agrees(&mut self, question: &str) -> Result<bool, Failure> {
        let answer = match self {
            Self::Device => ask(question).map_err(|error| gone(&error))?,
            Self::Absent => {
                return Err(Failure::new(Exit::Usage, format!("there is no terminal to ask on: {question}"))
                    .hint("give --yes to agree beforehand"));
            }
            #[cfg(test)]
            Self::Scripted { answers, screen } => {
                screen.push_str(question);
                answers.pop_front().unwrap_or_default().to_owned()
            }
        };
        Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
    }

    /// Shows what nobody else may read: never on a stream that is kept in a log.
    pub fn show(&mut self, text: &str) -> Result<(), Failure> {
        match self {
            Self::Device => OpenOptions::new()
                .write(true)
                .open(TERMINAL)
                .and_then(|mut terminal| terminal.write_all(text.as_bytes()))
                .map_err(|error| gone(&error)),
            Self::Absent => Err(Failure::new(Exit::Usage, "there is no terminal to show a secret on")),
            #[cfg(test)]
            Self::Scripted { screen, .. } => {
                screen.push_str(text);
                Ok(())
            }
        }
    }
}

impl From<KeystoreError> for Failure {
    /// KST-12: every kind has its exit code, and its remedy where there is one.
    fn from(error: KeystoreError) -> Self {
        let code = match &error {
            KeystoreError::NotFound { .. } => Exit::NotFound,
            KeystoreError::Io { source, .. } if source.kind() == ErrorKind::NotFound => Exit::NotFound,
            KeystoreError::Io { .. } | KeystoreError::Randomness(_) => Exit::Failed,
            KeystoreError::PasswordNeeded { .. } => Exit::Usage,
            KeystoreError::WrongPassword { .. } => Exit::VerificationFailed,
            KeystoreError::Damaged { .. } => Exit::Damaged,
            KeystoreError::InUse { .. } => Exit::NotNow,
            KeystoreError::Exists { .. }
            | KeystoreError::FileExists { .. }
            | KeystoreError::Unusable { .. }
            | KeystoreError::Exposed { .. } => Exit::Refused,
        };
        Self { code, message: error.to_string(), hint: remedy(&error) }
    }
}

fn remedy(error: &KeystoreError) -> Option<String> {
    let remedy = match error {
        KeystoreError::NotFound { .. } => "cpc keys list names the keys that exist".to_owned(),
        KeystoreError::Exists { .. } => "take another name, or rename the existing key first".to_owned(),
        KeystoreError::FileExists { .. } => "take another file name".to_owned(),
        KeystoreError::WrongPassword { .. } => {
            "if it is surely right, the file is damaged: restore a copy of it, or import the words".to_owned()
        }
        KeystoreError::PasswordNeeded { .. } => "give --password-file FILE or --password-fd N".to_owned(),
        KeystoreError::Damaged { path, .. } if path.extension().is_some_and(|extension| extension == "json") => {
            let pem = path.with_extension("pem");
            format!("the key itself may be whole: cpc keys import OTHER_NAME --pkcs8 {}", pem.display())
        }
        KeystoreError::Damaged { .. } => {
            "restore a copy of the file, or import the words under another name".to_owned()
        }
        KeystoreError::Exposed { path, .. } => format!("if nobody has read it: chmod 600 {}", path.display()),
        KeystoreError::InUse { .. } => "stop it first: a key that votes in two places is slashed".to_owned(),
        KeystoreError::Unusable { .. } | KeystoreError::Io { .. } | KeystoreError::Randomness(_) => return None,
    };
    Some(remedy)
}

/// Reads one line, byte by byte: what follows belongs to the next reader of the descriptor.
fn read_descriptor(number: u32) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::Usage, format!("cannot read the password from descriptor {number}: {error}"))
    };
    // The system's own name of a descriptor: taking it over by its number would need unsafe code.
    let mut source = File::open(format!("/dev/fd/{number}")).map_err(failed)?;
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX + 2));
    let mut byte = [0];
    while line.len() < PASSWORD_BYTES_MAX + 2 && line.last() != Some(&b'\n') {
        match source.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(line)
}

fn ask(question: &str) -> io::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open(TERMINAL)?;
    write!(terminal, "{question} [y/N] ")?;
    let mut answer = String::new();
    BufReader::new(terminal.take(1 << 10)).read_line(&mut answer)?;
    Ok(answer)
}

/// From here on Ctrl-C gives the terminal its echo back before it ends the process.
fn echo_returns() -> io::Result<()> {
    use std::sync::OnceLock;

    static LISTENS: OnceLock<()> = OnceLock::new();
    if LISTENS.get().is_some() {
        return Ok(());
    }
    let terminal = File::open(TERMINAL)?;
    let before = rustix::termios::tcgetattr(&terminal)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(async { tokio::signal::unix::signal(SignalKind::interrupt()) });
    let mut interrupts = listener?;
    // The thread lives as long as the process: once the signal is caught, nobody else ends the process for it.
    std::thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
        runtime.block_on(interrupts.recv());
        // A prompt that has read the key itself ends the command with its own words; what waits elsewhere does not.
        std::thread::park_timeout(INTERRUPT_PAUSE);
        // The process ends, whether the terminal takes it or not.
        let _ = rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &before);
        super::output::warn("\nerror: interrupted");
        std::process::exit(i32::from(Exit::Interrupted.code()));
    })?;
    LISTENS.get_or_init(|| ());
    Ok(())
}

fn into_bytes(mut text: Zeroizing<String>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}

/// The person has left, by Ctrl-C or by closing the input.
fn gone(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::Interrupted => Failure::new(Exit::Interrupted, "interrupted: nothing was written"),
        _ => Failure::new(Exit::Failed, format!("the terminal gives no answer: {error}")),
    }
}
