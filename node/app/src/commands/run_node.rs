//! `cpc node run`: one node of a network on this machine: a validator with its key, or a follower without one.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use cpc_genesis::{Genesis, known_beacon_chain, known_key};
use cpc_primitives::hash_chain::HashChain;
use cpc_primitives::tx::NetAddress;
use cpc_primitives::{Digest, Epoch, PublicKey, SecretKey};

use super::chain_dir::ChainDir;
use super::running::{self, Until};
use super::secrets::{Console, PasswordArgs, Terminal};
use super::{Context, Exit, Failure};
use crate::chain::Chain;
use crate::config::NodeConfig;
use crate::keystore::{self, KeyName, Keystore};
use crate::network::NetworkConfig;
use crate::node::{Seat, Setup, VotesFrom};

/// The folder of a node's chain under the data directory, where nobody names another.
pub(super) const NODE: &str = "node";
/// An address of this machine with a port that is free.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// The same on the network plane.
const ANY_NETWORK_PORT: &str = "/ip4/127.0.0.1/tcp/0";

/// Runs one node of a network
///
/// Without a key it follows: it fetches the blocks and their certificates from other nodes, checks everything, and
/// serves the chain API. Its only needs are the chain spec and one address: `--network FILE --boot ADDRESS`. With a
/// seat it agrees on blocks with the other seats over authenticated connections. Ctrl-C stops it; the next start goes
/// on from there.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Where the chain is kept; `node` under the data directory without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Votes with the known keys of this validator of the network, its place in the chain spec from 0: for rehearsals
    /// alone, because everybody knows them
    #[arg(long, value_name = "N")]
    known_seat: Option<u32>,
    /// Votes with this key of the keystore, which a validator of the network has as its consensus key
    #[arg(long, value_name = "NAME", conflicts_with = "known_seat", requires = "beacon_seed")]
    key: Option<KeyName>,
    /// The file with the seed of the hash chain that the validator has registered to feed the beacon: 64 hex digits
    #[arg(long, value_name = "FILE", requires = "key")]
    beacon_seed: Option<PathBuf>,
    /// The file with the seed of the key that the validator has registered for the network plane: 64 hex digits; without
    /// it others cannot call this node by that name
    #[arg(long, value_name = "FILE", requires = "key")]
    network_seed: Option<PathBuf>,
    /// The first epoch in which the key may vote: 0 where it has never voted anywhere. Without it a key that is new in
    /// this folder waits for the epoch after the one that the network is in
    #[arg(long, value_name = "EPOCH", requires = "key")]
    votes_from: Option<u64>,
    #[command(flatten)]
    password: PasswordArgs,
    /// Where the chain API listens; 127.0.0.1:8000 where nobody says otherwise
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the other seats connect; the address that the seat has registered without it
    #[arg(long, value_name = "ADDRESS")]
    consensus_listen: Option<SocketAddr>,
    /// Where other nodes connect, as libp2p writes addresses: /ip4/0.0.0.0/udp/8100/quic-v1; may be given again
    #[arg(long, value_name = "ADDRESS")]
    p2p_listen: Vec<String>,
    /// A node to call first: /ip4/192.0.2.7/udp/8100/quic-v1/p2p/12D3K...; may be given again
    #[arg(long, value_name = "ADDRESS")]
    boot: Vec<String>,
    /// Milliseconds between two blocks, on devnets; the network's own pace without it, 0 as fast as can be agreed on
    #[arg(long, value_name = "MS")]
    interval_ms: Option<u64>,
    /// Stops also when its standard input ends: with whoever started it
    #[arg(long)]
    until_eof: bool,
}

/// Runs it until it is told to stop.
pub(super) fn run(args: &RunArgs, context: &Context) -> Result<(), Failure> {
    let config = context.node_config(&flags(args))?;
    let (_, text, genesis) = super::genesis::load_of(context)?;
    let identity = match (args.known_seat, &args.key, &args.beacon_seed) {
        (Some(place), ..) => Identity::known(&genesis, place)?,
        (None, Some(name), Some(beacon_seed)) => Identity::of_key(args, name, beacon_seed, &genesis, context)?,
        _ => Identity::Follower,
    };
    let listener = running::listen(config.api.listen)?;
    let dir = args.dir.clone().unwrap_or_else(|| context.data_dir.join(NODE));
    let folder = ChainDir::lock(Some(&dir), context)?;
    let until = if args.until_eof { Until::InputEnds } else { Until::Told };
    start(
        Node { folder: &folder, genesis, text, identity, ports: Ports::Registered, until },
        &config,
        listener,
        context,
    )
}

