//! The commands as people type them: answers, exit codes, and no secret where it does not belong.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use tempfile::TempDir;

use super::*;

const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
const PUBLIC: &str = "9a09727ce5b184c403b3a17496358af02efc916e4a9e4a49453e84b4a7ce46d3";

/// The command line around the commands.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: KeysCommand,
}

/// A data directory and a person in front of it.
struct World {
    dir: TempDir,
    ctx: Context,
    answers: Option<VecDeque<&'static str>>,
}

/// What a command did.
struct Done {
    result: Result<(), Failure>,
    out: String,
    err: String,
    screen: String,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("pw"), "right password\n").expect("written");
        fs::write(dir.path().join("other-pw"), "other password\n").expect("written");
        fs::write(dir.path().join("words"), format!("{WORDS}\n")).expect("written");
        let ctx = Context {
            data_dir: dir.path().join("data"),
            output: Output::Human,
            yes: false,
            no_input: false,
            quiet: false,
            config: None,
            network: "devnet".to_owned(),
            node: "http://127.0.0.1:1".to_owned(),
            timeout: Duration::ZERO,
        };
        Self { dir, ctx, answers: None }
    }

    fn json(mut self) -> Self {
        self.ctx.output = Output::Json;
        self
    }

    /// Puts a person at the terminal who gives these answers.
    fn person(mut self, answers: &[&'static str]) -> Self {
        self.answers = Some(answers.iter().copied().collect());
        self
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("a text").to_owned()
    }

    /// Runs a line, in which `@` begins the name of a file of this world.
    fn run(&self, line: &str) -> Done {
        let words = line.split(' ').map(|word| match word.strip_prefix('@') {
            Some(name) => self.file(name),
            None => word.replace('~', " "),
        });
        let line = Line::try_parse_from(std::iter::once("keys".to_owned()).chain(words)).expect("a line that parses");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut terminal = match &self.answers {
            None => Terminal::Absent,
            Some(answers) => Terminal::Scripted { answers: answers.clone(), screen: String::new() },
        };
        let result = {
            let console = Console { out: &mut out, err: &mut err, terminal: &mut terminal };
            let keystore = Keystore::open_for_tests(&self.ctx.data_dir);
            Session { ctx: &self.ctx, keystore, console }.run(line.command)
        };
        let screen = match terminal {
            Terminal::Scripted { screen, .. } => screen,
            _ => String::new(),
        };
        let text = |bytes| String::from_utf8(bytes).expect("a text");
        Done { result, out: text(out), err: text(err), screen }
    }

    #[track_caller]
    fn ok(&self, line: &str) -> Done {
        let done = self.run(line);
        assert_eq!(done.result, Ok(()), "{line}");
        done
    }

    #[track_caller]
    fn fails(&self, line: &str, code: Exit, message: &str) -> Failure {
        let failure = self.run(line).result.expect_err(line);
        assert_eq!(failure.code, code, "{line}: {failure:?}");
        assert!(failure.message.contains(message), "{line}: {failure:?}");
        failure
    }

    /// A world in which `alice` has the key of the well-known words, and the right password.
    fn with_alice(self) -> Self {
        self.ok("import alice --mnemonic-file @words --password-file @pw");
        self
    }
}

#[test]
fn the_command_line_is_well_formed_and_every_option_has_a_help() {
    Line::command().debug_assert();
    for command in Line::command().get_subcommands() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
        }
    }
}

#[test]
fn lines_that_contradict_themselves_are_refused() {
    for line in [
        "create Alice",
        "create alice --mnemonic-file a --no-mnemonic",
        "create alice --password-file a --password-fd 3",
        "create alice --password-file a --no-encryption",
        "import alice --pkcs8 a --seed-file b",
        "import alice --pkcs8 a --account 1",
        "import alice --seed-file a --source-password-file b",
        "export alice --new-password-file a --no-encryption",
        "show alice --public --address",
        "sign alice",
        "sign alice --message a --file b",
        "verify alice 00 --message a",
        "verify 9a09 00 --message a",
        "create alice --password secret",
    ] {
        let words = std::iter::once("keys").chain(line.split(' '));
        assert!(Line::try_parse_from(words).is_err(), "{line}");
    }
}

