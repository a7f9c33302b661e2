//! The connections of a simulated world, as agreement asks for them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use commonware_cryptography::ed25519::PublicKey as Key;
use commonware_p2p::simulated::{Control, Manager, Oracle, Receiver, Sender, SplitForwarder, SplitOrigin, SplitTarget};
use commonware_p2p::{Message, PeerSetSubscription, Provider, TrackedPeers};
use commonware_runtime::{Quota, Supervisor as _, deterministic};
use cpc_engine::{Channel, Network, Peers, Seat};
use cpc_primitives::Epoch;

use crate::liars::vote_of;
use crate::watch::Watch;

type Context = deterministic::Context;

/// Everybody may connect to everybody: who is connected is for the links to say.
#[derive(Clone, Debug)]
pub(crate) struct Everybody(pub(crate) Manager<Key, Context>);

impl Provider for Everybody {
    type PublicKey = Key;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<Key>> {
        self.0.peer_set(id).await
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<Key> {
        self.0.subscribe().await
    }
}

impl Peers for Everybody {
    fn follow(&mut self, _: Epoch, _: &[Seat], _: &[Seat]) {}
}

/// Who hears which of two validators with one key.
#[derive(Clone, Debug)]
pub(crate) struct Halves {
    /// Those who hear the first, and the others hear the second; where this is empty, everybody hears both.
    pub(crate) first: Arc<Vec<Key>>,
    /// Everybody who is not the validator itself.
    pub(crate) all: Arc<Vec<Key>>,
}

/// How the messages of a validator are sent on, and to which of two that come in go.
fn forwarder(halves: Option<Halves>) -> impl SplitForwarder<Key> {
    move |origin, recipients, _| {
        let Some(halves) = &halves else { return Some(recipients.clone()) };
        if halves.first.is_empty() {
            return Some(commonware_p2p::Recipients::Some(halves.all.to_vec()));
        }
        let is_first = |key: &Key| halves.first.contains(key);
        let wanted = halves.all.iter().filter(|key| match origin {
            SplitOrigin::Primary => is_first(key),
            SplitOrigin::Secondary => !is_first(key),
        });
        Some(commonware_p2p::Recipients::Some(wanted.cloned().collect()))
    }
}

/// What comes in for one validator, seen also by whoever watches.
#[derive(Debug)]
pub(crate) struct Heard<R> {
    inner: R,
    /// Who hears it, where it is an honest one and these are votes.
    watched: Option<(usize, Arc<Watch>)>,
}

impl<R: commonware_p2p::Receiver<PublicKey = Key>> commonware_p2p::Receiver for Heard<R> {
    type Error = R::Error;
    type PublicKey = Key;

    async fn recv(&mut self) -> Result<Message<Key>, Self::Error> {
        let message = self.inner.recv().await?;
        if let Some((who, watch)) = &self.watched
            && let Some((_, vote)) = vote_of(&message)
        {
            watch.heard(*who, vote);
        }
        Ok(message)
    }

    fn capacity(&self) -> NonZeroUsize {
        self.inner.capacity()
    }
}

/// The ends of one validator's channels; twice, for the one that runs twice.
pub(crate) async fn connect(
    context: &Context,
    oracle: &Oracle<Key, Context>,
    key: &Key,
    halves: Option<Halves>,
    quota: Quota,
    watched: Option<(usize, Arc<Watch>)>,
) -> [Network<Control<Key, Context>, Everybody, impl commonware_p2p::Sender<PublicKey = Key>, Heard<Receiver<Key>>>; 2]
{
    let control = oracle.control(key.clone());
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for channel in Channel::ALL {
        let registered = control.register(channel as u64, quota).await;
        let (sender, receiver): (Sender<Key, Context>, Receiver<Key>) = registered.expect("the network runs");
        let (sender_one, sender_two) = sender.split_with(forwarder(halves.clone()));
        let twice = halves.clone();
        let router = move |(from, _): &Message<Key>| match &twice {
            None => SplitTarget::Primary,
            Some(halves) if halves.first.is_empty() => SplitTarget::Both,
            Some(halves) if halves.first.contains(from) => SplitTarget::Primary,
            Some(_) => SplitTarget::Secondary,
        };
        let (receiver_one, receiver_two) =
            receiver.split_with(context.child("split").with_attribute("channel", channel as u64), router);
        let heard = |inner| Heard { inner, watched: watched.clone().filter(|_| channel == Channel::Votes) };
        first.push((sender_one, heard(receiver_one)));
        second.push((sender_two, heard(receiver_two)));
    }
    [first, second].map(|ends| {
        let mut ends = ends.into_iter();
        let mut next = || ends.next().expect("one for each channel");
        Network {
            blocker: control.clone(),
            peers: Everybody(oracle.manager()),
            votes: next(),
            certificates: next(),
            missed: next(),
            blocks: next(),
            backfill: next(),
        }
    })
}
