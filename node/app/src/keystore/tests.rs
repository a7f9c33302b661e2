//! The store as a whole: what is on the disk, who may read it, and what survives.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;

use tempfile::TempDir;

use super::*;

const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

/// A data directory with a key store whose passwords are cheap to try.
struct World {
    dir: TempDir,
    keys: Keystore,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let keys = Keystore::open_for_tests(dir.path());
        Self { dir, keys }
    }

    fn add(&self, name: &str, seed: u8) -> KeyInfo {
        let new = NewKey::Bare(SecretKey::from_seed(&[seed; 32]));
        self.keys.add(&key(name), &new, Lock::Password(&password("right"))).expect("a new key")
    }

    fn add_plain(&self, name: &str, seed: u8) -> KeyInfo {
        let new = NewKey::Bare(SecretKey::from_seed(&[seed; 32]));
        self.keys.add(&key(name), &new, Lock::Open).expect("a new key")
    }

    fn unlock(&self, name: &str) -> Result<SecretKey, KeystoreError> {
        self.keys.unlock(&key(name), Some(&password("right")))
    }

    fn path(&self, file: &str) -> PathBuf {
        self.keys.folder().join(file)
    }

    /// The names of all files, without the lock's.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.keys.folder()).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a text"));
        let mut names: Vec<String> = names.filter(|name| name != ".lock").collect();
        names.sort();
        names
    }

    fn names(&self) -> Vec<String> {
        self.keys.list().expect("a listing").keys.iter().map(|info| info.name.to_string()).collect()
    }
}

fn key(name: &str) -> KeyName {
    name.parse().expect("a name")
}

fn password(text: &str) -> Password {
    Password::from_line(Zeroizing::new(text.as_bytes().to_vec())).expect("a password")
}

/// Runs `openssl`, which the tests need as they need a compiler.
fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test runs openssl: install the package openssl");
    child.stdin.take().expect("piped").write_all(input).expect("openssl reads");
    let output = child.wait_with_output().expect("openssl ends");
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a temporary path is a text")
}

#[test]
fn a_key_is_opened_with_its_password_and_described_without() {
    let world = World::new();
    let phrase = Phrase::parse(WORDS).expect("words");
    let path = KeyPath::account(0).expect("small");
    let info = world
        .keys
        .add(&key("alice"), &NewKey::Derived(&phrase, path), Lock::Password(&password("right")))
        .expect("a new key");
    assert_eq!(world.keys.info(&key("alice")).expect("there"), info);
    assert_eq!(info.path, Some(path));
    assert_eq!(info.protection, Protection::Encrypted);
    assert_eq!(info.public, phrase.key(path).public());
    assert_eq!(info.address, Address::of(&info.public));
    assert_eq!(world.unlock("alice").expect("opens").seed(), phrase.key(path).seed());
    assert_eq!(world.files(), ["alice.json", "alice.pem"]);
}

#[test]
fn a_folder_that_does_not_exist_is_an_empty_one_and_stays_so() {
    let world = World::new();
    assert_eq!(world.names(), Vec::<String>::new());
    assert!(matches!(world.keys.info(&key("alice")), Err(KeystoreError::NotFound { .. })));
    assert!(matches!(world.unlock("alice"), Err(KeystoreError::NotFound { .. })));
    assert!(matches!(world.keys.delete(&key("alice")), Err(KeystoreError::NotFound { .. })));
    assert!(matches!(world.keys.rename(&key("alice"), &key("bob")), Err(KeystoreError::NotFound { .. })));
    assert!(!world.keys.folder().exists());
}

#[test]
fn nobody_else_can_read_the_files() {
    // KST-11.
    let world = World::new();
    world.add("alice", 1);
    world.add_plain("bob", 2);
    world.keys.relock(&key("alice"), Some(&password("right")), Lock::Open).expect("plain now");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(world.keys.folder()), 0o700);
    for file in world.files() {
        assert_eq!(mode(&world.path(&file)), 0o600, "{file}");
    }
    fs::set_permissions(world.keys.folder(), Permissions::from_mode(0o755)).expect("ours");
    world.add("carol", 3);
    assert_eq!(mode(world.keys.folder()), 0o700);
}

