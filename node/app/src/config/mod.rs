//! What an operator may choose about a node: one table of keys, which reads them, shows them and documents them.
//!
//! A flag wins over the environment, the environment over the file, the file over what holds otherwise. Secrets are never
//! among them: keys are files of their own.

mod keys;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cpc_mempool::Limits;

use crate::api::ApiSettings;

pub use keys::{KEYS, Key};

/// Bytes of a configuration file.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// The file that is read where nobody names another, in the data directory.
pub const FILE: &str = "node.toml";

/// Everything that may be chosen about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// The HTTP API.
    pub api: ApiConfig,
    /// The making of blocks.
    pub chain: ChainConfig,
    /// What waits for a block.
    pub mempool: MempoolConfig,
    /// The plane of transactions, blocks and followers.
    pub p2p: P2pConfig,
    /// The plane of the validators.
    pub consensus: ConsensusConfig,
    /// What the node writes to stderr.
    pub logs: LogsConfig,
    /// What the node measures.
    pub metrics: MetricsConfig,
    /// Which keys were chosen, and where; the others hold their defaults.
    origins: BTreeMap<&'static str, Origin>,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it allows.
    pub limits: ApiSettings,
}

/// The making of blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainConfig {
    /// The time between blocks, where it is not to be the chain spec's. Only a devnet takes it.
    pub interval: Option<Duration>,
}

/// What waits for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MempoolConfig {
    /// The most transactions.
    pub transactions: u32,
    /// The most memory that they take.
    pub megabytes: u32,
}

impl MempoolConfig {
    /// The limits of the pool.
    pub fn limits(&self) -> Limits {
        let whole = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let bytes_max = whole(self.megabytes).saturating_mul(1 << 20);
        Limits { count_max: whole(self.transactions), bytes_max, ..Limits::default() }
    }
}

/// The plane of transactions, blocks and followers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct P2pConfig {
    /// Where it listens, as libp2p writes addresses.
    pub listen: Vec<String>,
    /// Where others reach it, where that is elsewhere.
    pub announce: Vec<String>,
    /// Whom it calls first.
    pub boot: Vec<String>,
}

/// The plane of the validators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsensusConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How long a leader may take to propose, where that is not to follow from the time between blocks.
    pub leader_timeout: Option<Duration>,
    /// How long a proposal may take to be certified, where that is not to follow from it.
    pub certification_timeout: Option<Duration>,
}

/// What the node writes to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogsConfig {
    /// From which level on.
    pub level: LogLevel,
    /// For people, or for programs.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What went wrong.
    Error,
    /// Also what may go wrong.
    Warn,
    /// Also what happens.
    Info,
    /// Also how.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word for it.
    pub fn word(self) -> String {
        value::Value::write(&self)
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object in each line.
    Json,
}

/// What the node measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Whether the texts of the libraries' registries stand behind the node's own.
    pub libraries: bool,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            api: ApiConfig { listen: SocketAddr::from(([127, 0, 0, 1], 8000)), limits: ApiSettings::default() },
            chain: ChainConfig::default(),
            mempool: MempoolConfig { transactions: 200_000, megabytes: 512 },
            p2p: P2pConfig {
                listen: ["/ip4/0.0.0.0/udp/8100/quic-v1", "/ip4/0.0.0.0/tcp/8100"].map(str::to_owned).to_vec(),
                announce: Vec::new(),
                boot: Vec::new(),
            },
            consensus: ConsensusConfig {
                listen: SocketAddr::from(([0, 0, 0, 0], 8200)),
                leader_timeout: None,
                certification_timeout: None,
            },
            logs: LogsConfig { level: LogLevel::Info, format: LogFormat::Text },
            metrics: MetricsConfig { libraries: true },
            origins: BTreeMap::new(),
        }
    }
}

/// Where a value comes from; a later one wins over an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody chose it.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// An option of the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// Why a choice is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no such key.
    #[error("{origin}: there is no key {found:?}{}", nearest(.found))]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// What stands there.
        found: String,
    },
    /// The value does not fit its key.
    #[error("{origin}: {key} is {found:?}: {reason}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What it should be.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{origin}: {reason}")]
    Toml {
        /// Which file.
        origin: Origin,
        /// What the parser says, with the line.
        reason: String,
    },
}

