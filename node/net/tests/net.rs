//! Nodes over real sockets of this machine: what they tell each other, and what they refuse.

mod common;

use std::time::{Duration, Instant};

use common::{NETWORK, Node, QUIC, Stranger, TCP, TRANSPORTS, config, pair, secret, within};
use cpc_net::{Denied, FrameError, Known, Net, NetworkId, NoAnswer, Offence, Protocol, PublishError};
use cpc_net::{Judgement, Refusal, RequestError, StartError, TooLong};
use futures::StreamExt;
use libp2p::request_response;
use libp2p::swarm::SwarmEvent;
use tokio::net::TcpStream;

// NET-1, NET-4: each transport carries gossip over a node in the middle, which forwards what it accepts.
#[tokio::test]
async fn gossip_reaches_the_end_of_a_line_of_three() {
    for transport in TRANSPORTS {
        let mut middle = Node::start(1, config(transport)).await;
        let mut left = config(transport);
        left.boot = vec![middle.address.clone()];
        let mut right = left.clone();
        right.listen = Vec::new();
        let mut left = Node::start(2, left).await;
        right.listen.push(TCP.to_owned());
        let mut right = Node::start(3, right).await;
        let mut ends = [middle.subscribed().await, middle.subscribed().await];
        ends.sort();
        let mut expected = [left.id(), right.id()];
        expected.sort();
        assert_eq!(ends, expected);
        assert_eq!(left.subscribed().await, middle.id());
        left.handle.publish("txs", b"hello".to_vec()).await.expect("the middle listens");
        let gossip = middle.gossip().await;
        assert_eq!((gossip.peer, gossip.bytes.as_slice()), (left.id(), b"hello".as_slice()));
        gossip.token.judge(Judgement::Accept);
        let received = right.gossip().await;
        assert_eq!((received.peer, received.bytes.as_slice()), (middle.id(), b"hello".as_slice()), "{transport}");
        // What was said once is not said again.
        left.handle.publish("txs", b"hello".to_vec()).await.expect("no error");
        left.handle.publish("txs", b"again".to_vec()).await.expect("the middle listens");
        assert_eq!(middle.gossip().await.bytes, b"again");
    }
}

#[tokio::test]
async fn what_is_not_accepted_goes_no_further() {
    let (mut first, mut second) = pair(|_| {}).await;
    let mut third = config(TCP);
    third.boot = vec![second.address.clone()];
    let mut third = Node::start(3, third).await;
    // The one in the middle knows of both, and the first of the middle.
    assert_ne!(second.subscribed().await, second.subscribed().await);
    first.subscribed().await;
    for text in ["ignored", "dropped", "accepted"] {
        first.handle.publish("txs", text.into()).await.expect("the second listens");
        let gossip = second.gossip().await;
        match text {
            "ignored" => gossip.token.judge(Judgement::Ignore),
            "accepted" => gossip.token.judge(Judgement::Accept),
            _ => drop(gossip),
        }
    }
    assert_eq!(third.gossip().await.bytes, b"accepted");
}

#[tokio::test]
async fn a_question_is_answered_over_each_transport() {
    for transport in TRANSPORTS {
        let mut server = Node::start(1, config(transport)).await;
        let mut client = config(transport);
        client.boot = vec![server.address.clone()];
        let mut client = Node::start(2, client).await;
        assert_eq!(client.joined().await, server.id());
        let (handle, peer) = (client.handle.clone(), server.id());
        let answer = tokio::spawn(async move { handle.request(peer, "echo", vec![1; 1 << 10]).await });
        let request = server.request().await;
        assert_eq!((&*request.protocol, request.bytes.len()), ("echo", 1 << 10));
        request.reply.send(vec![2; 1 << 20]).expect("as long as it may be");
        assert_eq!(within(answer).await.expect("no panic"), Ok(vec![2; 1 << 20]), "{transport}");
    }
}

