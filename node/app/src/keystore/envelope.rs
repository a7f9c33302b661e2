//! A secret key as PKCS#8 in PEM, encrypted with a password or plain: what `openssl pkey` reads (KST-3, KST-4).

use ed25519_dalek::pkcs8::{ALGORITHM_OID, EncodePrivateKey, KeypairBytes};
use pkcs8::pkcs5::pbes2::{EncryptionScheme as Cipher, Kdf, Parameters, Salt, ScryptParams};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument, pkcs5};
use zeroize::Zeroizing;

use cpc_primitives::SecretKey;

use super::password::Password;

/// Bytes of a PEM file with a key, at most.
pub const PEM_BYTES_MAX: usize = 16 << 10;

/// What a file takes scrypt to open, at most: 256 MiB of memory and 25 times our own work.
const SCRYPT_MEMORY_MAX: u128 = 256 << 20;
const SCRYPT_WORK_MAX: u128 = 1 << 24;
/// Rounds of PBKDF2, at most: seconds.
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;

/// What protects a key that is written.
#[derive(Debug, Clone, Copy)]
pub enum Lock<'a> {
    /// A password.
    Password(&'a Password),
    /// Only the permissions of its file.
    Open,
}

/// What protects a key that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// A password.
    Encrypted,
    /// Only the permissions of its file.
    Plain,
}

/// What a password costs to try.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    n: u64,
    r: u16,
    p: u16,
}

/// Why a PEM text does not give a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not PEM, or its base64 or outer structure is broken.
    #[error("its PEM cannot be read")]
    Pem,
    /// PEM of something else, such as a public key.
    #[error("it is PEM, but of no PKCS#8 private key")]
    Label,
    /// A key of another curve.
    #[error("it holds a key of another kind, only ed25519 keys are used")]
    Kind,
    /// The key is not 32 bytes, or a public key beside it is not its own.
    #[error("the key inside contradicts itself")]
    Contradiction,
    /// A cipher that is not read.
    #[error("its encryption is not read: convert it with openssl pkcs8 -topk8 -v2 aes256")]
    Cipher,
    /// A file that would stop the machine.
    #[error("opening it would take more memory or time than any key of ours")]
    Cost,
    /// The password does not fit, or the encrypted bytes are damaged: nobody can tell which.
    #[error("the password does not open it")]
    WrongPassword,
    /// A password is needed.
    #[error("it is encrypted, and no password was given")]
    PasswordNeeded,
}

impl Cost {
    /// `openssl` allows scrypt 32 MiB, which these parameters stay below (16 MiB); five passes make up for it.
    pub(super) const INTERACTIVE: Self = Self { n: 1 << 14, r: 8, p: 5 };
    /// For tests, in which nothing is secret.
    #[cfg(test)]
    pub(super) const TEST: Self = Self { n: 16, r: 8, p: 1 };
}

impl Protection {
    /// What protects the key in this text.
    pub fn of(pem: &str) -> Result<Self, EnvelopeError> {
        parse(pem).map(|(protection, _)| protection)
    }
}

/// Writes a key.
pub(super) fn seal(key: &SecretKey, lock: Lock<'_>, cost: Cost) -> Result<Zeroizing<String>, getrandom::Error> {
    // KST-3: version 1, because OpenSSL before 3.0 refuses the version 2 that carries the public key.
    let plain = KeypairBytes { secret_key: *key.seed(), public_key: None }
        .to_pkcs8_der()
        .expect("an ed25519 key has a PKCS#8 form");
    let (label, document) = match lock {
        Lock::Open => ("PRIVATE KEY", plain),
        Lock::Password(password) => {
            let (mut salt, mut iv) = ([0; 16], [0; 16]);
            getrandom::fill(&mut salt)?;
            getrandom::fill(&mut iv)?;
            let kdf = Kdf::Scrypt(ScryptParams {
                salt: Salt::new(salt).expect("16 bytes are a salt"),
                cost_parameter: cost.n,
                block_size: cost.r,
                parallelization: cost.p,
                key_length: None,
            });
            let document = PrivateKeyInfoRef::try_from(plain.as_bytes())
                .and_then(|info| {
                    let parameters = Parameters { kdf, encryption: Cipher::Aes256Cbc { iv } };
                    info.encrypt_with_params(parameters, password.bytes())
                })
                .expect("our own parameters are valid");
            ("ENCRYPTED PRIVATE KEY", document)
        }
    };
    Ok(document.to_pem(label, LineEnding::LF).expect("a short document has a PEM form"))
}

