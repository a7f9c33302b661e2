//! What is public about a key, in a small file beside it, so that listing needs no password (KST-5).

use serde::{Deserialize, Serialize};

use cpc_primitives::{Address, PublicKey};

use super::name::KeyName;
use super::phrase::KeyPath;

/// Bytes of a description, at most.
pub(super) const DESCRIPTION_BYTES_MAX: usize = 4 << 10;
/// The version of the form below.
const VERSION: u32 = 1;

/// What is public about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) name: KeyName,
    pub(super) public: PublicKey,
    pub(super) created: u64,
    pub(super) path: Option<KeyPath>,
}

/// The form on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    name: String,
    address: String,
    public_key: String,
    created_at: u64,
    derivation_path: Option<String>,
}

impl Description {
    /// The bytes of the file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let form = Form {
            version: VERSION,
            name: self.name.to_string(),
            address: Address::of(&self.public).to_string(),
            public_key: self.public.to_string(),
            created_at: self.created,
            derivation_path: self.path.map(|path| path.to_string()),
        };
        let mut bytes = serde_json::to_vec_pretty(&form).expect("strings and numbers have a JSON form");
        bytes.push(b'\n');
        bytes
    }

    /// Reads the file of a key of this name; the text says what is wrong with it.
    pub(super) fn decode(bytes: &[u8], name: &KeyName) -> Result<Self, String> {
        let form: Form = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if form.version != VERSION {
            return Err(format!("it has version {}, this program reads version {VERSION}", form.version));
        }
        if form.name != name.as_str() {
            return Err(format!("it describes a key named {:?}, not {name}", form.name));
        }
        let public: PublicKey = form.public_key.parse().map_err(|error| format!("public_key: {error}"))?;
        // KST-5: the address is there for people who look into the file, and must be the key's own.
        let address = Address::of(&public);
        if form.address != address.to_string() {
            return Err(format!("its address is {}, its public key has {address}", form.address));
        }
        let path = form.derivation_path.map(|text| text.parse().map_err(|error| format!("derivation_path: {error}")));
        Ok(Self { name: name.clone(), public, created: form.created_at, path: path.transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use cpc_primitives::SecretKey;

    use super::*;

    fn description() -> Description {
        Description {
            name: "alice".parse().expect("a name"),
            public: SecretKey::from_seed(&[1; 32]).public(),
            created: 1_700_000_000,
            path: Some(KeyPath::account(3).expect("small")),
        }
    }

    #[track_caller]
    fn refuses(change: impl Fn(&str) -> String, expected: &str) {
        let text = change(&String::from_utf8(description().encode()).expect("text"));
        let found = Description::decode(text.as_bytes(), &"alice".parse().expect("a name")).expect_err("refused");
        assert!(found.contains(expected), "{found}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for described in [description(), Description { path: None, ..description() }] {
            assert_eq!(Description::decode(&described.encode(), &described.name), Ok(described));
        }
    }

    #[test]
    fn a_file_that_contradicts_itself_is_refused_with_both_sides() {
        let other = SecretKey::from_seed(&[2; 32]).public();
        refuses(|_| String::new(), "EOF");
        refuses(|text| text.replace("\"version\": 1", "\"version\": 2"), "version 2, this program reads version 1");
        refuses(|text| text.replace("alice", "bob"), "\"bob\", not alice");
        refuses(|text| text.replace(&description().public.to_string(), &other.to_string()), "its public key has cpc1");
        refuses(|text| text.replace(&description().public.to_string(), "00"), "public_key: expected 64 hex digits");
        refuses(|text| text.replace("m/44'", "m/45'"), "derivation_path");
        refuses(|text| text.replace("created_at", "made_at"), "unknown field `made_at`");
    }
}