/// The key that somebody may have meant.
fn nearest(found: &str) -> String {
    let distance = |key: &Key| strsim::damerau_levenshtein(found, key.name);
    let best = KEYS.iter().min_by_key(|key| distance(key)).filter(|key| distance(key) <= found.len().max(8) / 2);
    best.map_or_else(String::new, |key| format!("; is it {:?}?", key.name))
}

impl NodeConfig {
    /// What holds after a file's text, variables of the environment and options of the command line.
    ///
    /// Variables that belong to no section are others' and are left alone.
    pub fn read(
        file: Option<(&Path, &str)>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some((path, text)) = file {
            config.read_file(path, text)?;
        }
        // In an order that does not depend on the environment's: the first error is always the same.
        for (name, value) in environment.collect::<BTreeMap<_, _>>() {
            let Some(section) = KEYS.iter().find(|key| name.starts_with(&key.variable_section())) else { continue };
            let origin = Origin::Environment(name.clone());
            let key = KEYS.iter().find(|key| key.variable() == name);
            let key = key
                .ok_or_else(|| ConfigError::UnknownKey { origin: origin.clone(), found: section.of_variable(&name) })?;
            config.set(key, &value, origin)?;
        }
        for (name, value) in flags {
            let key = KEYS.iter().find(|key| key.name == *name);
            let unknown = || ConfigError::UnknownKey { origin: Origin::Flag, found: (*name).to_owned() };
            config.set(key.ok_or_else(unknown)?, value, Origin::Flag)?;
        }
        Ok(config)
    }

