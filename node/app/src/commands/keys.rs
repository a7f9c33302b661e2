//! `cpc keys`: makes, takes in, shows, gives out and uses the keys of this machine.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand};
use comfy_table::{Table, presets};
use cpc_primitives::{PublicKey, SecretKey, Signature};
use serde_json::{Value, json};

use super::output::versioned;
use super::secrets::{Console, Source, Terminal, Typed};
use super::{Context, Exit, Failure, Output};
use crate::keystore::statement::{self, MESSAGE_BYTES_MAX};
use crate::keystore::{
    self, KeyInfo, KeyName, KeyPath, Keystore, KeystoreError, Listing, Lock, NewKey, Password, Phrase, Protection,
};

pub use super::secrets::{NewPasswordArgs, PasswordArgs};

/// Makes, lists, moves and uses keys
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Makes a new key, and shows once the words that restore it
    #[command(after_long_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// Takes in a key from its words, a PKCS#8 file or a seed
    #[command(after_long_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Lists the keys of this machine; needs no password
    List,
    /// Shows what is public about a key; needs no password
    #[command(after_long_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Writes a key as PKCS#8 under a new password, for a backup or another machine
    #[command(after_long_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Gives a key another name
    Rename(RenameArgs),
    /// Deletes a key; without its words or a copy, its money is lost
    Delete(DeleteArgs),
    /// Signs a message, never a transaction
    #[command(after_long_help = SIGN_EXAMPLES)]
    Sign(SignArgs),
    /// Checks the signature of a message
    Verify(VerifyArgs),
    /// Changes the password of a key
    Passwd(PasswdArgs),
}

const CREATE_EXAMPLES: &str = "\
Examples:
  cpc keys create alice
      Asks for a password twice and shows 24 words on the terminal.
  cpc keys create alice --password-file pw --mnemonic-file words
      Asks nothing: for scripts. Move the file with the words to a safe place.
  cpc keys create dev --no-encryption --no-mnemonic
      Asks nothing and keeps nothing secret: for devnets.";

const IMPORT_EXAMPLES: &str = "\
Examples:
  cpc keys import alice
      Asks for the words and for a new password.
  cpc keys import alice --mnemonic-file words --account 1
  cpc keys import bob --pkcs8 bob.pem
      Takes an ed25519 key that openssl or another machine has written.
  cpc keys import carol --seed-file seed.hex";

const SHOW_EXAMPLES: &str = "\
Examples:
  cpc keys show alice
  cpc keys show alice --address
      Prints the address alone, for scripts.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  cpc keys export alice -o alice.pem
  cpc keys export alice | ssh other 'cat > alice.pem'
  openssl pkey -in alice.pem -text -noout
      Shows what was written.";

const SIGN_EXAMPLES: &str = "\
Examples:
  cpc keys sign alice --message 'I am alice'
  cpc keys sign alice --file contract.pdf
  cpc keys verify alice SIGNATURE --file contract.pdf";

/// What `cpc keys create` takes.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// What the key is called: a-z, 0-9, - and _
    name: KeyName,
    /// Write the words to FILE, which must not exist, instead of showing them
    #[arg(long, value_name = "FILE", conflicts_with = "no_mnemonic")]
    mnemonic_file: Option<PathBuf>,
    /// Make a key without words: only a copy of its file restores it
    #[arg(long)]
    no_mnemonic: bool,
    /// Which key under the words
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "no_mnemonic")]
    account: u32,
    #[command(flatten)]
    protect: ProtectArgs,
}

/// What `cpc keys import` takes.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("origin"))]
pub struct ImportArgs {
    /// What the key is called: a-z, 0-9, - and _
    name: KeyName,
    /// Read the words from FILE instead of asking for them
    #[arg(long, value_name = "FILE", group = "origin")]
    mnemonic_file: Option<PathBuf>,
    /// Read the key from a PKCS#8 file in PEM, encrypted or not
    #[arg(long, value_name = "FILE", group = "origin")]
    pkcs8: Option<PathBuf>,
    /// Read the key from a file with the 64 hex digits of its seed
    #[arg(long, value_name = "FILE", group = "origin")]
    seed_file: Option<PathBuf>,
    /// Which key under the words
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with_all = ["pkcs8", "seed_file"])]
    account: u32,
    /// Read the password of the PKCS#8 file from FILE
    #[arg(long, value_name = "FILE", requires = "pkcs8")]
    #[arg(conflicts_with_all = ["source_password_fd", "mnemonic_file", "seed_file"])]
    source_password_file: Option<PathBuf>,
    /// Read the password of the PKCS#8 file from the open file descriptor N
    #[arg(long, value_name = "N", requires = "pkcs8", conflicts_with_all = ["mnemonic_file", "seed_file"])]
    source_password_fd: Option<u32>,
    #[command(flatten)]
    protect: ProtectArgs,
}