#[test]
fn a_script_makes_a_key_without_a_terminal() {
    let world = World::new().json();
    let done = world.ok("create alice --password-file @pw --mnemonic-file @new-words");
    let value: Value = serde_json::from_str(&done.out).expect("one JSON object");
    assert_eq!(value["version"], 1);
    assert_eq!(value["name"], "alice");
    assert_eq!(value["encrypted"], true);
    assert_eq!(value["derivation_path"], "m/44'/6516835'/0'/0'");
    assert_eq!(done.out.lines().count(), 1);
    let words = fs::read_to_string(world.file("new-words")).expect("written");
    assert_eq!(words.split_whitespace().count(), 24);
    assert_eq!(fs::metadata(world.file("new-words")).expect("there").permissions().mode() & 0o777, 0o600);
    // The words are the key.
    let again = world.ok("import again --mnemonic-file @new-words --no-encryption");
    let again: Value = serde_json::from_str(&again.out).expect("one JSON object");
    assert_eq!(again["address"], value["address"]);
    assert_eq!(again["encrypted"], false);
}

#[test]
fn a_person_sees_the_words_once_and_types_the_password_twice() {
    let world = World::new().person(&["typed", "typed"]);
    let done = world.ok("create alice");
    let start = done.screen.find("   1. ").expect("numbered words");
    let words: Vec<&str> = done.screen[start..].split_whitespace().filter(|word| !word.ends_with('.')).collect();
    assert_eq!(words.len(), 24, "{}", done.screen);
    for word in words {
        let spaced = format!(" {word} ");
        assert!(!done.out.contains(&spaced) && !done.err.contains(&spaced), "{word}");
    }
    assert!(done.screen.contains("New password of alice: New password of alice, again: "), "{}", done.screen);
    assert!(done.out.contains("protection  encrypted"), "{}", done.out);

    World::new().person(&["typed", "tipped"]).fails("create alice", Exit::Usage, "the two passwords differ");
    World::new().person(&[""]).fails("create alice", Exit::Usage, "the password is empty");
}

#[test]
fn without_a_terminal_every_question_names_its_option() {
    let world = World::new().with_alice();
    for (line, hint) in [
        ("create bob", "--mnemonic-file FILE, or --no-mnemonic"),
        ("create bob --no-mnemonic", "--password-file FILE or --password-fd N, or --no-encryption"),
        ("import bob", "--mnemonic-file FILE, --pkcs8 FILE or --seed-file FILE"),
        ("sign alice --message a", "--password-file FILE or --password-fd N"),
        ("export alice --password-file @pw", "--new-password-file FILE or --new-password-fd N, or --no-encryption"),
        ("passwd alice", "--password-file FILE or --password-fd N"),
        ("delete alice", "--yes"),
    ] {
        let failure = world.fails(line, Exit::Usage, "no terminal");
        assert!(failure.hint.as_deref().is_some_and(|found| found.contains(hint)), "{line}: {failure:?}");
    }
    assert_eq!(world.ok("list").out.lines().count(), 2);
}

#[test]
fn every_failure_has_its_code() {
    let world = World::new().with_alice();
    world.fails("show bob", Exit::NotFound, "there is no key named bob");
    world.fails("sign alice --message a --password-file @missing", Exit::NotFound, "no password file");
    world.fails("import bob --pkcs8 @missing", Exit::NotFound, "missing");
    world.fails("sign alice --file @missing --password-file @pw", Exit::NotFound, "missing");
    world.fails("create alice --no-mnemonic --no-encryption", Exit::Refused, "alice exists already");
    world.fails("export alice --password-file @pw --no-encryption -o @words", Exit::Refused, "exists already");
    world.fails("create bob --no-encryption --mnemonic-file @words", Exit::Refused, "exists already");
    world.fails("import bob --seed-file @words", Exit::Refused, "64 hex digits");
    world.fails("import bob --mnemonic-file @pw", Exit::Refused, "this one has 2");
    world.fails("import bob --mnemonic-file @words --account 2147483648", Exit::Usage, "an account is at most");
    world.fails("sign alice --message a --password-file @words", Exit::VerificationFailed, "does not open");
    world.fails("passwd alice --password-file @other-pw --no-encryption", Exit::VerificationFailed, "does not open");
    fs::write(world.file("long"), "x".repeat(1_001)).expect("written");
    world.fails("sign alice --message a --password-file @long", Exit::Usage, "longer than 1000 bytes");
    world.fails("sign alice --message a --password-fd 999", Exit::Usage, "descriptor 999");
    world.fails(
        "passwd alice --password-fd 3 --new-password-fd 3",
        Exit::Usage,
        "descriptor 3 cannot give two passwords",
    );
    fs::write(world.ctx.data_dir.join("keys/alice.json"), "{}").expect("written");
    let failure = world.fails("show alice", Exit::Damaged, "alice.json is damaged");
    assert!(failure.hint.is_some_and(|hint| hint.contains("--pkcs8") && hint.contains("alice.pem")));
    world.fails("list", Exit::Damaged, "alice.json is damaged");
    assert_eq!(world.run("list").out.trim(), "NAME  ADDRESS  PROTECTION  CREATED");
}

