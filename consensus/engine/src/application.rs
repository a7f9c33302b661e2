//! What the BFT library asks of the chain: build a block, and say whether one is valid.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use commonware_actor::Feedback;
use commonware_consensus::marshal::Update;
use commonware_consensus::marshal::ancestry::Ancestry;
use commonware_consensus::types::Height as LibraryHeight;
use commonware_consensus::{Application, Reporter};
use commonware_cryptography::Digested;
use commonware_runtime::{Clock, Metrics, Spawner};
use commonware_utils::acknowledgement::Exact;
use cpc_primitives::{Block, Epoch, Fault, Height, PublicKey, TimeMs, View};
use futures::StreamExt as _;
use tokio::sync::{Notify, mpsc};

use crate::block::{AgreedBlock, SlotContext, id_of};
use crate::chain::{Chain, ExecuteError, Slot};
use crate::driver::Ended;
use crate::seats::VoteScheme;
use crate::validator::Pace;

/// How far a block's time may be ahead of this node's clock before its validity is waited with (ENG-4).
const AHEAD_MAX: Duration = Duration::from_millis(500);

/// How soon a block is tried again whose parent's state went while it was executed.
const RETRY: Duration = Duration::from_millis(20);

/// What the network has agreed on, and how far this node has come with it.
#[derive(Default)]
pub(crate) struct Progress {
    agreed: AtomicU64,
    committed: AtomicU64,
    changed: Notify,
}

impl Progress {
    /// Starts where the store stands.
    pub(crate) fn new(committed: Height) -> Self {
        Self { agreed: AtomicU64::new(committed.0), committed: AtomicU64::new(committed.0), changed: Notify::new() }
    }

    pub(crate) fn committed(&self, height: Height) {
        self.committed.fetch_max(height.0, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    fn agreed(&self, height: LibraryHeight) {
        self.agreed.fetch_max(height.get(), Ordering::Relaxed);
    }

    fn lag(&self) -> u64 {
        self.agreed.load(Ordering::Relaxed).saturating_sub(self.committed.load(Ordering::Relaxed))
    }

    /// Waits until no more than so many final blocks wait for their commit.
    async fn caught_up(&self, lag_max: u64) {
        loop {
            let changed = self.changed.notified();
            if self.lag() <= lag_max {
                return;
            }
            changed.await;
        }
    }
}

/// Final blocks on their way to the driver, each with the word that it was committed.
pub(crate) type Delivery = (Digested<AgreedBlock>, Exact);

/// Takes what marshal reports. It is bounded by marshal itself: so many blocks wait for their word and no more.
#[derive(Clone)]
pub(crate) struct Deliveries {
    pub(crate) blocks: mpsc::UnboundedSender<Delivery>,
    pub(crate) progress: Arc<Progress>,
}

impl Reporter for Deliveries {
    type Activity = Update<AgreedBlock>;

    fn report(&mut self, update: Update<AgreedBlock>) -> Feedback {
        match update {
            Update::Tip(_, height, _) => self.progress.agreed(height),
            Update::Block(block, word) => {
                if self.blocks.send((block, word)).is_err() {
                    return Feedback::Closed;
                }
            }
        }
        Feedback::Ok
    }
}

/// The chain as the library's application.
pub(crate) struct Author {
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) proposer: PublicKey,
    pub(crate) pace: Pace,
    pub(crate) progress: Arc<Progress>,
    pub(crate) ended: mpsc::UnboundedSender<Ended>,
}

impl Clone for Author {
    fn clone(&self) -> Self {
        Self {
            chain: Arc::clone(&self.chain),
            proposer: self.proposer,
            pace: self.pace,
            progress: Arc::clone(&self.progress),
            ended: self.ended.clone(),
        }
    }
}

/// Runs what may take a while where it keeps nobody else waiting.
pub(crate) async fn aside<E: Spawner, T: Send + 'static>(
    context: &E,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    context.child("chain").shared(true).spawn(move |_| async move { work() }).await.ok()
}

impl Author {
    /// Sleeps until this node's clock reads so much.
    async fn until<E: Clock>(&self, context: &E, time: TimeMs) {
        loop {
            let now = self.chain.now(context.current());
            let Some(wait) = time.0.checked_sub(now.0).filter(|wait| *wait > 0) else { return };
            context.sleep(Duration::from_millis(wait)).await;
        }
    }

    /// A fault of this node: it stops before it votes, and this question is never answered (ENG-5).
    async fn halt<T>(&self, fault: Fault) -> T {
        // The receiver is gone only when the validator has ended already.
        let _ = self.ended.send(Ended::Fault(fault));
        pending().await
    }

