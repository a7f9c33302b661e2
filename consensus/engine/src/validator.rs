//! One validator: the BFT library's parts, wired in the order in which they can start.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use commonware_broadcast::buffered;
use commonware_codec::Decode as _;
use commonware_consensus::marshal::resolver::p2p as backfill;
use commonware_consensus::marshal::standard::{Deferred, Standard};
use commonware_consensus::marshal::{Config as MarshalConfig, Start, core};
use commonware_consensus::simplex::types::Finalization;
use commonware_consensus::types::{FixedEpocher, ViewDelta};
use commonware_cryptography::Digested;
use commonware_p2p::{Blocker, Provider, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Metrics, Spawner, Storage};
use commonware_utils::NonZeroDuration;
use cpc_primitives::kv::Kv;
use cpc_primitives::limits::SEATS_MAX;
use cpc_primitives::{Epoch, Fault, Height};
use rand_core::CryptoRng;
use tokio::sync::mpsc;

use crate::application::{Author, Deliveries, Progress};
use crate::block::AgreedBlock;
use crate::chain::{Chain, Seat};
use crate::driver::{Driver, Ended, Planes};
use crate::seats::{Key, Schemes, Signer, VoteScheme, key_of};
use crate::shelf::{BlockShelf, CertificateShelf, Shelf};
use crate::signing::is_there;

/// How fast blocks are made, and how long a seat waits for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// The time between two blocks; 0 makes them as fast as they can be agreed on.
    pub interval: Duration,
    /// How long a proposal is waited for.
    pub leader_timeout: Duration,
    /// How long an attempt may take in all.
    pub certification_timeout: Duration,
    /// How often a seat that is stuck says so again.
    pub retry: Duration,
    /// After how long a seat that says nothing loses its turns.
    pub skip_after: Duration,
    /// How many agreed blocks may wait for their commit before this node proposes nothing.
    pub lag_max: u64,
}

impl Pace {
    /// The pace of a network with so much time between two blocks (ENG-7).
    ///
    /// The waits are constants of the network: pace, execution and two hops stay below the first.
    pub fn of(interval: Duration) -> Self {
        let leader_timeout = interval + Duration::from_millis(1_500);
        let certification_timeout = leader_timeout + Duration::from_millis(1_500);
        Self {
            interval,
            leader_timeout,
            certification_timeout,
            retry: Duration::from_secs(2),
            skip_after: certification_timeout + Duration::from_secs(2),
            lag_max: 8,
        }
    }
}

/// What a validator is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// What every vote is signed under.
    pub namespace: Vec<u8>,
    /// The key that votes.
    pub signer: Signer,
    /// The first epoch in which it may where nothing here says that it ever did: 0 for a key that never voted anywhere, a
    /// later one than the present for a key that came from elsewhere, nothing where its owner has not said.
    pub votes_from: Option<Epoch>,
    /// Blocks of an epoch.
    pub epoch_blocks: NonZeroU64,
    /// The most bytes of a block.
    pub block_bytes_max: u32,
    /// How fast blocks are made.
    pub pace: Pace,
    /// Messages of one channel that a peer may send in a second.
    pub messages_per_second: NonZeroU32,
    /// What the names of this validator's partitions begin with, where several share a disk.
    pub partition_prefix: String,
}

/// Who may connect, kept up to date at every epoch.
pub trait Peers: Provider<PublicKey = Key> {
    /// From an epoch on: its seats, and those that had or will have one beside it.
    fn follow(&mut self, epoch: Epoch, seats: &[Seat], beside: &[Seat]);
}

/// The connections between the seats: one pair of ends for each channel.
pub struct Network<B, P, S, R> {
    /// Cuts off who lies.
    pub blocker: B,
    /// Who may connect.
    pub peers: P,
    /// [`crate::Channel::Votes`].
    pub votes: (S, R),
    /// [`crate::Channel::Certificates`].
    pub certificates: (S, R),
    /// [`crate::Channel::Missed`].
    pub missed: (S, R),
    /// [`crate::Channel::Blocks`].
    pub blocks: (S, R),
    /// [`crate::Channel::Backfill`].
    pub backfill: (S, R),
}