/// Reads a key.
pub(super) fn open(pem: &str, password: Option<&Password>) -> Result<SecretKey, EnvelopeError> {
    match parse(pem)? {
        (Protection::Plain, document) => {
            let info = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| EnvelopeError::Pem)?;
            key_of(info)
        }
        (Protection::Encrypted, document) => {
            let envelope = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| EnvelopeError::Pem)?;
            // The cost is looked at before the password, so that nobody types one into a file that is refused.
            affordable(&envelope.encryption_algorithm)?;
            let password = password.ok_or(EnvelopeError::PasswordNeeded)?;
            let plain = envelope.decrypt(password.bytes()).map_err(|error| match error {
                pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed) | pkcs8::Error::Asn1(_) => {
                    EnvelopeError::WrongPassword
                }
                _ => EnvelopeError::Cipher,
            })?;
            // One wrong password in 256 gives a valid padding, and then bytes that are no structure.
            let info = PrivateKeyInfoRef::try_from(plain.as_bytes()).map_err(|_| EnvelopeError::WrongPassword)?;
            key_of(info)
        }
    }
}

/// Takes the armour off.
fn parse(pem: &str) -> Result<(Protection, SecretDocument), EnvelopeError> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| EnvelopeError::Pem)?;
    match label {
        "PRIVATE KEY" => Ok((Protection::Plain, document)),
        "ENCRYPTED PRIVATE KEY" => Ok((Protection::Encrypted, document)),
        _ => Err(EnvelopeError::Label),
    }
}

/// KST-4: a file's own parameters decide what it costs to open, so that they are bounded first.
fn affordable(scheme: &pkcs5::EncryptionScheme) -> Result<(), EnvelopeError> {
    let parameters = scheme.pbes2().ok_or(EnvelopeError::Cipher)?;
    match &parameters.kdf {
        Kdf::Scrypt(scrypt) => {
            // The library takes the logarithm of N on trust.
            if scrypt.cost_parameter < 2 || !scrypt.cost_parameter.is_power_of_two() {
                return Err(EnvelopeError::Cipher);
            }
            let blocks = u128::from(scrypt.cost_parameter).saturating_mul(u128::from(scrypt.block_size));
            let work = blocks.saturating_mul(u128::from(scrypt.parallelization));
            let memory = blocks.saturating_mul(128);
            if memory > SCRYPT_MEMORY_MAX || work > SCRYPT_WORK_MAX {
                return Err(EnvelopeError::Cost);
            }
            Ok(())
        }
        Kdf::Pbkdf2(pbkdf2) if pbkdf2.iteration_count > PBKDF2_ROUNDS_MAX => Err(EnvelopeError::Cost),
        Kdf::Pbkdf2(_) => Ok(()),
        _ => Err(EnvelopeError::Cipher),
    }
}

