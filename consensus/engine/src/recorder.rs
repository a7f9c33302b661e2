//! Hears what the seats of a network vote, and says nothing: for tests that ask whether a key signed two things.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use commonware_codec::ReadExt as _;
use commonware_codec::varint::UInt;
use commonware_p2p::Receiver as _;
use commonware_p2p::authenticated::lookup;
use commonware_runtime::tokio::{Config as RuntimeConfig, Runner};
use commonware_runtime::{Quota, Runner as _, Supervisor as _};
use cpc_light::SignedVote;
use cpc_primitives::Epoch;
use tokio::sync::oneshot;

use crate::chain::Seat;
use crate::limits::Channel;
use crate::link::{Directory, connections};
use crate::seats::Signer;
use crate::validator::Peers as _;

/// Votes of one peer in a second.
const VOTES_PER_SECOND: NonZeroU32 = NonZeroU32::new(512).expect("not zero");

/// Whose place the recorder takes, and where the others are.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// A folder of its own.
    pub dir: PathBuf,
    /// The key of a seat that nobody else uses.
    pub signer: Signer,
    /// What every vote is signed under.
    pub namespace: Vec<u8>,
    /// Where that seat has said that it listens.
    pub listen: SocketAddr,
    /// All seats.
    pub seats: Vec<Seat>,
    /// The most seats that the network can have.
    pub seats_max: usize,
    /// The most bytes of a block.
    pub block_bytes_max: u32,
}

/// A peer that records votes until it is dropped.
#[derive(Debug)]
pub struct Recorder {
    votes: Receiver<SignedVote>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Starts to listen.
    pub fn start(config: RecorderConfig) -> std::io::Result<Self> {
        let (heard, votes) = channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            let runtime = RuntimeConfig::new().with_worker_threads(1).with_storage_directory(config.dir.clone());
            Runner::new(runtime).start(|context| record(context, config, heard, stopped));
        })?;
        Ok(Self { votes, stop: Some(stop), thread: Some(thread) })
    }

    /// The votes that were heard since the last time.
    pub fn heard(&self) -> Vec<SignedVote> {
        self.votes.try_iter().collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of it was reported when it happened.
            let _ = thread.join();
        }
    }
}

async fn record(
    context: commonware_runtime::tokio::Context,
    config: RecorderConfig,
    heard: Sender<SignedVote>,
    mut stopped: oneshot::Receiver<()>,
) {
    let RecorderConfig { signer, namespace, listen, seats, seats_max, block_bytes_max, .. } = config;
    let connections = connections(&signer, &namespace, listen, seats_max, block_bytes_max, true);
    let (mut network, oracle) = lookup::Network::new(context.child("network"), connections);
    let quota = Quota::per_second(VOTES_PER_SECOND);
    // All channels are there, or the others would call this a broken peer; only votes are listened to.
    let mut ends = Channel::ALL.map(|channel| network.register(channel as u64, quota));
    network.start();
    Directory(oracle).follow(Epoch(0), &seats, &[]);
    let [(_, votes), ..] = &mut ends;
    loop {
        let message = tokio::select! {
            biased;
            _ = &mut stopped => return,
            message = votes.recv() => message,
        };
        let Ok((_, message)) = message else { return };
        let mut bytes = bytes::Bytes::copy_from_slice(message.as_ref());
        // The epoch comes before the vote, which names it again.
        if UInt::<u64>::read(&mut bytes).is_ok()
            && let Ok(vote) = SignedVote::decode(&bytes)
            && heard.send(vote).is_err()
        {
            return;
        }
    }
}