#[test]
fn a_plain_key_that_others_can_read_is_refused() {
    let world = World::new();
    let info = world.add_plain("dev", 1);
    assert!(world.keys.unlock(&key("dev"), None).is_ok());
    fs::set_permissions(&info.file, Permissions::from_mode(0o644)).expect("ours");
    let found = world.keys.unlock(&key("dev"), None).expect_err("exposed");
    assert!(matches!(found, KeystoreError::Exposed { mode: 0o644, .. }), "{found}");
    // An encrypted one is what a backup holds, and may lie about.
    let info = world.add("alice", 2);
    fs::set_permissions(&info.file, Permissions::from_mode(0o644)).expect("ours");
    assert!(world.unlock("alice").is_ok());
}

#[test]
fn no_key_is_ever_overwritten() {
    let world = World::new();
    let alice = world.add("alice", 1);
    world.add("bob", 2);
    let before = fs::read(&alice.file).expect("there");
    let new = NewKey::Bare(SecretKey::from_seed(&[3; 32]));
    let added = world.keys.add(&key("alice"), &new, Lock::Open);
    assert!(matches!(added, Err(KeystoreError::Exists { .. })));
    let renamed = world.keys.rename(&key("bob"), &key("alice"));
    assert!(matches!(renamed, Err(KeystoreError::Exists { .. })));
    assert!(matches!(world.keys.rename(&key("bob"), &key("bob")), Err(KeystoreError::Exists { .. })));
    assert_eq!(fs::read(&alice.file).expect("there"), before);
    assert_eq!(world.keys.info(&key("alice")).expect("there"), alice);
    assert_eq!(world.files(), ["alice.json", "alice.pem", "bob.json", "bob.pem"]);
}

#[test]
fn of_many_that_want_one_name_one_gets_it_whole() {
    let world = World::new();
    let won: Vec<u8> = thread::scope(|scope| {
        let writers: Vec<_> = (0..8u8)
            .map(|seed| {
                let keys = &world.keys;
                scope.spawn(move || {
                    let new = NewKey::Bare(SecretKey::from_seed(&[seed; 32]));
                    match keys.add(&key("alice"), &new, Lock::Password(&password("right"))) {
                        Ok(_) => Some(seed),
                        Err(KeystoreError::Exists { .. }) => None,
                        Err(other) => panic!("{other}"),
                    }
                })
            })
            .collect();
        writers.into_iter().filter_map(|writer| writer.join().expect("no panic")).collect()
    });
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(world.unlock("alice").expect("opens").seed(), &[won[0]; 32]);
    assert_eq!(world.files(), ["alice.json", "alice.pem"]);
}

#[test]
fn what_a_killed_writer_leaves_hides_nothing_and_blocks_nothing() {
    let world = World::new();
    let alice = world.add("alice", 1);
    // Killed while adding bob: a temporary file, or a description without a key.
    fs::write(world.path(".tmp-0123456789abcdef"), "half").expect("written");
    fs::copy(world.path("alice.json"), world.path("bob.json")).expect("copied");
    assert_eq!(world.names(), ["alice"]);
    world.add("bob", 2);
    assert_eq!(world.unlock("bob").expect("opens").seed(), &[2; 32]);
    assert_eq!(world.files(), ["alice.json", "alice.pem", "bob.json", "bob.pem"]);
    // Killed while renaming alice: she has both names.
    let described = Description { name: key("anna"), public: alice.public, created: alice.created, path: None };
    fs::write(world.path("anna.json"), described.encode()).expect("written");
    fs::hard_link(world.path("alice.pem"), world.path("anna.pem")).expect("linked");
    assert_eq!(world.names(), ["alice", "anna", "bob"]);
    assert_eq!(world.unlock("anna").expect("opens").seed(), &[1; 32]);
    world.keys.delete(&key("alice")).expect("deleted");
    assert_eq!(world.unlock("anna").expect("opens").seed(), &[1; 32]);
    // Killed while deleting bob: the key is gone, its description is not.
    fs::remove_file(world.path("bob.pem")).expect("removed");
    assert_eq!(world.names(), ["anna"]);
    assert!(matches!(world.unlock("bob"), Err(KeystoreError::NotFound { .. })));
}