/// The key of a structure.
fn key_of(info: PrivateKeyInfoRef<'_>) -> Result<SecretKey, EnvelopeError> {
    if info.algorithm.oid != ALGORITHM_OID {
        return Err(EnvelopeError::Kind);
    }
    let pair = KeypairBytes::try_from(info).map_err(|_| EnvelopeError::Contradiction)?;
    let key = SecretKey::from_seed(&pair.secret_key);
    match &pair.public_key {
        Some(public) if public.as_ref() != key.public().bytes() => Err(EnvelopeError::Contradiction),
        _ => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::pkcs8::PublicKeyBytes;

    use super::*;

    fn password(text: &str) -> Password {
        Password::from_line(Zeroizing::new(text.as_bytes().to_vec())).expect("a password")
    }

    fn key() -> SecretKey {
        SecretKey::from_seed(&[9; 32])
    }

    /// A PEM text with an encryption of our choice.
    fn with_kdf(kdf: Kdf) -> String {
        let plain = KeypairBytes { secret_key: *key().seed(), public_key: None }.to_pkcs8_der().expect("short");
        let encryption = Cipher::Aes256Cbc { iv: [1; 16] };
        let document = PrivateKeyInfoRef::try_from(plain.as_bytes())
            .expect("our own")
            .encrypt_with_params(Parameters { kdf: scrypt(16, 8, 1), encryption }, b"pw")
            .expect("valid parameters");
        let envelope = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).expect("our own");
        let changed = EncryptedPrivateKeyInfoRef {
            encryption_algorithm: Parameters { kdf, encryption }.into(),
            encrypted_data: envelope.encrypted_data,
        };
        let document = SecretDocument::encode_msg(&changed).expect("short");
        document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).expect("short").to_string()
    }

    fn scrypt(n: u64, r: u16, p: u16) -> Kdf {
        let salt = Salt::new([7; 16]).expect("short");
        Kdf::Scrypt(ScryptParams { salt, cost_parameter: n, block_size: r, parallelization: p, key_length: None })
    }

    #[test]
    fn a_key_comes_back_with_its_password_only() {
        let (right, wrong) = (password("right"), password("wrong"));
        let pem = seal(&key(), Lock::Password(&right), Cost::TEST).expect("randomness");
        assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{}", *pem);
        assert_eq!(Protection::of(&pem), Ok(Protection::Encrypted));
        assert_eq!(open(&pem, Some(&right)).expect("opens").seed(), key().seed());
        assert_eq!(open(&pem, Some(&wrong)).expect_err("wrong"), EnvelopeError::WrongPassword);
        assert_eq!(open(&pem, None).expect_err("needed"), EnvelopeError::PasswordNeeded);
    }

    #[test]
    fn no_wrong_password_is_mistaken_for_damage() {
        // One in 256 ends in a valid padding: among 2000 several do.
        let pem = seal(&key(), Lock::Password(&password("right")), Cost::TEST).expect("randomness");
        for n in 0..2_000 {
            let found = open(&pem, Some(&password(&n.to_string()))).expect_err("wrong");
            assert_eq!(found, EnvelopeError::WrongPassword, "{n}");
        }
    }

    #[test]
    fn a_plain_key_needs_none() {
        let pem = seal(&key(), Lock::Open, Cost::TEST).expect("randomness");
        assert_eq!(Protection::of(&pem), Ok(Protection::Plain));
        assert_eq!(open(&pem, None).expect("opens").seed(), key().seed());
    }

    #[test]
    fn the_same_key_is_never_written_the_same_way_twice() {
        let password = password("same");
        let [one, two] =
            [(), ()].map(|()| seal(&key(), Lock::Password(&password), Cost::TEST).expect("randomness").to_string());
        assert_ne!(one, two);
    }

    #[test]
    fn a_file_that_would_stop_the_machine_is_refused_before_its_password_is_tried() {
        for (kdf, expected) in [
            (scrypt(1 << 22, 8, 1), EnvelopeError::Cost),
            (scrypt(1 << 63, u16::MAX, u16::MAX), EnvelopeError::Cost),
            (scrypt(1 << 14, 8, 1_000), EnvelopeError::Cost),
            (scrypt(0, 8, 1), EnvelopeError::Cipher),
            (scrypt(1, 8, 1), EnvelopeError::Cipher),
            (scrypt(15, 8, 1), EnvelopeError::Cipher),
            (scrypt(16, 0, 1), EnvelopeError::Cipher),
            (scrypt(16, 8, 0), EnvelopeError::Cipher),
            (
                Kdf::Pbkdf2(pkcs5::pbes2::Pbkdf2Params::hmac_sha256(100_000_000, b"salt salt").expect("valid")),
                EnvelopeError::Cost,
            ),
        ] {
            let found = open(&with_kdf(kdf.clone()), Some(&password("pw"))).expect_err("refused");
            assert_eq!(found, expected, "{kdf:?}");
        }
        assert!(open(&with_kdf(scrypt(16, 8, 1)), Some(&password("pw"))).is_ok());
    }

    #[test]
    fn a_public_key_beside_the_secret_one_must_be_its_own() {
        let pem = |public: [u8; 32]| {
            let pair = KeypairBytes { secret_key: *key().seed(), public_key: Some(PublicKeyBytes(public)) };
            let document = pair.to_pkcs8_der().expect("short");
            document.to_pem("PRIVATE KEY", LineEnding::LF).expect("short")
        };
        assert!(open(&pem(*key().public().bytes()), None).is_ok());
        let another = *SecretKey::from_seed(&[8; 32]).public().bytes();
        assert_eq!(open(&pem(another), None).expect_err("another's"), EnvelopeError::Contradiction);
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let x25519 = "-----BEGIN PRIVATE KEY-----\n\
                      MC4CAQAwBQYDK2VuBCIEIAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ\n\
                      -----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\n\
                      MCowBQYDK2VwAyEA/Ry9KGxmQNxBaUfR8C/1/PeWIu5GcdPpJGGMjyqZPfM=\n\
                      -----END PUBLIC KEY-----\n";
        let plain = seal(&key(), Lock::Open, Cost::TEST).expect("randomness");
        for (text, expected) in [
            ("", EnvelopeError::Pem),
            ("not a key", EnvelopeError::Pem),
            (&plain[..80], EnvelopeError::Pem),
            (&plain.replacen("MC4", "MD4", 1), EnvelopeError::Pem),
            (&plain.replacen("MC4", "M*4", 1), EnvelopeError::Pem),
            (&plain.replace("PRIVATE KEY", "EC PRIVATE KEY"), EnvelopeError::Label),
            (public, EnvelopeError::Label),
            (x25519, EnvelopeError::Kind),
        ] {
            assert_eq!(open(text, None).expect_err(text), expected, "{text}");
        }
    }
}