/// Messages that wait within a part of the library.
pub(crate) const MAILBOX: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");
/// Blocks that are delivered before the first of them is committed.
const DELIVERED_MAX: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");
/// Blocks that are fetched at once by whoever fell behind.
const REPAIR_MAX: NonZeroUsize = NonZeroUsize::new(32).expect("not zero");
/// Proposed blocks of one seat that are kept.
const PROPOSALS_MAX: usize = 16;
/// How long a peer is waited for that was asked for something.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// How soon another is asked.
pub(crate) const FETCH_RETRY: Duration = Duration::from_millis(100);
/// Views that stay at hand behind the last final one.
pub(crate) const VIEWS_KEPT: ViewDelta = ViewDelta::new(32);
/// Bytes that a journal reads and writes at once.
pub(crate) const BUFFER: NonZeroUsize = NonZeroUsize::new(64 * 1024).expect("not zero");
const PAGE: NonZeroU16 = NonZeroU16::new(4_096).expect("not zero");
const PAGES: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");
const ITEMS_PER_SECTION: NonZeroU64 = NonZeroU64::new(64).expect("not zero");
/// The partitions of marshal.
const PARTITION: &str = "marshal";
/// What the library adds to that for the partition of what was acknowledged.
const ACKNOWLEDGED: &str = "-application-metadata";

/// Runs a validator until it is stopped or must not go on.
///
/// Everything that it starts hangs on `context`: whoever aborts that task ends all of it, as a crash would.
pub async fn run<E, B, P, S, R>(
    context: E,
    config: Config,
    chain: Arc<dyn Chain>,
    kv: Arc<dyn Kv>,
    network: Network<B, P, S, R>,
) -> Ended
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    B: Blocker<PublicKey = Key>,
    P: Peers,
    S: Sender<PublicKey = Key>,
    R: Receiver<PublicKey = Key>,
{
    match start(context, config, chain, kv, network).await {
        Ok(driver) => driver.run().await,
        Err(fault) => Ended::Fault(fault),
    }
}

