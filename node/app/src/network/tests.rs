//! Two nodes and a liar on this machine's own sockets, over chains on disks in memory.

use std::sync::Arc;
use std::time::Duration;

use cpc_engine::Chain as _;
use cpc_mempool::Limits as PoolLimits;
use cpc_net::{Config, Event, Events, Handle, Limits, Net, NetworkId, PublishError};
use cpc_primitives::tx::{SignedTx, TxBody};
use cpc_primitives::{Amount, ChainId, Height, SecretKey};

use super::gossip;
use super::{Network, NetworkConfig, Role};
use crate::chain::Chain;
use crate::chain::tests::{World, certificate, follower, genesis, person, transfer, tx};
use crate::sync::shell;
use crate::sync::wire::{Answer, Question, TxBatch};

/// Every wait ends.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at something that happens by itself.
const LOOK: Duration = Duration::from_millis(10);

async fn node(chain: &Arc<Chain>, n: u8, boot: Vec<String>, role: Role) -> (Network, String) {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    let config = NetworkConfig { secret: [n; 32], listen, announce: Vec::new(), boot };
    let (network, addresses) = Network::start(Arc::clone(chain), config, role).await.expect("free ports");
    (network, addresses.first().expect("it listens").clone())
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let holds = async {
        let mut look = tokio::time::interval(LOOK);
        while !holds() {
            look.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, holds).await.unwrap_or_else(|_| panic!("{what} did not happen"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_has_the_same_state_and_its_users_transactions_reach_the_validator() {
    let mut world = World::new(PoolLimits::default());
    for nonce in 0..200 {
        assert!(world.chain.admit(tx(1, nonce, 1)).is_ok());
        world.block();
    }
    let (validator, address) = node(&world.chain, 1, Vec::new(), Role::Agrees).await;
    let chain = Arc::new(follower(&genesis(), PoolLimits::default()));
    let (first, _) = node(&chain, 2, vec![address.clone()], Role::Follows).await;
    until("the sync", || chain.tip().height() == Height(200)).await;
    assert_eq!(chain.tip().header.state_root, world.chain.tip().header.state_root);
    assert_eq!(chain.metrics().sync_target_height.get(), 200);
    assert_eq!(first.peers().list().len(), 1, "{:?}", first.peers().list());
    first.caught_up().await;

    // What a user sends to the follower is in the validator's next block.
    let sent = tx(2, 0, 1);
    assert!(chain.admit(sent.clone()).is_ok());
    until("the gossip", || world.chain.pending_count() == 1).await;
    assert_eq!(world.block().txs.iter().map(SignedTx::hash).collect::<Vec<_>>(), [sent.hash()]);
    until("the next block", || chain.tip().height() == Height(201)).await;
    assert_eq!(chain.pending_count(), 0);

    // It goes on from where it stopped, and a third node is served by it alone.
    first.stop().await;
    world.block();
    let (again, served) = node(&chain, 2, vec![address], Role::Follows).await;
    until("the sync after a restart", || chain.tip().height() == Height(202)).await;
    validator.stop().await;
    let third = Arc::new(follower(&genesis(), PoolLimits::default()));
    let (last, _) = node(&third, 3, vec![served], Role::Follows).await;
    until("the sync from a follower", || third.tip().height() == Height(202)).await;
    assert_eq!(third.tip().header.state_root, world.chain.tip().header.state_root);
    last.stop().await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_nobody_hears_at_first_are_told_to_whoever_comes() {
    let world = World::new(PoolLimits::default());
    let (validator, address) = node(&world.chain, 1, Vec::new(), Role::Agrees).await;
    assert!(world.chain.admit(tx(1, 0, 1)).is_ok());
    let chain = Arc::new(follower(&genesis(), PoolLimits::default()));
    let (late, _) = node(&chain, 2, vec![address], Role::Follows).await;
    until("the gossip", || chain.pending_count() == 1).await;
    late.stop().await;
    validator.stop().await;
}

/// Somebody of the same network who speaks the protocols and says what it likes.
struct Liar {
    handle: Handle,
    events: Events,
}

impl Liar {
    fn start(n: u8, network: NetworkId, boot: &str) -> Self {
        let config = Config {
            network,
            agent: "liar/1".to_owned(),
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            announce: Vec::new(),
            boot: vec![boot.to_owned()],
            topics: vec![gossip::topic()],
            protocols: vec![shell::protocol()],
            limits: Limits { redial_min: Duration::from_millis(50), ..Limits::default() },
        };
        let (handle, events) = Net::start(config, [n; 32]).expect("a free port");
        Self { handle, events }
    }

    fn of(chain: &Chain, n: u8, boot: &str) -> Self {
        Self::start(n, NetworkId::of(&chain.genesis().id().0.0), boot)
    }

    async fn wait(&mut self, pick: impl Fn(&Event) -> bool) -> Event {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("it runs");
                if pick(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(DEADLINE, found).await.expect("it happens")
    }

    async fn say(&self, bytes: Vec<u8>) {
        let said = async {
            let mut again = tokio::time::interval(LOOK);
            while let Err(error) = self.handle.publish("txs", bytes.clone()).await {
                // A node that was banned meanwhile has nobody to speak to.
                if matches!(error, PublishError::Stopped) {
                    return;
                }
                again.tick().await;
            }
        };
        tokio::time::timeout(DEADLINE, said).await.expect("somebody listens");
    }
}

fn batch(txs: Vec<SignedTx>) -> Vec<u8> {
    TxBatch::pack(txs).first().expect("one batch").encode()
}

// SYNC-9: what no honest node gossips ends with its sender banned, and leaves no trace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gossips_what_no_honest_node_does_is_banned() {
    let elsewhere = |nonce| TxBody { chain: ChainId(7), ..transfer(3, nonce, 1, Amount::new(1)) }.sign(&person(3));
    let forged = |nonce| SignedTx { signature: tx(4, 9, 1).signature, ..tx(4, nonce, 1) };
    let kinds: [(&str, Vec<Vec<u8>>); 3] = [
        ("another chain", (0..4).map(|nonce| batch(vec![elsewhere(nonce)])).collect()),
        ("a signature of another", (0..4).map(|nonce| batch(vec![forged(nonce)])).collect()),
        ("no batch", (0u8..4).map(|byte| vec![byte; 9]).collect()),
    ];
    for (n, (kind, messages)) in (10..).zip(kinds) {
        let world = World::new(PoolLimits::default());
        let (validator, address) = node(&world.chain, 1, Vec::new(), Role::Agrees).await;
        let mut liar = Liar::of(&world.chain, n, &address);
        liar.wait(|event| matches!(event, Event::Subscribed { .. })).await;
        for message in messages {
            tokio::select! {
                () = liar.say(message) => {}
                // It may be banned before it has said everything.
                () = until("the ban", || validator.peers().refusal().is_some()) => {}
            }
        }
        until("the ban", || validator.peers().refusal().is_some()).await;
        let bans = validator.handle.view().await.expect("it runs").bans;
        assert_eq!(bans.iter().map(|ban| ban.peer).collect::<Vec<_>>(), [liar.handle.id()], "{kind}");
        assert_eq!(world.chain.pending_count(), 0, "{kind}");
        liar.handle.stop().await;
        validator.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_question_ban_and_another_network_is_refused_by_name() {
    let world = World::new(PoolLimits::default());
    let (validator, address) = node(&world.chain, 1, Vec::new(), Role::Agrees).await;
    let mut liar = Liar::of(&world.chain, 20, &address);
    let Event::Joined { peer } = liar.wait(|event| matches!(event, Event::Joined { .. })).await else {
        panic!("it was picked");
    };
    let good = liar.handle.request(peer, shell::NAME, Question::Status.encode()).await.expect("an answer");
    assert!(matches!(Answer::decode(&good), Ok(Answer::Status(status)) if status.tip == Height(0)));
    assert!(liar.handle.request(peer, shell::NAME, vec![9; 9]).await.is_err());
    liar.wait(|event| matches!(event, Event::Left { .. })).await;
    let bans = validator.handle.view().await.expect("it runs").bans;
    assert_eq!(bans.iter().map(|ban| ban.peer).collect::<Vec<_>>(), [liar.handle.id()]);

    let mut stranger = Liar::start(21, NetworkId([9; 8]), &address);
    let refused = stranger.wait(|event| matches!(event, Event::Refused { .. })).await;
    assert!(matches!(refused, Event::Refused { reason: cpc_net::Refusal::WrongNetwork { .. }, .. }), "{refused:?}");
    until("the refusal", || validator.peers().refusal().is_some_and(|why| why.contains("belongs to the network")))
        .await;
    stranger.handle.stop().await;
    liar.handle.stop().await;
    validator.stop().await;
}

/// A forger who has copied everything but the seats' signatures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_chain_is_not_applied_and_its_sender_is_banned() {
    let mut world = World::new(PoolLimits::default());
    let forged = World::new(PoolLimits::default());
    let tip = forged.chain.tip();
    let mut builder = forged;
    let block = builder.build(tip.id, tip.header.view);
    // Signed by somebody who has no seat.
    let lie = certificate(&block, &SecretKey::from_seed(&[3; 32]));
    builder.chain.commit(&block, Some(&lie)).expect("whoever owns a disk may write to it");
    world.block();

    let (honest, good) = node(&world.chain, 1, Vec::new(), Role::Agrees).await;
    let (forger, bad) = node(&builder.chain, 4, Vec::new(), Role::Agrees).await;
    let chain = Arc::new(follower(&genesis(), PoolLimits::default()));
    let (late, _) = node(&chain, 2, vec![bad], Role::Follows).await;
    until("the ban", || late.peers().refusal().is_some()).await;
    assert_eq!(chain.tip().height(), Height(0));
    late.stop().await;
    let (late, _) = node(&chain, 5, vec![good], Role::Follows).await;
    until("the sync", || chain.tip().height() == Height(1)).await;
    assert_eq!(chain.tip().id, world.chain.tip().id);
    for network in [late, forger, honest] {
        network.stop().await;
    }
}