/// How a key is protected that comes into the store.
#[derive(Debug, Args)]
struct ProtectArgs {
    #[command(flatten)]
    password: PasswordArgs,
    /// Keep the key without encryption, for devnets: whoever reads the file has the key
    #[arg(long, conflicts_with_all = ["password_file", "password_fd"])]
    no_encryption: bool,
}

/// What `cpc keys show` takes.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Which key
    name: KeyName,
    /// Print only the public key, in hex
    #[arg(long, conflicts_with = "address")]
    public: bool,
    /// Print only the address
    #[arg(long)]
    address: bool,
}

/// What `cpc keys export` takes.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Which key
    name: KeyName,
    /// Write to FILE, which must not exist, instead of stdout
    #[arg(short, long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    new: NewPasswordArgs,
}

/// What `cpc keys rename` takes.
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// What the key is called
    name: KeyName,
    /// What it shall be called
    new_name: KeyName,
}

/// What `cpc keys delete` takes.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Which key
    name: KeyName,
}

/// What `cpc keys sign` takes.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// Which key
    name: KeyName,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    password: PasswordArgs,
}

/// What `cpc keys verify` takes.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Who is said to have signed: a public key in hex, or the name of a key of this machine
    signer: Signer,
    /// The signature, in hex
    signature: Signature,
    #[command(flatten)]
    message: MessageArgs,
}

/// What `cpc keys passwd` takes.
#[derive(Debug, Args)]
pub struct PasswdArgs {
    /// Which key
    name: KeyName,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    new: NewPasswordArgs,
}

/// The message that is signed or checked.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct MessageArgs {
    /// The message itself
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// The file that is the message; - reads stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Who is said to have signed.
#[derive(Debug, Clone)]
enum Signer {
    Key(PublicKey),
    Name(KeyName),
}

impl FromStr for Signer {
    type Err = String;

    /// No name is as long as a public key, so that one text never means both.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > keystore::NAME_LEN_MAX {
            text.parse().map(Self::Key).map_err(|error| format!("not a public key: {error}"))
        } else {
            text.parse().map(Self::Name).map_err(|error: keystore::NameError| error.to_string())
        }
    }
}

/// Where an imported key comes from.
enum Origin {
    Words(Phrase),
    Bare(SecretKey),
}

/// Runs one of them.
pub fn run(command: KeysCommand, ctx: &Context) -> Result<(), Failure> {
    let console =
        Console { out: &mut io::stdout().lock(), err: &mut io::stderr().lock(), terminal: &mut Terminal::of(ctx) };
    Session { ctx, keystore: Keystore::open(&ctx.data_dir), console }.run(command)
}

/// Opens a key for another command, and asks for its password only if it has one.
pub fn unlock(name: &str, password: &PasswordArgs, ctx: &Context) -> Result<SecretKey, Failure> {
    let name: KeyName =
        name.parse().map_err(|error: keystore::NameError| Failure::new(Exit::Usage, error.to_string()))?;
    let keystore = Keystore::open(&ctx.data_dir);
    let info = keystore.info(&name)?;
    let mut console =
        Console { out: &mut io::stdout().lock(), err: &mut io::stderr().lock(), terminal: &mut Terminal::of(ctx) };
    console.unlock(&keystore, &info, password)
}

/// One command at work.
struct Session<'a> {
    ctx: &'a Context,
    keystore: Keystore,
    console: Console<'a>,
}