// NET-6: every way of getting no answer has its name.
#[tokio::test]
async fn a_question_without_an_answer_says_why() {
    let quick = |config: &mut cpc_net::Config| {
        config.protocols[1].timeout = Duration::from_millis(300);
        config.protocols.push(Protocol { name: "mine".to_owned(), ..config.protocols[0].clone() });
    };
    let (mut server, client) = {
        let mut server = Node::start(1, config(TCP)).await;
        let mut client = config(TCP);
        client.boot = vec![server.address.clone()];
        quick(&mut client);
        let mut client = Node::start(2, client).await;
        client.joined().await;
        server.joined().await;
        (server, client)
    };
    let (peer, handle) = (server.id(), &client.handle);
    let ask = async |protocol: &str, bytes: usize| handle.request(peer, protocol, vec![0; bytes]).await;

    let found = ask("none", 1).await;
    assert_eq!(found, Err(RequestError::UnknownProtocol { name: "none".to_owned() }));
    let found = ask("echo", 1025).await;
    assert_eq!(found, Err(RequestError::TooLong(TooLong { limit: 1024, found: 1025 })));
    let stranger = cpc_net::PeerId::of_secret(secret(9));
    let found = handle.request(stranger, "echo", Vec::new()).await;
    assert_eq!(found, Err(RequestError::NotConnected { peer: stranger }));
    assert_eq!(within(ask("mine", 1)).await, Err(RequestError::NoAnswer(NoAnswer::UnknownProtocol)));

    // The application drops one, and answers one with too much.
    let (found, ()) = tokio::join!(ask("echo", 1), async { drop(server.request().await) });
    assert_eq!(found, Err(RequestError::NoAnswer(NoAnswer::None)));
    let (found, ()) = tokio::join!(ask("echo", 1), async {
        let refused = server.request().await.reply.send(vec![0; (1 << 20) + 1]);
        assert_eq!(refused, Err(TooLong { limit: 1 << 20, found: (1 << 20) + 1 }));
    });
    assert_eq!(found, Err(RequestError::NoAnswer(NoAnswer::None)));

    // Two are in flight, which is what one peer may have; nobody answers them in time.
    let (first, second, third) = tokio::join!(ask("other", 1), ask("other", 2), async {
        let waiting = [server.request().await, server.request().await];
        (ask("other", 3).await, waiting)
    });
    let late = RequestError::Timeout { after: Duration::from_millis(300) };
    assert_eq!((first, second), (Err(late.clone()), Err(late)));
    let (third, waiting) = third;
    assert_eq!(third, Err(RequestError::Busy { max: 2 }));
    drop(waiting);

    // The connection ends while one waits.
    let (found, _request) = tokio::join!(ask("echo", 1), async {
        let request = server.request().await;
        server.handle.disconnect(client.id(), "a test".to_owned()).await;
        request
    });
    assert!(matches!(found, Err(RequestError::Closed { .. })), "{found:?}");
}

// NET-2: two networks do not speak, and both say why.
#[tokio::test]
async fn another_network_is_refused_by_name() {
    let mut first = Node::start(1, config(TCP)).await;
    let mut other = config(QUIC);
    other.network = NetworkId([9; 8]);
    other.listen.push(TCP.to_owned());
    other.boot = vec![first.address.clone()];
    let mut other = Node::start(2, other).await;
    let expected = |expected: NetworkId, found: &str| Refusal::WrongNetwork { expected, found: found.to_owned() };
    assert_eq!(first.refused().await, expected(NETWORK, "/cpc/0909090909090909/id/1"));
    assert_eq!(other.refused().await, expected(NetworkId([9; 8]), "/cpc/0707070707070707/id/1"));
    assert_eq!(first.counted("cpc_p2p_refused_total{reason=\"wrong_network\"}"), 1);
    let view = within(first.handle.view()).await.expect("it runs");
    assert_eq!(
        view.bans.iter().map(|ban| (ban.peer, &ban.offence)).collect::<Vec<_>>(),
        [(other.id(), &Offence::WrongNetwork)]
    );
}

/// What a stranger writes as a question, and what it is banned for.
async fn banned_for(bytes: Vec<u8>, expected: FrameError) {
    let mut node = Node::start(1, config(TCP)).await;
    let mut stranger = Stranger::new();
    assert!(stranger.dial(&node.address).await);
    let peer = *stranger.0.connected_peers().next().expect("the node");
    stranger.0.behaviour_mut().ask.send_request(&peer, bytes);
    let (refusal, ()) = tokio::join!(node.refused(), stranger.until_closed());
    assert_eq!(refusal, Refusal::Banned { offence: Offence::Frame(expected), length: Duration::from_secs(600) });
    // Whoever is banned does not come back.
    let address = node.address.clone();
    let (taken, refusal) = tokio::join!(
        async {
            // The door closes after the handshake, which has to say who knocks.
            stranger.dial(&address).await && {
                stranger.until_closed().await;
                false
            }
        },
        node.refused()
    );
    assert!(!taken);
    assert_eq!(refusal, Refusal::Denied(Denied::Banned));
}

// NET-6, NET-9: sizes are checked before room is made.
#[tokio::test]
async fn an_oversized_frame_bans_its_sender() {
    let bytes = [b"\x04echo".as_slice(), &u32::MAX.to_le_bytes()].concat();
    banned_for(bytes, FrameError::TooLong { limit: 1 << 10, found: 0xffff_ffff }).await;
}

#[tokio::test]
async fn a_malformed_frame_bans_its_sender() {
    banned_for(b"\xff".to_vec(), FrameError::Name { found: 255 }).await;
}