    fn read_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let origin = Origin::File(path.to_owned());
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Toml {
            origin: origin.clone(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        let mut open: Vec<(String, &toml::Value)> = table.iter().map(|(name, value)| (name.clone(), value)).collect();
        open.reverse();
        while let Some((name, value)) = open.pop() {
            if let Some(key) = KEYS.iter().find(|key| key.name == name) {
                let text = value::of_toml(value).map_err(|reason| ConfigError::Value {
                    origin: origin.clone(),
                    key: key.name,
                    found: value.to_string(),
                    reason,
                })?;
                self.set(key, &text, origin.clone())?;
                continue;
            }
            let section = format!("{name}.");
            match value.as_table().filter(|_| KEYS.iter().any(|key| key.name.starts_with(&section))) {
                Some(table) => open.extend(table.iter().rev().map(|(row, value)| (format!("{section}{row}"), value))),
                None => return Err(ConfigError::UnknownKey { origin, found: name }),
            }
        }
        Ok(())
    }

    /// Whether somebody chose the value of a key.
    pub fn is_chosen(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    fn set(&mut self, key: &'static Key, text: &str, origin: Origin) -> Result<(), ConfigError> {
        (key.set)(self, text).map_err(|reason| ConfigError::Value {
            origin: origin.clone(),
            key: key.name,
            found: text.to_owned(),
            reason,
        })?;
        self.origins.insert(key.name, origin);
        Ok(())
    }

    /// Every key with its value, as it would be written, and where it comes from.
    pub fn shown(&self) -> impl Iterator<Item = (&'static Key, String, Origin)> + '_ {
        KEYS.iter().map(|key| {
            let origin = self.origins.get(key.name).cloned().unwrap_or(Origin::Default);
            (key, (key.get)(self), origin)
        })
    }
}

/// The table of all keys, as the guide shows it.
pub fn markdown() -> String {
    let defaults = NodeConfig::default();
    let mut text = String::from("| key | variable | kind | default | what it is |\n|---|---|---|---|---|\n");
    for key in KEYS {
        let value = (key.get)(&defaults);
        let value = if value.is_empty() { "none".to_owned() } else { format!("`{value}`") };
        text += &format!("| `{}` | `{}` | {} | {value} | {} |\n", key.name, key.variable(), key.kind, key.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<NodeConfig, String> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let flags: Vec<_> = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let file = (!file.is_empty()).then_some((Path::new("node.toml"), file));
        NodeConfig::read(file, environment, &flags).map_err(|error| error.to_string())
    }

    /// What a key is, and where that comes from.
    fn shown(config: &NodeConfig, name: &str) -> (String, String) {
        let found = config.shown().find(|(key, ..)| key.name == name).expect("a key");
        (found.1, found.2.to_string())
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
        let file = "[api]\nlisten = \"127.0.0.1:1\"\n[logs]\nlevel = \"debug\"\nformat = \"json\"\n[api.limits]\ndisk_reads = 3\n";
        let environment = [
            ("CPC_API_LISTEN", "127.0.0.1:2"),
            ("CPC_LOGS_LEVEL", "error"),
            ("CPC_NODE", "x"),
            ("CPC_TARGET_DIR", "y"),
        ];
        let config = read(file, &environment, &[("api.listen", "127.0.0.1:3")]).expect("good");
        let told = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
        assert_eq!(shown(&config, "api.listen"), told("127.0.0.1:3", "command line"));
        assert_eq!(shown(&config, "logs.level"), told("error", "environment CPC_LOGS_LEVEL"));
        assert_eq!(shown(&config, "logs.format"), told("json", "file node.toml"));
        assert_eq!(shown(&config, "api.limits.disk_reads"), told("3", "file node.toml"));
        assert_eq!(shown(&config, "api.limits.connections"), told("512", "default"));
        assert_eq!(config.api.listen.port(), 3);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_where_it_stands() {
        type Pairs = &'static [(&'static str, &'static str)];
        let cases: [(&str, Pairs, Pairs, &str); 10] = [
            (
                "[api]\nlisten_on = \"x\"",
                &[],
                &[],
                "file node.toml: there is no key \"api.listen_on\"; is it \"api.listen\"?",
            ),
            ("[apy]\nlisten = \"x\"", &[], &[], "file node.toml: there is no key \"apy\""),
            ("logs = 3", &[], &[], "file node.toml: there is no key \"logs\""),
            ("[logs]\nlevel = \"loud\"", &[], &[], "logs.level is \"loud\": one of error, warn, info, debug, trace"),
            ("[api.limits]\ndisk_reads = \"many\"", &[], &[], "api.limits.disk_reads is \"many\": a whole number"),
            ("[api.limits]\ndisk_reads = 0", &[], &[], "api.limits.disk_reads is \"0\": at least 1"),
            ("[api]\nlisten = 1.5", &[], &[], "api.listen is \"1.5\": "),
            ("[api", &[], &[], "file node.toml: TOML parse error at line 1"),
            (
                "",
                &[("CPC_API_LISTN", "x")],
                &[],
                "environment CPC_API_LISTN: there is no key \"api.listn\"; is it \"api.listen\"?",
            ),
            ("", &[], &[("chain.interval", "5 days")], "command line: chain.interval is \"5 days\": "),
        ];
        for (file, environment, flags, words) in cases {
            let error = read(file, environment, flags).expect_err(words);
            assert!(error.contains(words), "{error:?} says not {words:?}");
        }
    }

    #[test]
    fn what_is_shown_reads_as_the_same() {
        let config =
            read("", &[], &[("p2p.boot", "/dns4/a/tcp/1,/dns4/b/tcp/2"), ("chain.interval", "20ms")]).expect("good");
        let flags: Vec<_> = config.shown().map(|(key, text, _)| (key.name, text)).collect();
        let again = NodeConfig::read(None, std::iter::empty(), &flags).expect("good");
        assert_eq!(NodeConfig { origins: BTreeMap::new(), ..again }, NodeConfig { origins: BTreeMap::new(), ..config });
    }

    #[test]
    fn the_guide_lists_every_key() {
        let guide = include_str!("../../../../docs/guide/configuration.md");
        let table = markdown();
        assert!(guide.contains(&table), "docs/guide/configuration.md lacks this table:\n{table}");
    }
}