/// What the options of the command line say, as the configuration names it.
fn flags(args: &RunArgs) -> Vec<(&'static str, String)> {
    let mut flags = Vec::new();
    flags.extend(args.listen.map(|address| ("api.listen", address.to_string())));
    flags.extend(args.consensus_listen.map(|address| ("consensus.listen", address.to_string())));
    flags.extend(args.interval_ms.map(|ms| ("chain.interval", format!("{ms}ms"))));
    for (key, addresses) in [("p2p.listen", &args.p2p_listen), ("p2p.boot", &args.boot)] {
        if !addresses.is_empty() {
            flags.push((key, addresses.join(",")));
        }
    }
    flags
}

/// Who a node is.
pub(super) enum Identity {
    /// It has no seat.
    Follower,
    /// It has the keys that everybody knows for a label.
    Known {
        /// The label: the network's name and the place in its chain spec.
        label: String,
    },
    /// It has a key of its own.
    Own(Box<OwnKey>),
}

/// The secrets of a validator, and what its owner says of them.
pub(super) struct OwnKey {
    key: SecretKey,
    beacon_seed: Digest,
    network_secret: Option<[u8; 32]>,
    votes_from: Option<Epoch>,
    /// Nobody else on this machine votes with the key as long as this is held (KST-13).
    _held: File,
}

impl Identity {
    /// The known keys of a place, which a validator of the network has to have.
    pub(super) fn known(genesis: &Genesis, place: u32) -> Result<Self, Failure> {
        let label = format!("{}/{place}", genesis.spec.name);
        let key = known_key(&format!("{label}/consensus")).public();
        if is_validator(genesis, &key) {
            return Ok(Self::Known { label });
        }
        let words = format!("no validator of {} has the known key {label}/consensus", genesis.spec.name);
        Err(Failure::new(Exit::Refused, words))
    }
}

impl Identity {
    /// A key of the keystore, which a validator of the network has to have.
    fn of_key(
        args: &RunArgs,
        name: &KeyName,
        beacon_seed: &Path,
        genesis: &Genesis,
        context: &Context,
    ) -> Result<Self, Failure> {
        let keystore = Keystore::open(&context.data_dir);
        let info = keystore.info(name)?;
        if !is_validator(genesis, &info.public) {
            let words = format!("no validator of {} has the consensus key {} ({name})", genesis.spec.name, info.public);
            return Err(Failure::new(Exit::Refused, words).hint("`cpc keys show` says the public key of a name"));
        }
        let held = keystore.hold(&info.public)?;
        let mut terminal = Terminal::of(context);
        let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
        let mut console = Console { out: &mut out, err: &mut err, terminal: &mut terminal };
        let key = console.unlock(&keystore, &info, &args.password)?;
        let seed = |path: &Path| -> Result<[u8; 32], Failure> {
            keystore::check_private(path)?;
            Ok(*keystore::read_seed(path)?.seed())
        };
        Ok(Self::Own(Box::new(OwnKey {
            key,
            beacon_seed: Digest(seed(beacon_seed)?),
            network_secret: args.network_seed.as_deref().map(seed).transpose()?,
            votes_from: args.votes_from.map(Epoch),
            _held: held,
        })))
    }
}

/// Whether the chain spec names a validator with this consensus key.
fn is_validator(genesis: &Genesis, key: &PublicKey) -> bool {
    genesis.spec.validators.iter().any(|validator| validator.registration.consensus.key == *key)
}

/// What a node is made of.
pub(super) struct Node<'a> {
    /// The folder that this process holds.
    pub(super) folder: &'a ChainDir,
    /// The network.
    pub(super) genesis: Genesis,
    /// Its chain spec as it was read.
    pub(super) text: String,
    /// Who it is.
    pub(super) identity: Identity,
    /// Where it listens where nobody chose that.
    pub(super) ports: Ports,
    /// What ends it.
    pub(super) until: Until,
}

/// Where a validator listens where nobody chose that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ports {
    /// Where it has registered that others call it.
    Registered,
    /// At any port of this machine that is free: it is the only one, and nobody has to find it.
    Any,
}