#[test]
fn damage_is_named_with_its_file_and_hides_no_other_key() {
    let world = World::new();
    world.add("alice", 1);
    world.add("bob", 2);
    let pem = fs::read_to_string(world.path("bob.pem")).expect("there");
    let json = fs::read_to_string(world.path("bob.json")).expect("there");
    let other = fs::read_to_string(world.path("alice.json")).expect("there").replace("alice", "bob");
    for (file, bytes) in [
        ("bob.pem", String::new()),
        ("bob.pem", pem[..pem.len() / 2].to_owned()),
        ("bob.pem", pem.replace("ENCRYPTED PRIVATE", "PUBLIC")),
        ("bob.pem", "x".repeat(PEM_BYTES_MAX + 1)),
        ("bob.json", String::new()),
        ("bob.json", json[..json.len() / 2].to_owned()),
        ("bob.json", "x".repeat(DESCRIPTION_BYTES_MAX + 1)),
        ("bob.json", other),
    ] {
        let whole = fs::read(world.path(file)).expect("there");
        fs::write(world.path(file), &bytes).expect("written");
        let found = world.unlock("bob").expect_err("damaged");
        assert!(matches!(found, KeystoreError::Damaged { .. }), "{file} {bytes:?}: {found}");
        assert!(found.to_string().contains("bob"), "{found}");
        assert!(world.unlock("alice").is_ok());
        assert!(world.names().contains(&"alice".to_owned()));
        fs::write(world.path(file), whole).expect("written");
        assert!(world.unlock("bob").is_ok());
    }
    fs::remove_file(world.path("bob.json")).expect("removed");
    let listing = world.keys.list().expect("a listing");
    assert_eq!((listing.keys.len(), listing.damaged.len()), (1, 1));
    assert!(listing.damaged[0].1.to_string().ends_with("bob.json is damaged: it is missing"), "{:?}", listing.damaged);
    // The remedy: the key itself is whole, and comes in under another name.
    let again = read_pkcs8(&world.path("bob.pem"), Some(&password("right"))).expect("whole");
    assert_eq!(again.seed(), &[2; 32]);
    world.keys.delete(&key("bob")).expect("also a damaged key is deleted");
    assert_eq!(world.files(), ["alice.json", "alice.pem"]);
}

#[test]
fn a_wrong_password_is_told_apart_from_damage() {
    let world = World::new();
    world.add("alice", 1);
    let wrong = world.keys.unlock(&key("alice"), Some(&password("wrong"))).expect_err("wrong");
    assert!(matches!(wrong, KeystoreError::WrongPassword { .. }), "{wrong}");
    let none = world.keys.unlock(&key("alice"), None).expect_err("none");
    assert!(matches!(none, KeystoreError::PasswordNeeded { .. }), "{none}");
    let changed = world.keys.relock(&key("alice"), Some(&password("wrong")), Lock::Open).expect_err("wrong");
    assert!(matches!(changed, KeystoreError::WrongPassword { .. }), "{changed}");
    assert!(world.unlock("alice").is_ok());
}