#[tokio::test]
async fn an_oversized_answer_bans_its_sender() {
    let mut node = Node::start(1, config(TCP)).await;
    let mut stranger = Stranger::new();
    assert!(stranger.dial(&node.address).await);
    let lie = async {
        loop {
            let event = stranger.0.select_next_some().await;
            if let SwarmEvent::Behaviour(common::StrangerBehaviourEvent::Ask(request_response::Event::Message {
                message: request_response::Message::Request { channel, .. },
                ..
            })) = event
            {
                let lie = [[0].as_slice(), &((1u32 << 20) + 1).to_le_bytes()].concat();
                stranger.0.behaviour_mut().ask.send_response(channel, lie).expect("it waits");
            }
        }
    };
    let ask = async {
        let peer = node.joined().await;
        let answer = node.handle.request(peer, "echo", Vec::new()).await;
        let expected = FrameError::TooLong { limit: 1 << 20, found: (1 << 20) + 1 };
        assert_eq!(answer, Err(RequestError::Frame(expected)));
        assert!(matches!(node.refused().await, Refusal::Banned { offence: Offence::Frame(_), .. }));
    };
    tokio::select! {
        () = within(ask) => {}
        () = lie => {}
    }
}

#[tokio::test]
async fn who_gossips_what_is_rejected_is_banned() {
    let (mut first, mut second) = pair(|_| {}).await;
    second.subscribed().await;
    for n in 0..4u8 {
        second.handle.publish("txs", vec![n]).await.expect("the first listens");
        let gossip = first.gossip().await;
        assert_eq!(gossip.bytes, [n]);
        gossip.token.judge(Judgement::Reject);
    }
    let length = Duration::from_secs(600);
    assert_eq!(first.refused().await, Refusal::Banned { offence: Offence::RejectedGossip, length });
    assert_eq!(first.left().await, second.id());
    assert_eq!(first.counted("cpc_p2p_messages_total{topic=\"txs\",outcome=\"rejected\"}"), 4);
    assert_eq!(first.counted("cpc_p2p_bans_total{offence=\"rejected_gossip\"}"), 1);
}

#[tokio::test]
async fn a_flood_of_gossip_ends_in_a_ban() {
    let (mut first, mut second) = pair(|config| config.limits.gossip_messages_per_second = 2).await;
    second.subscribed().await;
    for n in 0..8u8 {
        // The last ones may find nobody any more.
        let _ = second.handle.publish("txs", vec![n]).await;
    }
    let length = Duration::from_secs(600);
    assert_eq!(first.refused().await, Refusal::Banned { offence: Offence::Flood, length });
    assert!(first.counted("cpc_p2p_messages_total{topic=\"txs\",outcome=\"flood\"}") >= 2);
}

#[tokio::test]
async fn a_message_without_a_judgement_is_ignored_in_time() {
    let (mut first, mut second) = pair(|config| {
        config.limits.judgement_timeout = Duration::from_millis(100);
        config.limits.unjudged_max = 2;
    })
    .await;
    second.subscribed().await;
    let mut kept = Vec::new();
    for n in 0..2u8 {
        second.handle.publish("txs", vec![n]).await.expect("the first listens");
        kept.push(first.gossip().await);
    }
    // There is room again when the deadline has passed, although nobody gave a judgement.
    let again = async {
        for n in 2u8.. {
            second.handle.publish("txs", vec![n]).await.expect("the first listens");
            let next = tokio::time::timeout(Duration::from_millis(50), first.gossip()).await;
            if next.is_ok() {
                return;
            }
        }
    };
    within(again).await;
    assert!(first.counted("cpc_p2p_messages_total{topic=\"txs\",outcome=\"timed_out\"}") >= 1);
    // A judgement that comes late hurts nobody.
    kept.into_iter().for_each(|gossip| gossip.token.judge(Judgement::Reject));
    assert_eq!(within(first.handle.view()).await.expect("it runs").bans, []);
}

#[tokio::test]
async fn gossip_that_cannot_be_sent_says_why() {
    let alone = Node::start(1, config(TCP)).await;
    let publish = async |topic: &str, bytes: usize| alone.handle.publish(topic, vec![0; bytes]).await;
    assert_eq!(publish("none", 1).await, Err(PublishError::UnknownTopic { name: "none".to_owned() }));
    let too_long = TooLong { limit: 64 << 10, found: (64 << 10) + 1 };
    assert_eq!(publish("txs", too_long.found).await, Err(PublishError::TooLong(too_long)));
    assert_eq!(publish("txs", 1).await, Err(PublishError::NoPeers));
    alone.handle.stop().await;
    assert_eq!(publish("txs", 1).await, Err(PublishError::Stopped));
}

