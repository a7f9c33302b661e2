//! Carries final blocks to the chain, and the seats from epoch to epoch.

use std::sync::Arc;
use std::time::Duration;

use commonware_codec::Encode as _;
use commonware_consensus::simplex::scheme::reporter::AttributableReporter;
use commonware_consensus::simplex::{
    self, Engine, Floor, ForwardPolicy, SkipPolicy, config::SkipBudget, elector::RoundRobin,
};
use commonware_consensus::types::{Epoch as LibraryEpoch, FixedEpocher, Height as LibraryHeight};
use commonware_consensus::{Heightable as _, Reporters};
use commonware_cryptography::blake3::Blake3;
use commonware_p2p::utils::mux::{Builder as _, MuxHandle, Muxer};
use commonware_p2p::{Blocker, Channel as Subchannel, Message, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Handle, Metrics, Spawner, Storage};
use commonware_utils::acknowledgement::{Acknowledgement as _, Exact};
use commonware_utils::channel::mpsc as library_mpsc;
use commonware_utils::{NonZeroDuration, vec::NonEmptyVec};
use cpc_light::ValidatorSet;
use cpc_primitives::kv::Kv;
use cpc_primitives::{Block, Epoch, Fault, Height};
use rand_core::CryptoRng;
use tokio::sync::mpsc;

use crate::application::{Author, Delivery, Progress, aside};
use crate::block::AgreedBlock;
use crate::chain::{Chain, Seat};
use crate::evidence::Witness;
use crate::seats::{Key, Schemes, VoteScheme, digest_of, key_of};
use crate::shelf::Shelf;
use crate::signing::{Permission, is_there, journal, mark, permission};
use crate::validator::{
    BUFFER, Config, FETCH_RETRY, FETCH_TIMEOUT, MAILBOX, Marshal, Peers, VIEWS_KEPT, newest_certificate,
};

/// How often the end of an epoch is asked for by whoever has its block and not its certificate.
const BOUNDARY_RETRY: Duration = Duration::from_millis(500);
/// How often it is looked whether a new journal is there.
const JOURNAL_LOOK: Duration = Duration::from_millis(5);
/// Epochs whose votes stay on the disk.
const JOURNALS_KEPT: u64 = 3;

/// Why a validator ended.
#[derive(Debug)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// This node cannot tell what is right, or cannot write it down.
    Fault(Fault),
    /// A part of the BFT library ended by itself; what it said stands in the log.
    Part(&'static str),
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The channels that every epoch has for itself.
pub(crate) struct Planes<S: Sender> {
    votes: MuxHandle<S>,
    late_votes: library_mpsc::Receiver<(Subchannel, Message<Key>)>,
    certificates: MuxHandle<S>,
    late_certificates: library_mpsc::Receiver<(Subchannel, Message<Key>)>,
    missed: MuxHandle<S>,
}

impl<S: Sender<PublicKey = Key>> Planes<S> {
    pub(crate) fn new<E, R>(context: &E, votes: (S, R), certificates: (S, R), missed: (S, R)) -> Self
    where
        E: Spawner,
        R: Receiver<PublicKey = Key>,
    {
        let (mux, vote_plane, late_votes) =
            Muxer::builder(context.child("votes"), votes.0, votes.1).with_backup().build();
        mux.start();
        let (mux, certificate_plane, late_certificates) =
            Muxer::builder(context.child("certificates"), certificates.0, certificates.1).with_backup().build();
        mux.start();
        let (mux, missed_plane) = Muxer::new(context.child("missed"), missed.0, missed.1);
        mux.start();
        Self { votes: vote_plane, late_votes, certificates: certificate_plane, late_certificates, missed: missed_plane }
    }
}

/// An epoch that is decided now. It ends with this value.
struct Active {
    epoch: Epoch,
    engine: Handle<()>,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

/// The library's wrapper of our application.
pub(crate) type Wrapped<E> =
    commonware_consensus::marshal::standard::Deferred<E, VoteScheme, Author, AgreedBlock, FixedEpocher>;

/// What a running validator is made of.
pub(crate) struct Driver<E, B, P, S>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    S: Sender<PublicKey = Key>,
{
    pub(crate) context: E,
    pub(crate) config: Config,
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) schemes: Schemes,
    pub(crate) marshal: Marshal,
    pub(crate) marshal_task: Handle<()>,
    pub(crate) deferred: Wrapped<E>,
    pub(crate) blocker: B,
    pub(crate) peers: P,
    pub(crate) planes: Planes<S>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) page_cache: CacheRef,
    pub(crate) delivered: mpsc::UnboundedReceiver<Delivery>,
    pub(crate) ended: mpsc::UnboundedSender<Ended>,
    pub(crate) ends: mpsc::UnboundedReceiver<Ended>,
}