#[test]
fn a_new_password_replaces_the_old_one() {
    let world = World::new();
    let before = world.add("alice", 1);
    let old = password("right");
    let new = password("new");
    let after = world.keys.relock(&key("alice"), Some(&old), Lock::Password(&new)).expect("changed");
    assert_eq!(after, before);
    assert!(matches!(world.unlock("alice"), Err(KeystoreError::WrongPassword { .. })));
    assert!(world.keys.unlock(&key("alice"), Some(&new)).is_ok());
    let plain = world.keys.relock(&key("alice"), Some(&new), Lock::Open).expect("changed");
    assert_eq!(plain.protection, Protection::Plain);
    assert_eq!(world.keys.unlock(&key("alice"), None).expect("opens").seed(), &[1; 32]);
    assert_eq!(world.files(), ["alice.json", "alice.pem"]);
}

#[test]
fn a_renamed_key_keeps_everything_else() {
    let world = World::new();
    let before = world.add("alice", 1);
    let after = world.keys.rename(&key("alice"), &key("anna")).expect("renamed");
    assert_eq!(after, KeyInfo { name: key("anna"), file: world.path("anna.pem"), ..before });
    assert!(world.unlock("anna").is_ok());
    assert_eq!(world.files(), ["anna.json", "anna.pem"]);
}

#[test]
fn files_of_others_are_left_alone() {
    let world = World::new();
    world.add("alice", 1);
    for file in ["README", "Bob.pem", "carol.pem.bak", "notes.json"] {
        fs::write(world.path(file), "not ours").expect("written");
    }
    world.add("dave", 2);
    assert_eq!(world.names(), ["alice", "dave"]);
    assert_eq!(world.files().len(), 8);
}

#[test]
fn openssl_reads_what_we_write() {
    let world = World::new();
    // The cost of every user's keys, which openssl must find acceptable.
    let keys = Keystore::open(world.dir.path());
    let info = keys
        .add(&key("alice"), &NewKey::Bare(SecretKey::from_seed(&[1; 32])), Lock::Password(&password("right")))
        .expect("a new key");
    let file = text_of(&info.file);
    let public = openssl(&["pkey", "-in", file, "-passin", "pass:right", "-pubout", "-outform", "DER"], b"");
    assert!(public.ends_with(info.public.bytes()), "{public:02x?}");
    assert_eq!(public.len(), 12 + 32, "nothing but the key and its algorithm");
    let plain = world.add_plain("bob", 2);
    let public = openssl(&["pkey", "-in", text_of(&plain.file), "-pubout", "-outform", "DER"], b"");
    assert!(public.ends_with(plain.public.bytes()));
    // A password from a file means the same to both.
    let written = world.dir.path().join("pw");
    fs::write(&written, "right\n").expect("written");
    openssl(&["pkey", "-in", file, "-passin", &format!("file:{}", text_of(&written)), "-noout"], b"");
}