#[test]
fn refused_commands_leave_no_trace() {
    let world = World::new();
    for line in [
        "create alice --no-encryption --mnemonic-file @words",
        "create alice --password-file @missing --mnemonic-file @new-words",
        "import alice --mnemonic-file @pw --no-encryption",
        "import alice --mnemonic-file @words --password-file @missing",
        "import alice --seed-file @missing --no-encryption",
    ] {
        assert!(world.run(line).result.is_err(), "{line}");
        assert!(!world.ctx.data_dir.exists(), "{line}");
        assert!(!world.dir.path().join("new-words").exists(), "{line}");
    }
}

#[test]
fn a_key_goes_out_and_comes_back() {
    let world = World::new().with_alice();
    let shown = world.ok("show alice --public").out;
    assert_eq!(shown, format!("{PUBLIC}\n"));
    world.ok("export alice --password-file @pw --new-password-file @other-pw -o @alice.pem");
    assert_eq!(fs::metadata(world.file("alice.pem")).expect("there").permissions().mode() & 0o777, 0o600);
    world.fails(
        "import bob --pkcs8 @alice.pem --source-password-file @pw --no-encryption",
        Exit::VerificationFailed,
        "",
    );
    world.ok("import bob --pkcs8 @alice.pem --source-password-file @other-pw --password-file @pw");
    assert_eq!(world.ok("show bob --public").out, shown);
    let pem = world.ok("export bob --password-file @pw --no-encryption").out;
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n") && pem.ends_with("-----END PRIVATE KEY-----\n"), "{pem}");
    fs::write(world.file("plain.pem"), pem).expect("written");
    world.ok("import carol --pkcs8 @plain.pem --no-encryption");
    assert_eq!(world.ok("show carol --address").out, world.ok("show alice --address").out);
    assert!(world.ok("show carol").out.contains("NOT ENCRYPTED"));
}

#[test]
fn a_seed_and_another_account_are_taken_in() {
    let world = World::new();
    fs::write(world.file("seed"), format!("{}\n", "01".repeat(32))).expect("written");
    world.ok("import bob --seed-file @seed --no-encryption");
    let expected = SecretKey::from_seed(&[1; 32]).public();
    assert_eq!(world.ok("show bob --public").out, format!("{expected}\n"));
    world.ok("import carol --mnemonic-file @words --account 1 --no-encryption");
    assert!(world.ok("show carol").out.contains("m/44'/6516835'/1'/0'"));
    assert_ne!(world.ok("show carol --public").out, format!("{PUBLIC}\n"));
}

#[test]
fn words_are_typed_too() {
    let world = World::new().person(&[WORDS, "typed", "typed"]);
    world.ok("import alice");
    assert_eq!(world.ok("show alice --public").out, format!("{PUBLIC}\n"));
    World::new().person(&["one two three"]).fails("import alice", Exit::Refused, "this one has 3");
}

#[test]
fn a_message_is_signed_and_checked() {
    let world = World::new().with_alice();
    fs::write(world.file("message"), "I am alice").expect("written");
    let signature = world.ok("sign alice --message I~am~alice --password-file @pw").out;
    assert_eq!(world.ok("sign alice --file @message --password-file @pw").out, signature);
    let signature = signature.trim();
    for signer in ["alice", PUBLIC] {
        world.ok(&format!("verify {signer} {signature} --message I~am~alice"));
        world.ok(&format!("verify {signer} {signature} --file @message"));
        world.fails(
            &format!("verify {signer} {signature} --message I~am~bob"),
            Exit::VerificationFailed,
            "did not sign this message",
        );
    }
    fs::write(world.file("message"), vec![b'x'; MESSAGE_BYTES_MAX + 1]).expect("written");
    world.fails("sign alice --file @message --password-file @pw", Exit::Refused, "a message has no more");
}

#[test]
fn a_password_is_changed_and_a_key_renamed_and_deleted() {
    let world = World::new().with_alice();
    world.ok("passwd alice --password-file @pw --new-password-file @other-pw");
    world.fails("sign alice --message a --password-file @pw", Exit::VerificationFailed, "");
    world.ok("sign alice --message a --password-file @other-pw");
    world.ok("rename alice anna");
    world.fails("show alice", Exit::NotFound, "alice");
    let world = world.person(&["no"]);
    world.fails("delete anna", Exit::Refused, "anna was not deleted");
    world.ok("show anna");
    let world = world.person(&["yes"]);
    let done = world.ok("delete anna");
    assert!(done.screen.contains("its money is lost"), "{}", done.screen);
    world.fails("show anna", Exit::NotFound, "anna");
    let mut world = world.with_alice();
    (world.answers, world.ctx.yes) = (None, true);
    world.ok("delete alice");
}