impl Session<'_> {
    fn run(mut self, command: KeysCommand) -> Result<(), Failure> {
        match command {
            KeysCommand::Create(args) => self.create(&args),
            KeysCommand::Import(args) => self.import(&args),
            KeysCommand::List => self.list(),
            KeysCommand::Show(args) => self.show(&args),
            KeysCommand::Export(args) => self.export(&args),
            KeysCommand::Rename(args) => self.rename(&args),
            KeysCommand::Delete(args) => self.delete(&args),
            KeysCommand::Sign(args) => self.sign(&args),
            KeysCommand::Verify(args) => self.verify(&args),
            KeysCommand::Passwd(args) => self.passwd(&args),
        }
    }

    fn create(&mut self, args: &CreateArgs) -> Result<(), Failure> {
        let path = path_of(args.account)?;
        self.keystore.check_free(&args.name)?;
        if args.mnemonic_file.is_none() && !args.no_mnemonic && !self.console.terminal.is_there() {
            return Err(Failure::new(Exit::Usage, "there is no terminal to show the words of the new key on")
                .hint("give --mnemonic-file FILE, or --no-mnemonic for a key that only a copy of its file restores"));
        }
        let password = self.new_key_password(&args.name, &args.protect)?;
        let phrase = Phrase::generate().map_err(KeystoreError::from)?;
        if args.no_mnemonic {
            // A key that has no words must not have a path that pretends so.
            let info = self.add(&args.name, &NewKey::Bare(phrase.key(path)), password.as_ref())?;
            return self.print_key(&info);
        }
        // The words are out before the key is in: a key whose words nobody has seen must not come to be.
        match &args.mnemonic_file {
            Some(file) => keystore::write_new_file(file, phrase.line().as_bytes())?,
            None => self.console.terminal.show(&words_for_people(&args.name, &phrase))?,
        }
        let added = self.add(&args.name, &NewKey::Derived(&phrase, path), password.as_ref());
        if let (Err(_), Some(file)) = (&added, &args.mnemonic_file) {
            // The words restore nothing. The error that is reported is the one of the key.
            let _ = std::fs::remove_file(file);
        }
        let info = added?;
        if let Some(file) = &args.mnemonic_file {
            let words = format!("The words that restore {} are in {}.", info.name, file.display());
            self.console.say(self.ctx, &words)?;
        }
        self.print_key(&info)
    }

    fn import(&mut self, args: &ImportArgs) -> Result<(), Failure> {
        let path = path_of(args.account)?;
        self.keystore.check_free(&args.name)?;
        let origin = match (&args.pkcs8, &args.seed_file, &args.mnemonic_file) {
            (Some(file), ..) => Origin::Bare(self.read_pkcs8(file, args)?),
            (_, Some(file), _) => Origin::Bare(keystore::read_seed(file)?),
            (.., Some(file)) => Origin::Words(keystore::read_phrase(file)?),
            (None, None, None) => Origin::Words(self.ask_phrase()?),
        };
        let new = match origin {
            Origin::Words(ref phrase) => NewKey::Derived(phrase, path),
            Origin::Bare(key) => NewKey::Bare(key),
        };
        let password = self.new_key_password(&args.name, &args.protect)?;
        let info = self.add(&args.name, &new, password.as_ref())?;
        self.print_key(&info)
    }

    fn list(&mut self) -> Result<(), Failure> {
        let Listing { keys, mut damaged } = self.keystore.list()?;
        match self.ctx.output {
            Output::Json => {
                let keys: Vec<Value> = keys.iter().map(key_json).collect();
                let damaged: Vec<Value> = damaged
                    .iter()
                    .map(|(name, error)| json!({ "name": name.as_str(), "error": error.to_string() }))
                    .collect();
                self.print_json(json!({ "keys": keys, "damaged": damaged }))?;
            }
            Output::Human if keys.is_empty() && damaged.is_empty() => {
                let words = format!(
                    "There are no keys in {}: cpc keys create NAME makes one.",
                    self.keystore.folder().display()
                );
                self.console.say(self.ctx, &words)?;
            }
            Output::Human => {
                let header = ["NAME", "ADDRESS", "PROTECTION", "CREATED"].map(str::to_owned);
                let rows = keys.iter().map(|key| {
                    [key.name.to_string(), key.address.to_string(), protection(key).to_owned(), date(key.created)]
                });
                let text = table(std::iter::once(header).chain(rows));
                self.console.print(&text)?;
            }
        }
        // The whole keys are listed first; a script still learns that something is wrong.
        match damaged.pop() {
            None => Ok(()),
            Some((_, first)) if damaged.is_empty() => Err(first.into()),
            Some((_, first)) => {
                let failure = Failure::from(first);
                let message = format!("{} keys are damaged, among them: {}", damaged.len() + 1, failure.message);
                Err(Failure { message, ..failure })
            }
        }
    }

    fn show(&mut self, args: &ShowArgs) -> Result<(), Failure> {
        let info = self.keystore.info(&args.name)?;
        match (self.ctx.output, args.public, args.address) {
            (Output::Human, true, _) => self.console.print(&format!("{}\n", info.public)),
            (Output::Human, _, true) => self.console.print(&format!("{}\n", info.address)),
            _ => self.print_key(&info),
        }
    }

    fn export(&mut self, args: &ExportArgs) -> Result<(), Failure> {
        let info = self.keystore.info(&args.name)?;
        different_descriptors(&args.password, &args.new)?;
        if let Some(out) = args.out.as_deref().filter(|out| out.exists()) {
            return Err(KeystoreError::FileExists { path: out.to_owned() }.into());
        }
        let key = self.console.unlock(&self.keystore, &info, &args.password)?;
        let password = self.new_password(&format!("Password of the exported {}", info.name), &args.new)?;
        let pem = self.keystore.export(&key, lock(password.as_ref()))?;
        match &args.out {
            Some(out) => {
                keystore::write_new_file(out, pem.as_bytes())?;
                self.console.say(self.ctx, &format!("{} is in {}.", info.name, out.display()))?;
                match self.ctx.output {
                    Output::Json => self.print_json(named(&info, json!({ "out": out.display().to_string() }))),
                    Output::Human => Ok(()),
                }
            }
            None => match self.ctx.output {
                Output::Json => self.print_json(named(&info, json!({ "pkcs8": pem.as_str() }))),
                Output::Human => self.console.print(&pem),
            },
        }
    }

    fn rename(&mut self, args: &RenameArgs) -> Result<(), Failure> {
        let info = self.keystore.rename(&args.name, &args.new_name)?;
        self.console.say(self.ctx, &format!("{} is called {} now.", args.name, info.name))?;
        match self.ctx.output {
            Output::Json => self.print_json(key_json(&info)),
            Output::Human => Ok(()),
        }
    }

    fn delete(&mut self, args: &DeleteArgs) -> Result<(), Failure> {
        let address = match self.keystore.info(&args.name) {
            Ok(info) => Some(info.address),
            // A damaged key can be deleted too.
            Err(KeystoreError::Damaged { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let called = address.map_or_else(|| "damaged".to_owned(), |address| address.to_string());
        if !self.ctx.yes {
            let question = format!("Delete {} ({called})? Without its words or a copy, its money is lost.", args.name);
            if !self.console.terminal.agrees(&question)? {
                return Err(Failure::new(Exit::Refused, format!("{} was not deleted", args.name)));
            }
        }
        self.keystore.delete(&args.name)?;
        self.console.say(self.ctx, &format!("{} is deleted.", args.name))?;
        match self.ctx.output {
            Output::Json => {
                let address = address.map(|address| address.to_string());
                self.print_json(json!({ "name": args.name.as_str(), "address": address, "deleted": true }))
            }
            Output::Human => Ok(()),
        }
    }

    fn sign(&mut self, args: &SignArgs) -> Result<(), Failure> {
        let info = self.keystore.info(&args.name)?;
        let message = args.message.read()?;
        let key = self.console.unlock(&self.keystore, &info, &args.password)?;
        // KST-10: what is signed begins with a text that nothing of the chain begins with.
        let signature = statement::sign(&key, &message);
        match self.ctx.output {
            Output::Json => self.print_json(named(&info, json!({ "signature": signature.to_string() }))),
            Output::Human => self.console.print(&format!("{signature}\n")),
        }
    }

    fn verify(&mut self, args: &VerifyArgs) -> Result<(), Failure> {
        let public = match &args.signer {
            Signer::Key(key) => *key,
            Signer::Name(name) => self.keystore.info(name)?.public,
        };
        let message = args.message.read()?;
        statement::verify(&public, &message, &args.signature)
            .map_err(|_| Failure::new(Exit::VerificationFailed, format!("{public} did not sign this message so")))?;
        self.console.say(self.ctx, &format!("{public} signed this message."))?;
        match self.ctx.output {
            Output::Json => self.print_json(json!({ "public_key": public.to_string(), "valid": true })),
            Output::Human => Ok(()),
        }
    }

    fn passwd(&mut self, args: &PasswdArgs) -> Result<(), Failure> {
        let info = self.keystore.info(&args.name)?;
        different_descriptors(&args.password, &args.new)?;
        let old = match info.protection {
            Protection::Plain => None,
            Protection::Encrypted => {
                let what = format!("Password of {}", info.name);
                Some(self.console.password(args.password.source(), Typed::Once, &what, "--password")?)
            }
        };
        // Nobody types a new password twice to learn that the old one was wrong.
        self.keystore.unlock(&info.name, old.as_ref())?;
        let new = self.new_password(&format!("New password of {}", info.name), &args.new)?;
        let info = self.keystore.relock(&info.name, old.as_ref(), lock(new.as_ref()))?;
        self.console.say(self.ctx, &format!("{} is {} now.", info.name, protection(&info)))?;
        match self.ctx.output {
            Output::Json => self.print_json(key_json(&info)),
            Output::Human => Ok(()),
        }
    }

    fn add(&self, name: &KeyName, new: &NewKey<'_>, password: Option<&Password>) -> Result<KeyInfo, KeystoreError> {
        self.keystore.add(name, new, lock(password))
    }

    fn new_key_password(&mut self, name: &KeyName, args: &ProtectArgs) -> Result<Option<Password>, Failure> {
        if args.no_encryption {
            return Ok(None);
        }
        let what = format!("New password of {name}");
        let asked = self.console.password(args.password.source(), Typed::Twice, &what, "--password");
        asked.map(Some).map_err(with_no_encryption)
    }

    fn new_password(&mut self, what: &str, args: &NewPasswordArgs) -> Result<Option<Password>, Failure> {
        if args.no_encryption {
            return Ok(None);
        }
        let asked = self.console.password(args.source(), Typed::Twice, what, "--new-password");
        asked.map(Some).map_err(with_no_encryption)
    }

    fn read_pkcs8(&mut self, file: &Path, args: &ImportArgs) -> Result<SecretKey, Failure> {
        let password = match keystore::pkcs8_protection(file)? {
            Protection::Plain => None,
            Protection::Encrypted => {
                let source = Source::of(args.source_password_file.as_deref(), args.source_password_fd);
                let what = format!("Password of {}", file.display());
                Some(self.console.password(source, Typed::Once, &what, "--source-password")?)
            }
        };
        Ok(keystore::read_pkcs8(file, password.as_ref())?)
    }

    fn ask_phrase(&mut self) -> Result<Phrase, Failure> {
        let words = self.console.terminal.secret("Words (not shown): ").map_err(|failure| Failure {
            hint: Some("give --mnemonic-file FILE, --pkcs8 FILE or --seed-file FILE".to_owned()),
            ..failure
        })?;
        Phrase::parse(&words).map_err(|error| Failure::new(Exit::Refused, error.to_string()))
    }

    fn print_key(&mut self, info: &KeyInfo) -> Result<(), Failure> {
        match self.ctx.output {
            Output::Json => self.print_json(key_json(info)),
            Output::Human => {
                let none = "none: only a copy of the file restores it".to_owned();
                let rows = [
                    ["name", info.name.as_str()].map(str::to_owned),
                    ["address".to_owned(), info.address.to_string()],
                    ["public key".to_owned(), info.public.to_string()],
                    ["created".to_owned(), date(info.created)],
                    ["path".to_owned(), info.path.map_or(none, |path| path.to_string())],
                    ["protection".to_owned(), protection(info).to_owned()],
                    ["file".to_owned(), info.file.display().to_string()],
                ];
                self.console.print(&table(rows.into_iter()))
            }
        }
    }

    fn print_json(&mut self, value: Value) -> Result<(), Failure> {
        self.console.print(&format!("{}\n", versioned(value)))
    }
}

impl MessageArgs {
    fn read(&self) -> Result<Vec<u8>, Failure> {
        match (&self.message, &self.file) {
            (Some(text), _) => Ok(text.clone().into_bytes()),
            (None, Some(file)) if file.as_os_str() == "-" => bounded(&mut io::stdin().lock(), file),
            (None, Some(file)) => {
                let mut source = std::fs::File::open(file).map_err(|error| unreadable(file, &error))?;
                bounded(&mut source, file)
            }
            (None, None) => Err(Failure::new(Exit::Usage, "a message is missing: give --message TEXT or --file FILE")),
        }
    }
}

fn bounded(source: &mut dyn Read, file: &Path) -> Result<Vec<u8>, Failure> {
    let mut message = Vec::new();
    let most = u64::try_from(MESSAGE_BYTES_MAX).expect("16 MiB fit") + 1;
    source.take(most).read_to_end(&mut message).map_err(|error| unreadable(file, &error))?;
    if message.len() > MESSAGE_BYTES_MAX {
        let words = format!("{} has more than {MESSAGE_BYTES_MAX} bytes, a message has no more", file.display());
        return Err(Failure::new(Exit::Refused, words).hint("sign the hash of the file instead"));
    }
    Ok(message)
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    let code = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
    Failure::new(code, format!("{} cannot be read: {error}", file.display()))
}

/// The same descriptor would give the second line where it is a pipe, and the first again where it is a file.
fn different_descriptors(old: &PasswordArgs, new: &NewPasswordArgs) -> Result<(), Failure> {
    match (old.password_fd, new.new_password_fd) {
        (Some(old), Some(new)) if old == new => {
            Err(Failure::new(Exit::Usage, format!("descriptor {old} cannot give two passwords"))
                .hint("open a descriptor for each, or use files"))
        }
        _ => Ok(()),
    }
}

fn with_no_encryption(failure: Failure) -> Failure {
    Failure { hint: failure.hint.map(|hint| format!("{hint}, or --no-encryption for a devnet")), ..failure }
}

fn path_of(account: u32) -> Result<KeyPath, Failure> {
    KeyPath::account(account).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

fn lock(password: Option<&Password>) -> Lock<'_> {
    password.map_or(Lock::Open, Lock::Password)
}

fn words_for_people(name: &KeyName, phrase: &Phrase) -> zeroize::Zeroizing<String> {
    let mut text = zeroize::Zeroizing::new(String::with_capacity(2 << 10));
    text.push_str(&format!(
        "\nThese 24 words restore {name}, also without its file and password. They are shown once.\n\
         Write them down, in this order, where nobody else can read them:\n\n"
    ));
    for (index, word) in phrase.words().enumerate() {
        let end = if index % 4 == 3 { "\n" } else { "" };
        text.push_str(&format!("{:>4}. {word:<10}{end}", index + 1));
    }
    text.push('\n');
    text
}

fn key_json(info: &KeyInfo) -> Value {
    named(
        info,
        json!({
            "created_at": info.created,
            "derivation_path": info.path.map(|path| path.to_string()),
            "encrypted": info.protection == Protection::Encrypted,
            "file": info.file.display().to_string(),
        }),
    )
}

/// A JSON object about a key, with the key's name, address and public key.
fn named(info: &KeyInfo, mut value: Value) -> Value {
    value["name"] = json!(info.name.as_str());
    value["address"] = json!(info.address.to_string());
    value["public_key"] = json!(info.public.to_string());
    value
}

fn protection(info: &KeyInfo) -> &'static str {
    match info.protection {
        Protection::Encrypted => "encrypted",
        Protection::Plain => "NOT ENCRYPTED",
    }
}

fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    format!("{}\n", table.trim_fmt())
}

/// A time in UTC, to the minute.
fn date(seconds: u64) -> String {
    let (days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    // Years are counted from March, so that the day that a leap year adds is the last of its year.
    let day_of_era = days.saturating_add(719_468);
    let (era, day) = (day_of_era / 146_097, day_of_era % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests;