async fn start<E, B, P, S, R>(
    context: E,
    config: Config,
    chain: Arc<dyn Chain>,
    kv: Arc<dyn Kv>,
    network: Network<B, P, S, R>,
) -> Result<Driver<E, B, P, S>, Fault>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    B: Blocker<PublicKey = Key>,
    P: Peers,
    S: Sender<PublicKey = Key>,
    R: Receiver<PublicKey = Key>,
{
    let me = key_of(&config.signer.public())
        .ok_or_else(|| Fault::Invariant { detail: "this node's own key is no key".to_owned() })?;
    let epocher = FixedEpocher::new(config.epoch_blocks);
    let page_cache = CacheRef::new(PAGE, PAGES);
    let tip = chain.tip();

    // Every epoch that the state knows, before anything asks for one: a scheme that is missing is a silent stall.
    let schemes = Schemes::new(config.namespace.clone());
    let present = Epoch(tip.height.0 / config.epoch_blocks.get());
    for epoch in (present.0.saturating_sub(8)..=present.0.saturating_add(2)).map(Epoch) {
        if let Some(seats) = chain.seats(epoch)? {
            schemes.learn(epoch, &seats);
        }
    }

    let partition = format!("{}{PARTITION}", config.partition_prefix);
    let shelf = Shelf::open(Arc::clone(&chain), Arc::clone(&kv), SEATS_MAX)?;
    let (marshal, mailbox, floor) = core::Actor::init(
        context.child("marshal"),
        CertificateShelf(Arc::clone(&shelf)),
        BlockShelf(Arc::clone(&shelf)),
        MarshalConfig {
            provider: schemes.clone(),
            epocher: epocher.clone(),
            start: beginning(&context, &*chain, &partition).await?,
            partition_prefix: partition.clone(),
            mailbox_size: MAILBOX,
            view_retention: VIEWS_KEPT,
            prunable_items_per_section: ITEMS_PER_SECTION,
            page_cache: page_cache.clone(),
            replay_buffer: BUFFER,
            key_write_buffer: BUFFER,
            value_write_buffer: BUFFER,
            block_codec_config: config.block_bytes_max,
            max_repair: REPAIR_MAX,
            max_pending_acks: DELIVERED_MAX,
            strategy: Sequential,
        },
    )
    .await;

    let (ended, ends) = mpsc::unbounded_channel();
    let (blocks, delivered) = mpsc::unbounded_channel();
    let progress = Arc::new(Progress::new(tip.height));
    let author = Author {
        chain: Arc::clone(&chain),
        proposer: config.signer.public(),
        pace: config.pace,
        progress: Arc::clone(&progress),
        ended: ended.clone(),
    };
    let deferred = Deferred::new(context.child("author"), author, mailbox.clone(), epocher);

    let resolver = backfill::init(
        context.child("backfill"),
        backfill::Config {
            public_key: me.clone(),
            peer_provider: network.peers.clone(),
            blocker: network.blocker.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: NonZeroDuration::new(FETCH_TIMEOUT).expect("not zero"),
            fetch_retry_delay: FETCH_RETRY,
            priority_requests: false,
            priority_responses: false,
        },
        network.backfill,
    );
    let (broadcast, buffer) = buffered::Engine::new(
        context.child("broadcast"),
        buffered::Config {
            public_key: me,
            mailbox_size: MAILBOX,
            deque_size: PROPOSALS_MAX,
            priority: true,
            codec_config: config.block_bytes_max,
            peer_provider: network.peers.clone(),
            strategy: Sequential,
        },
    );
    broadcast.start(network.blocks);
    let deliveries = Deliveries { blocks, progress: Arc::clone(&progress) };
    let marshal_task = marshal.start(deliveries, buffer, resolver);

    let planes = Planes::new(&context, network.votes, network.certificates, network.missed);
    let driver = Driver {
        context,
        config,
        chain,
        kv,
        shelf,
        schemes,
        marshal: mailbox,
        marshal_task,
        deferred,
        blocker: network.blocker,
        peers: network.peers,
        planes,
        progress,
        page_cache,
        delivered,
        ended,
        ends,
    };
    driver.catch_up(floor.processed().map(core::Processed::height).map(|height| Height(height.get()))).await?;
    Ok(driver)
}

/// Where marshal begins: at block 0, or at the newest certificate of a chain of which it knows nothing (ENG-10).
async fn beginning<E: Storage>(
    context: &E,
    chain: &dyn Chain,
    partition: &str,
) -> Result<Start<VoteScheme, crate::block::Digest, Digested<AgreedBlock>>, Fault> {
    // Stored progress wins over whatever is said here. Without it block 0 would be the next one for marshal, and neither
    // is it delivered again nor need it be here: the chain came from a snapshot, or the folder of the votes was lost.
    if chain.tip().height > Height(0)
        && !is_there(context, &format!("{partition}{ACKNOWLEDGED}")).await?
        && let Some(certificate) = newest_certificate(chain)?
    {
        return Ok(Start::Floor(certificate));
    }
    let absent = || Fault::Damaged { detail: "block 0 is not kept".to_owned() };
    let bytes = chain.block(Height(0))?.ok_or_else(absent)?;
    let block = AgreedBlock::decode(bytes.into());
    let block = block.map_err(|error| Fault::Damaged { detail: format!("block 0 on the disk: {error}") })?;
    Ok(Start::Genesis(block.digested()))
}

/// The newest certificate that the chain keeps.
pub(crate) fn newest_certificate(
    chain: &dyn Chain,
) -> Result<Option<Finalization<VoteScheme, crate::block::Digest>>, Fault> {
    let Some(height) = chain.last_certified()? else { return Ok(None) };
    let Some(bytes) = chain.certificate(height)? else { return Ok(None) };
    let read = Finalization::decode_cfg(bytes, &SEATS_MAX);
    read.map(Some).map_err(|error| Fault::Damaged { detail: format!("the certificate of block {height}: {error}") })
}

/// The marshal that holds this chain's blocks.
pub(crate) type Marshal = core::Mailbox<VoteScheme, Standard<AgreedBlock>>;
