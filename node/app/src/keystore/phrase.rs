//! Mnemonics of BIP-39 and the keys that SLIP-0010 derives from them.

use core::fmt;
use core::str::FromStr;

use bip39::{Language, Mnemonic};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

use cpc_primitives::SecretKey;

/// The coin type of this chain in derivation paths: the letters `cpc` as a number, which nobody has registered (KST-7).
pub const COIN_TYPE: u32 = 0x0063_7063;
/// Accounts of one mnemonic.
pub const ACCOUNTS_MAX: u32 = 1 << 31;

/// 12 to 24 English words that stand for keys; wiped when dropped.
pub struct Phrase(Mnemonic);

/// The place of a key under its mnemonic: `m/44'/6516835'/ACCOUNT'/0'` (KST-7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPath {
    account: u32,
}

/// Why a text is not a mnemonic. No word is repeated here: an error ends up in logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Words are missing, or there are too many.
    #[error("a mnemonic has 12, 15, 18, 21 or 24 words, this one has {found}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// A typing error, or another language.
    #[error("word {place} of the mnemonic is not in the English list of BIP-39")]
    Word {
        /// Which one, counted from 1.
        place: usize,
    },
    /// Words in the wrong order, or a wrong word.
    #[error("the mnemonic's checksum does not hold: a word is wrong, or two have changed places")]
    Checksum,
}

/// Why a text is not the path of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A number that hardening leaves no room for.
    #[error("an account is at most 2147483647, this one is {found}")]
    Account {
        /// The number.
        found: u32,
    },
    /// Another wallet's path.
    #[error("a path has the form m/44'/{COIN_TYPE}'/ACCOUNT'/0'")]
    Form,
}

impl Phrase {
    /// 24 words from 32 bytes of the operating system's randomness (KST-6).
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut entropy = Zeroizing::new([0; 32]);
        getrandom::fill(entropy.as_mut_slice())?;
        Ok(Self(Mnemonic::from_entropy_in(Language::English, entropy.as_slice()).expect("32 bytes are 24 words")))
    }

    /// Reads words that people typed: blanks and capital letters do not matter (KST-6).
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let text = Zeroizing::new(text.to_ascii_lowercase());
        let found = text.split_ascii_whitespace().count();
        if !matches!(found, 12 | 15 | 18 | 21 | 24) {
            return Err(PhraseError::Count { found });
        }
        match Mnemonic::parse_in_normalized(Language::English, &text) {
            Ok(mnemonic) => Ok(Self(mnemonic)),
            Err(bip39::Error::UnknownWord(index)) => Err(PhraseError::Word { place: index.saturating_add(1) }),
            Err(_) => Err(PhraseError::Checksum),
        }
    }

    /// The words in their order.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.words()
    }

    /// The words in one line with its end, for a file.
    pub fn line(&self) -> Zeroizing<String> {
        // Room for the longest words, so that no copy is left behind by growing.
        let mut line = Zeroizing::new(String::with_capacity(24 * 9 + 1));
        for (index, word) in self.words().enumerate() {
            if index > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
        line.push('\n');
        line
    }

    /// The key at a place under these words (KST-7).
    pub fn key(&self, path: KeyPath) -> SecretKey {
        let seed = Zeroizing::new(self.0.to_seed_normalized(""));
        SecretKey::from_seed(&derive(seed.as_slice(), &path.indices()).key)
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(not shown)")
    }
}

impl KeyPath {
    /// The path of an account.
    pub const fn account(account: u32) -> Result<Self, PathError> {
        if account < ACCOUNTS_MAX { Ok(Self { account }) } else { Err(PathError::Account { found: account }) }
    }

    fn indices(self) -> [u32; 4] {
        [44, COIN_TYPE, self.account, 0]
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m/44'/{COIN_TYPE}'/{}'/0'", self.account)
    }
}

impl FromStr for KeyPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let account = text
            .strip_prefix(&format!("m/44'/{COIN_TYPE}'/"))
            .and_then(|rest| rest.strip_suffix("'/0'"))
            .ok_or(PathError::Form)?;
        let path = Self::account(account.parse().map_err(|_| PathError::Form)?)?;
        // The number's own reading accepts a sign and leading zeros, which would be a second text of the same path.
        if path.to_string() == text { Ok(path) } else { Err(PathError::Form) }
    }
}

/// A node of SLIP-0010's tree.
struct Node {
    key: Zeroizing<[u8; 32]>,
    chain: Zeroizing<[u8; 32]>,
}

/// Walks from the seed to a node. On this curve every step is hardened (KST-7).
fn derive(seed: &[u8], indices: &[u32]) -> Node {
    const HARDENED: u32 = 1 << 31;
    indices.iter().fold(node(b"ed25519 seed", &[seed]), |parent, index| {
        node(parent.chain.as_slice(), &[&[0], parent.key.as_slice(), &(index | HARDENED).to_be_bytes()])
    })
}