#[test]
fn a_password_comes_from_a_descriptor() {
    use std::os::fd::AsRawFd;
    let world = World::new().with_alice();
    let file = fs::File::open(world.file("pw")).expect("there");
    world.ok(&format!("sign alice --message a --password-fd {}", file.as_raw_fd()));
    let (reader, mut writer) = io::pipe().expect("a pipe");
    // What follows the line stays in the pipe, which is still open: nobody waits for its end.
    io::Write::write_all(&mut writer, b"right password\nnot read").expect("a pipe holds this");
    world.ok(&format!("sign alice --message a --password-fd {}", reader.as_raw_fd()));
    let mut rest = [0; 8];
    Read::read_exact(&mut &reader, &mut rest).expect("the rest");
    assert_eq!(&rest, b"not read");
}

#[test]
fn no_secret_is_in_any_answer() {
    let seed = Phrase::parse(WORDS).expect("words").key(KeyPath::account(0).expect("small")).seed().to_owned();
    let hex = cpc_primitives::hash::hex(&seed);
    for world in [World::new().with_alice(), World::new().with_alice().json()] {
        let signature = "00".repeat(64);
        for line in [
            "list",
            "show alice",
            "show bob",
            "sign alice --message a --password-file @pw",
            "sign alice --message a --password-file @words",
            "sign alice --message a --password-file @missing",
            &format!("verify alice {signature} --message a"),
            "export alice --password-file @pw --new-password-file @other-pw",
            "export alice --password-file @pw --no-encryption -o @out.pem",
            "import alice --mnemonic-file @words --password-file @pw",
            "import bob --mnemonic-file @words --password-file @pw",
            "import carol --seed-file @words --password-file @pw",
            "import carol --pkcs8 @pw --password-file @pw",
            "create dave --mnemonic-file @words --password-file @pw",
            "passwd alice --password-file @other-pw --new-password-file @pw",
            "rename bob robert",
        ] {
            let done = world.run(line);
            let everything = format!("{}{}{}{:?}", done.out, done.err, done.screen, done.result);
            for secret in ["abandon", "about", "right password", "other password", &hex] {
                assert!(!everything.contains(secret), "{line}: {everything}");
            }
        }
    }
}

#[test]
fn a_quiet_command_prints_data_only() {
    let mut world = World::new().with_alice();
    world.ctx.quiet = true;
    for line in ["list", "show alice", "rename alice anna"] {
        assert_eq!(world.ok(line).err, "", "{line}");
    }
    assert_eq!(World::new().ok("list").out, "");
    assert!(World::new().ok("list").err.contains("cpc keys create NAME"));
}

#[test]
fn lists_are_tables_for_people_and_objects_for_programs() {
    let world = World::new().with_alice();
    world.ok("create bob --no-mnemonic --no-encryption");
    let list = world.ok("list").out;
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "ADDRESS", "PROTECTION", "CREATED"]);
    assert_eq!((lines[1][0], lines[1][2]), ("alice", "encrypted"));
    assert_eq!((lines[2][0], lines[2][2], lines[2][3]), ("bob", "NOT", "ENCRYPTED"));
    assert!(list.lines().all(|line| line == line.trim_end()), "{list:?}");
    let world = world.json();
    let value: Value = serde_json::from_str(&world.ok("list").out).expect("one JSON object");
    assert_eq!(value["version"], 1);
    assert_eq!(value["keys"][0]["public_key"], PUBLIC);
    assert_eq!(value["keys"][1]["derivation_path"], Value::Null);
    assert_eq!(value["damaged"], json!([]));
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (seconds, expected) in [
        (0, "1970-01-01 00:00 UTC"),
        (951_782_399, "2000-02-28 23:59 UTC"),
        (951_782_400, "2000-02-29 00:00 UTC"),
        (951_868_800, "2000-03-01 00:00 UTC"),
        (1_709_164_800, "2024-02-29 00:00 UTC"),
        (1_735_689_599, "2024-12-31 23:59 UTC"),
        (4_107_542_400, "2100-03-01 00:00 UTC"),
    ] {
        assert_eq!(date(seconds), expected);
    }
}