#[test]
fn we_read_what_openssl_writes() {
    let world = World::new();
    let file = |name: &str| world.dir.path().join(name);
    let plain = file("plain.pem");
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", text_of(&plain)], b"");
    let expected = read_pkcs8(&plain, None).expect("a plain key");
    let der = openssl(&["pkey", "-in", text_of(&plain), "-pubout", "-outform", "DER"], b"");
    assert!(der.ends_with(expected.public().bytes()));
    for (name, options) in [
        ("pbkdf2.pem", &["-v2", "aes-256-cbc"][..]),
        ("pbkdf2-128.pem", &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512", "-iter", "1000"]),
        ("scrypt.pem", &["-scrypt"]),
        ("scrypt-192.pem", &["-scrypt", "-scrypt_N", "1024", "-v2", "aes-192-cbc"]),
    ] {
        let out = file(name);
        let common = ["pkcs8", "-topk8", "-in", text_of(&plain), "-out", text_of(&out), "-passout", "pass:right"];
        openssl(&[&common[..], options].concat(), b"");
        assert_eq!(pkcs8_protection(&out).expect("readable"), Protection::Encrypted, "{name}");
        let key = read_pkcs8(&out, Some(&password("right"))).expect(name);
        assert_eq!(key.seed(), expected.seed(), "{name}");
        let wrong = read_pkcs8(&out, Some(&password("wrong"))).expect_err(name);
        assert!(matches!(wrong, KeystoreError::WrongPassword { .. }), "{name}: {wrong}");
    }
    let rsa = file("p256.pem");
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", text_of(&rsa)], b"");
    let found = read_pkcs8(&rsa, None).expect_err("another curve").to_string();
    assert!(found.ends_with("it holds a key of another kind, only ed25519 keys are used"), "{found}");
}

#[test]
fn openssl_verifies_our_statements() {
    let world = World::new();
    let info = world.add_plain("alice", 1);
    let secret = world.keys.unlock(&info.name, None).expect("opens");
    let file = |name: &str| world.dir.path().join(name);
    let (public, message, signature) = (file("public.pem"), file("message"), file("signature"));
    openssl(&["pkey", "-in", text_of(&info.file), "-pubout", "-out", text_of(&public)], b"");
    fs::write(&message, [statement::PREFIX, b"I am alice"].concat()).expect("written");
    fs::write(&signature, statement::sign(&secret, b"I am alice").0).expect("written");
    let common = ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", text_of(&public)];
    let files = ["-in", text_of(&message), "-sigfile", text_of(&signature)];
    openssl(&[&common[..], &files].concat(), b"");
}

#[test]
fn secrets_from_elsewhere_are_read_within_limits_and_never_repeated() {
    let world = World::new();
    let path = world.dir.path().join("secret");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        let errors = [read_seed(&path).err(), read_phrase(&path).err(), read_pkcs8(&path, None).err()];
        errors.map(|error| error.map(|error| error.to_string()).unwrap_or_default())
    };
    let [seed, phrase, _] = read("07".repeat(32).as_bytes());
    assert_eq!(seed, "");
    assert!(phrase.contains("this one has 1"), "{phrase}");
    for bytes in [
        &b"ABCDEF0707070707070707070707070707070707070707070707070707070707"[..],
        b"0x0707070707070707070707070707070707070707070707070707070707070707",
        b"07070707",
        b"\xff\xfe",
        &[b'7'; PEM_BYTES_MAX + 1],
    ] {
        for found in read(bytes) {
            assert!(found.contains("cannot be used"), "{found}");
            assert!(!found.contains("0707") && !found.contains('A'), "{found}");
        }
    }
    fs::remove_file(&path).expect("removed");
    assert!(matches!(read_seed(&path), Err(KeystoreError::Io { .. })));
}

#[test]
fn a_new_file_is_private_and_takes_no_place_of_another() {
    let world = World::new();
    let path = world.dir.path().join("words");
    write_new_file(&path, b"one").expect("written");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert!(matches!(write_new_file(&path, b"two"), Err(KeystoreError::FileExists { .. })));
    assert_eq!(fs::read(&path).expect("there"), b"one");
    let nowhere = world.dir.path().join("missing/words");
    assert!(matches!(write_new_file(&nowhere, b"one"), Err(KeystoreError::Io { .. })));
}

// KST-13: under whatever name a copy of it lies here.
#[test]
fn a_key_is_held_by_one_process_at_a_time() {
    let world = World::new();
    let (first, copy) = (world.add_plain("first", 1), world.add_plain("copy", 1));
    let other = world.add_plain("other", 2);
    let held = world.keys.hold(&first.public).expect("nobody has it");
    let refused = world.keys.hold(&copy.public).expect_err("it is held").to_string();
    assert!(refused.contains(&first.public.to_string()) && refused.contains("another process votes"), "{refused}");
    assert!(world.keys.hold(&other.public).is_ok());
    drop(held);
    assert!(world.keys.hold(&copy.public).is_ok());
    assert_eq!(world.names(), ["copy", "first", "other"]);
}