/// One HMAC-SHA512, of which the left half is the key and the right half the chain code.
fn node(hmac_key: &[u8], parts: &[&[u8]]) -> Node {
    let mut mac = Hmac::<Sha512>::new_from_slice(hmac_key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    let both = Zeroizing::new(<[u8; 64]>::from(mac.finalize().into_bytes()));
    let (mut key, mut chain) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
    key.copy_from_slice(&both[..32]);
    chain.copy_from_slice(&both[32..]);
    Node { key, chain }
}

#[cfg(test)]
mod tests {
    use cpc_primitives::Address;
    use cpc_primitives::hash::{hex, unhex};

    use super::*;

    /// One line of the published vectors: indices, chain code, private key, public key.
    type Line = (&'static [u32], &'static str, &'static str, &'static str);

    #[track_caller]
    fn check(seed: &str, lines: &[Line]) {
        let mut bytes = vec![0; seed.len() / 2];
        unhex(seed, &mut bytes).expect("hex");
        for (indices, chain, private, public) in lines {
            let node = derive(&bytes, indices);
            assert_eq!(hex(node.chain.as_slice()), *chain, "chain code of {indices:?}");
            assert_eq!(hex(node.key.as_slice()), *private, "private key of {indices:?}");
            assert_eq!(SecretKey::from_seed(&node.key).public().to_string(), *public, "public key of {indices:?}");
        }
    }

    #[test]
    fn slip_0010_test_vector_1_for_ed25519() {
        check(
            "000102030405060708090a0b0c0d0e0f",
            &[
                (
                    &[],
                    "90046a93de5380a72b5e45010748567d5ea02bbf6522f979e05c0d8d8ca9fffb",
                    "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7",
                    "a4b2856bfec510abab89753fac1ac0e1112364e7d250545963f135f2a33188ed",
                ),
                (
                    &[0],
                    "8b59aa11380b624e81507a27fedda59fea6d0b779a778918a2fd3590e16e9c69",
                    "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3",
                    "8c8a13df77a28f3445213a0f432fde644acaa215fc72dcdf300d5efaa85d350c",
                ),
                (
                    &[0, 1],
                    "a320425f77d1b5c2505a6b1b27382b37368ee640e3557c315416801243552f14",
                    "b1d0bad404bf35da785a64ca1ac54b2617211d2777696fbffaf208f746ae84f2",
                    "1932a5270f335bed617d5b935c80aedb1a35bd9fc1e31acafd5372c30f5c1187",
                ),
                (
                    &[0, 1, 2],
                    "2e69929e00b5ab250f49c3fb1c12f252de4fed2c1db88387094a0f8c4c9ccd6c",
                    "92a5b23c0b8a99e37d07df3fb9966917f5d06e02ddbd909c7e184371463e9fc9",
                    "ae98736566d30ed0e9d2f4486a64bc95740d89c7db33f52121f8ea8f76ff0fc1",
                ),
                (
                    &[0, 1, 2, 2],
                    "8f6d87f93d750e0efccda017d662a1b31a266e4a6f5993b15f5c1f07f74dd5cc",
                    "30d1dc7e5fc04c31219ab25a27ae00b50f6fd66622f6e9c913253d6511d1e662",
                    "8abae2d66361c879b900d204ad2cc4984fa2aa344dd7ddc46007329ac76c429c",
                ),
                (
                    &[0, 1, 2, 2, 1_000_000_000],
                    "68789923a0cac2cd5a29172a475fe9e0fb14cd6adb5ad98a3fa70333e7afa230",
                    "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
                    "3c24da049451555d51a7014a37337aa4e12d41e485abccfa46b47dfb2af54b7a",
                ),
            ],
        );
    }

    #[test]
    fn slip_0010_test_vector_2_for_ed25519() {
        check(
            "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a2\
             9f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542",
            &[
                (
                    &[],
                    "ef70a74db9c3a5af931b5fe73ed8e1a53464133654fd55e7a66f8570b8e33c3b",
                    "171cb88b1b3c1db25add599712e36245d75bc65a1a5c9e18d76f9f2b1eab4012",
                    "8fe9693f8fa62a4305a140b9764c5ee01e455963744fe18204b4fb948249308a",
                ),
                (
                    &[0],
                    "0b78a3226f915c082bf118f83618a618ab6dec793752624cbeb622acb562862d",
                    "1559eb2bbec5790b0c65d8693e4d0875b1747f4970ae8b650486ed7470845635",
                    "86fab68dcb57aa196c77c5f264f215a112c22a912c10d123b0d03c3c28ef1037",
                ),
                (
                    &[0, 2_147_483_647],
                    "138f0b2551bcafeca6ff2aa88ba8ed0ed8de070841f0c4ef0165df8181eaad7f",
                    "ea4f5bfe8694d8bb74b7b59404632fd5968b774ed545e810de9c32a4fb4192f4",
                    "5ba3b9ac6e90e83effcd25ac4e58a1365a9e35a3d3ae5eb07b9e4d90bcf7506d",
                ),
                (
                    &[0, 2_147_483_647, 1],
                    "73bd9fff1cfbde33a1b846c27085f711c0fe2d66fd32e139d3ebc28e5a4a6b90",
                    "3757c7577170179c7868353ada796c839135b3d30554bbb74a4b1e4a5a58505c",
                    "2e66aa57069c86cc18249aecf5cb5a9cebbfd6fadeab056254763874a9352b45",
                ),
                (
                    &[0, 2_147_483_647, 1, 2_147_483_646],
                    "0902fe8a29f9140480a00ef244bd183e8a13288e4412d8389d140aac1794825a",
                    "5837736c89570de861ebc173b1086da4f505d4adb387c6a1b1342d5e4ac9ec72",
                    "e33c0f7d81d843c572275f287498e8d408654fdf0d1e065b84e2e6f157aab09b",
                ),
                (
                    &[0, 2_147_483_647, 1, 2_147_483_646, 2],
                    "5d70af781f3a37b829f0d060924d5e960bdc02e85423494afc0b1a41bbe196d4",
                    "551d333177df541ad876a60ea71f00447931c0a9da16f227c11ea080d7391b8d",
                    "47150c75db263559a70d5778bf36abbab30fb061ad69f69ece61a72b0cfa4fc0",
                ),
            ],
        );
    }

    const ABANDON: &str =
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

    #[test]
    fn the_well_known_mnemonic_has_the_seed_that_bip_39_gives_it() {
        let seed = Phrase::parse(ABANDON).expect("valid").0.to_seed_normalized("");
        assert_eq!(
            hex(&seed),
            "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1\
             9a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4"
        );
    }

    #[test]
    fn a_mnemonic_keeps_its_addresses() {
        // A change of these strands the money of everybody who wrote words down.
        let keys = [0, 1, ACCOUNTS_MAX - 1].map(|account| {
            let path = KeyPath::account(account).expect("below 2^31");
            let key = Phrase::parse(ABANDON).expect("valid").key(path).public();
            [key.to_string(), Address::of(&key).to_string()]
        });
        assert_eq!(
            keys,
            [
                [
                    "9a09727ce5b184c403b3a17496358af02efc916e4a9e4a49453e84b4a7ce46d3",
                    "cpc132cv3clcfyrplz2r99znnmq4lz3etghu8uqshe"
                ],
                [
                    "c0b611ad7d5978d3445b7596f14ca13fd2dd32d2f919cbd26162ad4b9355d95c",
                    "cpc1wzu26elmjqrgq0084g5utp2nstjegry5w9decq"
                ],
                [
                    "cc591fb2d34d7dcf3fb221e6d80b747e6766f2058a464b1fffdab4d3df78e4eb",
                    "cpc1qpazvpkhstpdfjueswqte49xtuxg9nzapg29vn"
                ],
            ]
        );
    }

    #[test]
    fn typing_errors_are_named_without_the_words() {
        let zoo = ["zoo"; 12].join(" ");
        for (text, expected) in [
            ("", "a mnemonic has 12, 15, 18, 21 or 24 words, this one has 0"),
            (&ABANDON[8..], "a mnemonic has 12, 15, 18, 21 or 24 words, this one has 11"),
            (&ABANDON.replacen("abandon", "abandun", 1), "word 1 of the mnemonic is not in the English list of BIP-39"),
            (&ABANDON.replace("about", "ab\u{f6}ut"), "word 12 of the mnemonic is not in the English list of BIP-39"),
            (&zoo, "the mnemonic's checksum does not hold: a word is wrong, or two have changed places"),
        ] {
            assert_eq!(Phrase::parse(text).expect_err(text).to_string(), expected);
        }
    }

    #[test]
    fn blanks_and_capital_letters_do_not_matter() {
        let typed = format!("  {}\n", ABANDON.replace(' ', "  \t").to_uppercase());
        assert_eq!(*Phrase::parse(&typed).expect("valid").line(), format!("{ABANDON}\n"));
    }

    #[test]
    fn a_new_mnemonic_has_24_words_and_is_read_back() {
        let phrase = Phrase::generate().expect("randomness");
        assert_eq!(phrase.words().count(), 24);
        let again = Phrase::parse(&phrase.line()).expect("valid");
        assert_eq!(again.0, phrase.0);
        assert_ne!(Phrase::generate().expect("randomness").0, phrase.0);
        assert_eq!(format!("{phrase:?}"), "Phrase(not shown)");
    }

    #[test]
    fn a_path_has_one_text() {
        let path = KeyPath::account(7).expect("small");
        assert_eq!(path.to_string(), "m/44'/6516835'/7'/0'");
        assert_eq!("m/44'/6516835'/7'/0'".parse(), Ok(path));
        for text in ["", "m", "m/44'/0'/7'/0'", "m/44'/6516835'/+7'/0'", "m/44'/6516835'/07'/0'", "m/44'/6516835'/7/0'"]
        {
            assert_eq!(text.parse::<KeyPath>(), Err(PathError::Form), "{text}");
        }
        assert_eq!(KeyPath::account(1 << 31), Err(PathError::Account { found: 1 << 31 }));
    }
}