impl<E, B, P, S> Driver<E, B, P, S>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    B: Blocker<PublicKey = Key>,
    P: Peers,
    S: Sender<PublicKey = Key>,
{
    /// Runs until told to stop, or until it must not go on.
    pub(crate) async fn run(mut self) -> Ended {
        match self.go().await {
            Ok(ended) | Err(ended) => ended,
        }
    }

    async fn go(&mut self) -> Result<Ended, Ended> {
        let mut stopped = self.context.stopped();
        let mut active = self.enter(self.epoch_after(self.chain.tip().height)).await?;
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => return Ok(Ended::Stopped),
                Some(ended) = self.ends.recv() => return Ok(ended),
                _ = &mut active.engine => return Ok(Ended::Part("the engine of this epoch")),
                _ = &mut self.marshal_task => return Ok(Ended::Part("marshal")),
                Some((epoch, (from, _))) = self.planes.late_votes.recv() => self.hear(&active, epoch, from),
                Some((epoch, (from, _))) = self.planes.late_certificates.recv() => self.hear(&active, epoch, from),
                Some((block, word)) = self.delivered.recv() => {
                    if let Some(next) = self.finalize(&active, block.inner(), word).await? {
                        active = next;
                    }
                }
            }
        }
    }

    /// The epoch of the block after this height.
    fn epoch_after(&self, height: Height) -> Epoch {
        Epoch(height.0.saturating_add(1) / self.config.epoch_blocks.get())
    }

    fn first_of(&self, epoch: Epoch) -> Height {
        Height(epoch.0.saturating_mul(self.config.epoch_blocks.get()))
    }

    fn last_of(&self, epoch: Epoch) -> Height {
        Height(self.first_of(Epoch(epoch.0.saturating_add(1))).0.saturating_sub(1))
    }

    /// Somebody is in a later epoch: the end of ours is there to be had (ENG-11).
    fn hear(&self, active: &Active, epoch: Subchannel, from: Key) {
        if epoch > active.epoch.0 {
            let boundary = LibraryHeight::new(self.last_of(active.epoch).0);
            self.marshal.hint_finalized(boundary, NonEmptyVec::new(from));
        }
    }

    /// Brings a chain that is behind marshal up to it: marshal does not deliver again what was acknowledged (ENG-12).
    pub(crate) async fn catch_up(&self, processed: Option<Height>) -> Result<(), Fault> {
        let Some(processed) = processed else { return Ok(()) };
        while self.chain.tip().height < processed {
            let next = Height(self.chain.tip().height.0.saturating_add(1));
            let Some(block) = self.marshal.get_block(LibraryHeight::new(next.0)).await else {
                let detail = format!("block {next} was acknowledged and is nowhere; the chain ends before it");
                return Err(Fault::Damaged { detail });
            };
            self.commit(block.inner().block(), false).await?;
        }
        Ok(())
    }

    /// Commits a final block, enters the next epoch after the last one of an epoch, and only then gives its word.
    async fn finalize(&mut self, active: &Active, block: &AgreedBlock, word: Exact) -> Result<Option<Active>, Ended> {
        let height = Height(block.height().get());
        let ends_epoch = height == self.last_of(active.epoch);
        if height > self.chain.tip().height {
            self.commit(block.block(), ends_epoch).await?;
        }
        let next = if ends_epoch { Some(self.enter(self.epoch_after(height)).await?) } else { None };
        word.acknowledge();
        self.shelf.committed(self.chain.tip().height);
        Ok(next)
    }

    async fn commit(&self, block: &Arc<Block>, needs_certificate: bool) -> Result<(), Fault> {
        let height = block.header.height;
        let mut certificate = self.certificate(height).await;
        // ENG-13: light clients step from epoch to epoch by the certificates of their last blocks.
        while needs_certificate && certificate.is_none() {
            let seats = self.chain.seats(block.header.epoch)?.unwrap_or_default();
            let me = self.config.signer.public();
            let others = seats.iter().filter(|seat| seat.key != me).filter_map(|seat| key_of(&seat.key));
            let others: Vec<Key> = others.collect();
            let Ok(others) = NonEmptyVec::try_from(others) else { break };
            self.marshal.hint_finalized(LibraryHeight::new(height.0), others);
            self.context.sleep(BOUNDARY_RETRY).await;
            certificate = self.certificate(height).await;
        }
        let (chain, block) = (Arc::clone(&self.chain), Arc::clone(block));
        let done = aside(&self.context, move || chain.commit(&block, certificate.as_deref())).await;
        done.unwrap_or_else(|| Err(Fault::Invariant { detail: "the commit of a block did not end".to_owned() }))?;
        self.progress.committed(height);
        Ok(())
    }

    async fn certificate(&self, height: Height) -> Option<Vec<u8>> {
        let found = self.marshal.get_finalization(LibraryHeight::new(height.0)).await;
        found.map(|certificate| certificate.encode().to_vec())
    }

    /// Enters an epoch: who may connect, who may vote, and an engine of its own.
    async fn enter(&mut self, epoch: Epoch) -> Result<Active, Ended> {
        let seats = self.seats_there(epoch)?;
        for known in [epoch.0.checked_sub(1), Some(epoch.0), epoch.0.checked_add(1), epoch.0.checked_add(2)] {
            let Some(known) = known.map(Epoch) else { continue };
            if let Some(seats) = self.chain.seats(known)? {
                self.schemes.learn(known, &seats);
            }
        }
        self.schemes.forget_below(Epoch(epoch.0.saturating_sub(8)));
        let mut beside = Vec::new();
        for other in [epoch.0.checked_sub(1), epoch.0.checked_add(1)].into_iter().flatten() {
            beside.extend(self.chain.seats(Epoch(other))?.unwrap_or_default());
        }
        beside.retain(|seat| !seats.iter().any(|present| present.key == seat.key));
        self.peers.follow(epoch, &seats, &beside);

        let me = self.config.signer.public();
        let begins = self.chain.tip().height < self.first_of(epoch) || self.chain.tip().height == Height(0);
        let permission = if seats.len() == 1 && seats[0].key == me {
            // SAFE-5: without the only seat there is no block, and nobody else to whom it could say two things.
            Permission::Vote
        } else if seats.iter().any(|seat| seat.key == me) {
            permission(&self.context, &*self.kv, &self.config, epoch, begins).await?
        } else {
            Permission::NoSeat
        };
        match permission {
            Permission::Vote => tracing::info!(%epoch, seats = seats.len(), "this node votes in the epoch"),
            Permission::NoSeat => tracing::info!(%epoch, "this node has no seat in the epoch and watches"),
            Permission::Waits(from) => {
                tracing::warn!(%epoch, %from, "this node's key came from elsewhere: it sits out until then")
            }
            Permission::Unknown => {
                tracing::warn!(%epoch, "no vote of this key was ever cast from here: it watches until its owner says when it votes")
            }
            Permission::JournalLost => {
                tracing::warn!(%epoch, "the votes of this epoch are not here: this node sits out until the next")
            }
        }
        let votes = permission == Permission::Vote;
        let scheme = self.schemes.enter(epoch, &seats, votes.then_some(&self.config.signer));
        let set = ValidatorSet::new(seats.iter().map(|seat| seat.key).collect())
            .map_err(|error| Fault::Damaged { detail: format!("the seats of epoch {epoch} are no set: {error}") })?;
        let witness = Witness::new(
            Arc::clone(&self.chain),
            Arc::clone(&self.kv),
            set,
            self.config.namespace.clone(),
            self.ended.clone(),
        );
        let rng = self.context.child("witness");
        let witness = AttributableReporter::new(rng, scheme.clone(), witness, Sequential, true);
        let partition = journal(&self.config.partition_prefix, &me, epoch, votes);
        let floor = self.floor(epoch, &partition).await?;
        let pace = self.config.pace;
        let engine = Engine::new(
            self.context.child("engine").with_attribute("epoch", epoch),
            simplex::Config {
                scheme,
                elector: RoundRobin::<Blake3>::shuffled(&epoch.0.to_be_bytes()),
                blocker: self.blocker.clone(),
                automaton: self.deferred.clone(),
                relay: self.deferred.clone(),
                reporter: Reporters::from((self.deferred.clone(), witness)),
                track_historical_votes: true,
                strategy: Sequential,
                partition: partition.clone(),
                mailbox_size: MAILBOX,
                epoch: LibraryEpoch::new(epoch.0),
                floor,
                replay_buffer: BUFFER,
                write_buffer: BUFFER,
                page_cache: self.page_cache.clone(),
                leader_timeout: pace.leader_timeout,
                certification_timeout: pace.certification_timeout,
                timeout_retry: pace.retry,
                view_retention: VIEWS_KEPT,
                skip: SkipPolicy::Enabled { timeout: pace.skip_after, budget: SkipBudget::Participants },
                fetch_timeout: NonZeroDuration::new(FETCH_TIMEOUT).expect("not zero"),
                fetch_retry_delay: FETCH_RETRY,
                forward: ForwardPolicy::SilentVoters,
            },
        );
        let subchannel = epoch.0;
        let (Ok(vote_ends), Ok(certificate_ends), Ok(missed_ends)) = (
            self.planes.votes.register(subchannel).await,
            self.planes.certificates.register(subchannel).await,
            self.planes.missed.register(subchannel).await,
        ) else {
            return Err(Ended::Part("the channels between the seats"));
        };
        let engine = engine.start(vote_ends, certificate_ends, missed_ends);
        if votes {
            self.mark_when_there(partition, epoch);
        }
        self.forget_journals(epoch).await;
        Ok(Active { epoch, engine })
    }

    fn seats_there(&self, epoch: Epoch) -> Result<Vec<Seat>, Fault> {
        let absent = || Fault::Damaged { detail: format!("the seats of epoch {epoch} are not in the state") };
        self.chain.seats(epoch)?.ok_or_else(absent)
    }

    /// What the engine of an epoch stands on: the last block before the epoch, or, for whoever began in its middle
    /// and has no votes of it, the newest certificate (ENG-10).
    async fn floor(&self, epoch: Epoch, partition: &str) -> Result<Floor<VoteScheme, crate::block::Digest>, Fault> {
        let before = Height(self.first_of(epoch).0.saturating_sub(1));
        let base = self.chain.id_at(before)?;
        let in_the_middle = self.chain.tip().height > before;
        let from_certificate = (in_the_middle && !is_there(&self.context, partition).await?) || base.is_none();
        if from_certificate
            && let Some(newest) = newest_certificate(&*self.chain)?
            && newest.proposal.round.epoch().get() == epoch.0
        {
            return Ok(Floor::Finalized(newest));
        }
        let absent =
            || Fault::Damaged { detail: format!("block {before}, on which epoch {epoch} stands, is not kept") };
        base.map(|id| Floor::Genesis(digest_of(&id))).ok_or_else(absent)
    }

    /// Marks a journal as soon as it exists; see [`permission`].
    fn mark_when_there(&self, partition: String, epoch: Epoch) {
        let (kv, ended, me) = (Arc::clone(&self.kv), self.ended.clone(), self.config.signer.public());
        self.context.child("mark").spawn(move |context| async move {
            let marked = loop {
                match is_there(&context, &partition).await {
                    Ok(true) => break mark(&*kv, &me, epoch),
                    Ok(false) => context.sleep(JOURNAL_LOOK).await,
                    Err(fault) => break Err(fault),
                }
            };
            if let Err(fault) = marked {
                // The receiver is gone only when the validator has ended already.
                let _ = ended.send(Ended::Fault(fault));
            }
        });
    }

    /// Removes the votes of an epoch that no evidence asks for any more.
    async fn forget_journals(&self, epoch: Epoch) {
        let Some(old) = epoch.0.checked_sub(JOURNALS_KEPT).map(Epoch) else { return };
        for votes in [true, false] {
            // One that is not there is no error, and one that cannot be removed costs only its room.
            let partition = journal(&self.config.partition_prefix, &self.config.signer.public(), old, votes);
            let _ = self.context.remove(&partition, None).await;
        }
    }
}