// NET-8: whoever comes when there are enough is refused by name, and those who are there stay.
#[tokio::test]
async fn a_flood_of_connections_is_held_under_its_limit() {
    let mut limited = config(TCP);
    limited.limits.connections_max = 4;
    let mut node = Node::start(1, limited).await;
    let mut strangers: Vec<Stranger> = (0..4).map(|_| Stranger::new()).collect();
    for stranger in &mut strangers {
        assert!(stranger.dial(&node.address).await);
        // A stranger that nobody drives says nothing: it has to say who it is.
        tokio::select! {
            _ = node.joined() => {}
            _ = async { loop { stranger.0.select_next_some().await; } } => {}
        }
    }
    for _ in 0..16 {
        let mut late = Stranger::new();
        let address = node.address.clone();
        let (taken, reason) = tokio::join!(late.dial(&address), node.refused());
        assert!(!taken);
        assert_eq!(reason, Refusal::Denied(Denied::Connections { max: 4 }));
    }
    assert_eq!(within(node.handle.view()).await.expect("it runs").peers.len(), 4);
    assert_eq!(node.counted("cpc_p2p_refused_total{reason=\"connections\"}"), 16);
}

#[tokio::test]
async fn sockets_that_say_nothing_are_counted_too() {
    let mut limited = config(TCP);
    limited.limits.pending_max = 8;
    let mut node = Node::start(1, limited).await;
    let port: u16 = node.address.split('/').nth(4).expect("a port").parse().expect("a number");
    let mut sockets = Vec::new();
    for _ in 0..32 {
        sockets.push(TcpStream::connect(("127.0.0.1", port)).await.expect("the system takes it"));
    }
    for _ in 8..32 {
        assert_eq!(node.refused().await, Refusal::Denied(Denied::Pending { max: 8 }));
    }
    drop(sockets);
}

// NET-3: a peer that was restarted is found again.
#[tokio::test]
async fn a_lost_peer_is_dialled_again() {
    let mut first = Node::start(1, config(TCP)).await;
    let mut second = config(TCP);
    second.boot = vec![first.address.rsplit_once("/p2p/").expect("a name").0.to_owned()];
    let mut second = Node::start(2, second).await;
    for _ in 0..2 {
        assert_eq!(second.joined().await, first.id());
        first.handle.stop().await;
        assert_eq!(second.left().await, first.id());
        let mut same = config(&second_listen(&first.address));
        same.limits.redial_min = Duration::from_secs(3600);
        first = Node::start(1, same).await;
    }
    assert_eq!(second.joined().await, first.id());
}

/// The address of a node without its name.
fn second_listen(address: &str) -> String {
    address.rsplit_once("/p2p/").expect("a name").0.to_owned()
}

#[tokio::test]
async fn known_peers_are_dialled_when_they_are_told_also_by_name() {
    let mut first = Node::start(1, config(TCP)).await;
    let mut second = Node::start(2, config(QUIC)).await;
    let address = first.address.replace("/ip4/127.0.0.1/", "/dns4/localhost/");
    let known = Known { peer: first.id(), addresses: vec![address] };
    second.handle.set_known(vec![known]).await.expect("an address");
    assert_eq!(second.joined().await, first.id());
    assert_eq!(first.joined().await, second.id());
    let view = within(first.handle.view()).await.expect("it runs");
    assert_eq!(view.peers.len(), 1);
    assert_eq!((view.peers[0].id, view.peers[0].agent.as_str()), (second.id(), "cpc-net-tests/1"));
    assert!(view.peers[0].protocols.iter().any(|name| name == "/cpc/0707070707070707/ask/1"), "{view:?}");
}

// NET-7: what is over the rate waits; it is not refused.
#[tokio::test]
async fn a_connection_is_read_no_faster_than_its_rate() {
    let (mut server, client) = pair(|config| config.limits.read_bytes_per_second = 256 << 10).await;
    let start = Instant::now();
    let (answer, ()) = tokio::join!(client.handle.request(server.id(), "echo", Vec::new()), async {
        server.request().await.reply.send(vec![7; 1 << 20]).expect("as long as it may be");
    });
    assert_eq!(answer, Ok(vec![7; 1 << 20]));
    // The burst is half a mebibyte, the other half comes at a quarter a second.
    assert!(start.elapsed() > Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_node_that_was_stopped_gives_its_port_back() {
    let mut first = Node::start(1, config(TCP)).await;
    let again = second_listen(&first.address);
    let taken = Net::start(config(&again), secret(2)).expect_err("the port is taken");
    assert!(matches!(&taken, StartError::Listen { address, .. } if *address == again), "{taken}");
    first.handle.stop().await;
    while first.events.recv().await.is_some() {}
    assert!(within(first.handle.view()).await.is_none());
    let second = Node::start(2, config(&again)).await;
    assert!(second.address.starts_with(&again), "{}", second.address);
}