/// Opens the chain of a folder and runs a node over it.
pub(super) fn start(
    node: Node<'_>,
    config: &NodeConfig,
    listener: std::net::TcpListener,
    context: &Context,
) -> Result<(), Failure> {
    let Node { folder, genesis, text, identity, ports, until } = node;
    if config.chain.interval.is_some() && !genesis.has_known_keys() {
        let words = format!("{} has its own pace: only a devnet takes another", genesis.spec.name);
        return Err(Failure::new(Exit::Usage, words).hint("leave out --interval-ms and chain.interval"));
    }
    let chain = folder.open_loaded(genesis, text)?.with_pool(config.mempool.limits());
    let chain = Arc::new(chain);
    let setup = setup(&chain, &identity, ports, folder, config)?;
    running::run(listener, folder.path(), chain, setup, until, context)
}

/// What the node is told at its start.
fn setup(
    chain: &Chain,
    identity: &Identity,
    ports: Ports,
    folder: &ChainDir,
    config: &NodeConfig,
) -> Result<Setup, Failure> {
    let (seat, secret, registered) = match identity {
        Identity::Follower => (None, folder.network_secret()?, Vec::new()),
        Identity::Known { label } => {
            let key = known_key(&format!("{label}/consensus"));
            let own = Registered::of(chain, &key.public());
            let beacon = known_beacon_chain(label, chain.params().beacon_steps);
            let seat = seat(key, beacon, VotesFrom::Epoch(Epoch(0)), &own, ports, folder, config)?;
            (Some(seat), *known_key(&format!("{label}/network")).seed(), own.network)
        }
        Identity::Own(own_key) => {
            let OwnKey { key, beacon_seed, network_secret, votes_from, .. } = &**own_key;
            let own = Registered::of(chain, &key.public());
            let beacon = HashChain::build(*beacon_seed, chain.params().beacon_steps);
            let votes_from = folder.votes_from(&key.public(), *votes_from)?;
            let seat = seat(key.clone(), beacon, votes_from, &own, ports, folder, config)?;
            let secret = network_secret.map_or_else(|| folder.network_secret(), Ok)?;
            (Some(seat), secret, own.network)
        }
    };
    // Where others were told to call is where it listens, unless somebody says otherwise.
    let listen = match ports {
        _ if config.is_chosen("p2p.listen") => config.p2p.listen.clone(),
        Ports::Any => vec![ANY_NETWORK_PORT.to_owned()],
        Ports::Registered if registered.is_empty() => config.p2p.listen.clone(),
        Ports::Registered => registered,
    };
    let p2p = &config.p2p;
    let network = NetworkConfig { secret, listen, announce: p2p.announce.clone(), boot: p2p.boot.clone() };
    Ok(Setup { seat, network, api: config.api.limits, library_metrics: config.metrics.libraries })
}

/// Where a validator has registered that others call it, on each plane.
#[derive(Default)]
struct Registered {
    consensus: Vec<String>,
    network: Vec<String>,
}

impl Registered {
    fn of(chain: &Chain, key: &PublicKey) -> Self {
        let mut own = chain.genesis().spec.validators.iter().map(|validator| &validator.registration);
        let Some(own) = own.find(|own| own.consensus.key == *key) else { return Self::default() };
        let texts = |list: &[NetAddress]| list.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        Self { consensus: texts(&own.consensus_addresses), network: texts(&own.network_addresses) }
    }
}

fn seat(
    key: SecretKey,
    beacon: HashChain,
    votes_from: VotesFrom,
    own: &Registered,
    ports: Ports,
    folder: &ChainDir,
    config: &NodeConfig,
) -> Result<Seat, Failure> {
    Ok(Seat {
        key,
        beacon,
        votes_from,
        listen: consensus_listen(&own.consensus, ports, config)?,
        dir: folder.votes(),
        interval: config.chain.interval,
        leader_timeout: config.consensus.leader_timeout,
        certification_timeout: config.consensus.certification_timeout,
    })
}

/// Where the other seats connect: what was chosen, else what was registered.
fn consensus_listen(registered: &[String], ports: Ports, config: &NodeConfig) -> Result<SocketAddr, Failure> {
    match ports {
        _ if config.is_chosen("consensus.listen") => return Ok(config.consensus.listen),
        Ports::Any => return Ok(ANY_PORT),
        Ports::Registered => {}
    }
    let found = registered.iter().find_map(|text| text.parse().ok());
    found.ok_or_else(|| {
        Failure::new(Exit::Usage, "the seat has registered no address that can be listened on")
            .hint("say where with --consensus-listen")
    })
}