    /// Executes a block and those before it that were not yet, oldest first. Says whether all of them are valid.
    async fn execute<E: Spawner + Clock>(&self, context: &E, ancestry: impl Ancestry<AgreedBlock>) -> bool {
        loop {
            // What is final comes through its commit; only what is above it is fetched and held here.
            self.progress.caught_up(self.pace.lag_max).await;
            match self.try_execute(context, ancestry.clone()).await {
                Executed::All => return true,
                Executed::Invalid => return false,
                // ENG-3: a final block came in between, or the states on the way went; what is above it is tried again.
                Executed::Moved => context.sleep(RETRY).await,
            }
        }
    }

    async fn try_execute<E: Spawner + Clock>(&self, context: &E, mut ancestry: impl Ancestry<AgreedBlock>) -> Executed {
        let mut missing: Vec<Arc<Block>> = Vec::new();
        loop {
            let Some(block) = ancestry.next().await else {
                // The ancestors cannot be had: nothing can be said of the block, ever.
                return pending().await;
            };
            let block = Arc::clone(block.inner().block());
            if self.chain.is_executed(&block.id()) {
                break;
            }
            if block.header.height <= self.chain.tip().height {
                // ENG-3: a block beside the final ones; agreement has gone past it and will give the question up.
                return pending().await;
            }
            missing.push(block);
        }
        while let Some(block) = missing.pop() {
            let (chain, next) = (Arc::clone(&self.chain), Arc::clone(&block));
            match aside(context, move || chain.execute(&next)).await {
                Some(Ok(())) => {}
                Some(Err(ExecuteError::Invalid(why))) => {
                    tracing::warn!(height = %block.header.height, id = %block.id(), why, "an invalid block was proposed");
                    return Executed::Invalid;
                }
                Some(Err(ExecuteError::Orphan(_))) => return Executed::Moved,
                Some(Err(ExecuteError::Fault(fault))) => return self.halt(fault).await,
                None => return pending().await,
            }
        }
        Executed::All
    }
}

/// What came of executing a block with those before it.
enum Executed {
    All,
    Invalid,
    /// The state under one of them went meanwhile.
    Moved,
}

impl<E> Application<E> for Author
where
    E: Spawner + Clock + Metrics,
{
    type SigningScheme = VoteScheme;
    type Context = SlotContext;
    type Block = AgreedBlock;
    type Input = ();

    async fn propose(
        &mut self,
        (context, slot): (E, SlotContext),
        ancestry: impl Ancestry<AgreedBlock>,
        (): (),
    ) -> Option<Digested<AgreedBlock>> {
        let parent = ancestry.clone().next().await?;
        let parent_time = parent.inner().block().header.time;
        // ENG-6: a node whose disk is behind does not pile more on it.
        self.progress.caught_up(self.pace.lag_max).await;
        // ENG-7: the pace counts from the parent's time, so that a slow block does not push all later ones back.
        let interval = u64::try_from(self.pace.interval.as_millis()).unwrap_or(u64::MAX);
        self.until(&context, TimeMs(parent_time.0.saturating_add(interval))).await;
        if !self.execute(&context, ancestry).await {
            return None;
        }
        let now = self.chain.now(context.current());
        let slot = Slot {
            epoch: Epoch(slot.round.epoch().get()),
            view: View(slot.round.view().get()),
            parent_view: View(slot.parent.0.get()),
            parent: id_of(&slot.parent.1),
            proposer: self.proposer,
            time: now.max(TimeMs(parent_time.0.saturating_add(1))),
        };
        let chain = Arc::clone(&self.chain);
        match aside(&context, move || chain.build(&slot)).await? {
            Ok(block) => match AgreedBlock::new(block) {
                Ok(block) => Some(block.digested()),
                Err(why) => {
                    let detail = format!("this node built a block that cannot be proposed: {why}");
                    self.halt(Fault::Invariant { detail }).await
                }
            },
            Err(ExecuteError::Fault(fault)) => self.halt(fault).await,
            Err(ExecuteError::Orphan(_)) => None,
            Err(ExecuteError::Invalid(why)) => {
                let detail = format!("this node built a block that its own rules refuse: {why}");
                self.halt(Fault::Invariant { detail }).await
            }
        }
    }

    fn verify(
        &mut self,
        (context, _): (E, SlotContext),
        ancestry: impl Ancestry<AgreedBlock>,
    ) -> impl Future<Output = bool> + Send {
        let this = self.clone();
        async move {
            let Some(block) = ancestry.clone().next().await else { return pending().await };
            // ENG-4: clocks differ; a block from the future is not wrong, it is early.
            let ahead = u64::try_from(AHEAD_MAX.as_millis()).unwrap_or(u64::MAX);
            let time = block.inner().block().header.time;
            this.until(&context, TimeMs(time.0.saturating_sub(ahead))).await;
            this.execute(&context, ancestry).await
        }
    }
}
