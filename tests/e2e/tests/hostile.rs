//! Strangers at every door of a running validator: it goes on making blocks, answers others, and does not grow.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use cpc_e2e::{Devnet, Validators};
use cpc_engine::{Recorder, RecorderConfig, Seat, Signer};
use cpc_genesis::{ChainSpec, Genesis, known_key};
use cpc_light::namespace;

/// Connections of one stranger at a time.
const STRANGERS: usize = 150;
/// What all strangers together may cost in memory.
const GROWTH_MAX: u64 = 96 << 20;

/// Bytes that mean nothing, the same in every run.
fn noise(name: &str, bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut noise);
    noise
}

/// Connects, and says something; nobody has to take it.
fn say(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a socket");
    // Whoever hangs up early is right to.
    let _ = stream.write_all(bytes);
    stream
}

/// Demands that a node makes blocks and answers a question at once.
fn lives(node: &Devnet, what: &str) {
    let start = Instant::now();
    let (status, _) = node.get("/api/v1/status");
    assert!(status == 200 && start.elapsed() < Duration::from_secs(2), "{what}: {status} after {:?}", start.elapsed());
    node.reach(node.tip() + 2);
}

#[test]
fn strangers_at_every_door_change_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let validators = Validators::start(home.path(), 4, 100);
    validators.reach(2);
    let text = std::fs::read_to_string(home.path().join("genesis.toml")).expect("written");
    let genesis = Genesis::build(ChainSpec::parse(&text).expect("a spec")).expect("a genesis");
    let node = validators.node(0);
    let api: SocketAddr = node.url.trim_start_matches("http://").parse().expect("an address");
    let seats: Vec<Seat> = genesis
        .spec
        .validators
        .iter()
        .map(|validator| {
            let address = &validator.registration.consensus_addresses[0];
            let address = core::str::from_utf8(address).expect("text").parse().expect("an address");
            Seat { key: validator.registration.consensus.key, addresses: vec![address] }
        })
        .collect();
    let own = known_key("devnet/0/consensus").public();
    let consensus = seats.iter().find(|seat| seat.key == own).expect("its seat").addresses[0];
    let before = node.resident();

    // Noise where the seats greet each other, all of it at once, and as the length of a frame that never comes.
    for bytes in [noise("greeting", 1 << 20), vec![0xff; 64], vec![0; 64]] {
        say(consensus, &bytes);
    }
    lives(node, "noise instead of a greeting");
    // Many who say nothing at all.
    let silent: Vec<TcpStream> = (0..STRANGERS).map(|_| say(consensus, &[])).collect();
    lives(node, "silence instead of a greeting");
    drop(silent);

    // Somebody who greets well, and has no seat: it hears nothing.
    let stranger = Recorder::start(RecorderConfig {
        dir: home.path().join("stranger"),
        listen: "127.0.0.1:0".parse().expect("an address"),
        signer: Signer::new(known_key("stranger")),
        namespace: namespace(genesis.spec.params.chain, &genesis.id()),
        seats: seats.clone(),
        seats_max: 16,
        block_bytes_max: genesis.spec.params.block_bytes_max,
    })
    .expect("a thread");
    lives(node, "a stranger who greets");
    lives(node, "a stranger who greets, later");
    assert_eq!(stranger.heard().len(), 0, "a key without a seat is told what the seats vote");
    drop(stranger);
    // The key of a seat, for another network.
    let foreign = Recorder::start(RecorderConfig {
        dir: home.path().join("foreign"),
        listen: "127.0.0.1:0".parse().expect("an address"),
        signer: Signer::new(known_key("devnet/3/consensus")),
        namespace: b"another network".to_vec(),
        seats,
        seats_max: 16,
        block_bytes_max: genesis.spec.params.block_bytes_max,
    })
    .expect("a thread");
    lives(node, "a seat of another network");
    assert_eq!(foreign.heard().len(), 0, "another network is told what the seats vote");
    drop(foreign);

    // Datagrams that are no QUIC, where nodes find each other.
    let network =
        core::str::from_utf8(&genesis.spec.validators[0].registration.network_addresses[0]).expect("text").to_owned();
    let port: u16 = network.split('/').nth(4).expect("a port").parse().expect("a number");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for n in 0..2_000u32 {
        let bytes = noise(&n.to_string(), 20 + usize::try_from(n % 1_300).expect("few"));
        // Where its buffer is full, this one is lost.
        let _ = socket.send_to(&bytes, ("127.0.0.1", port));
    }
    lives(node, "datagrams of noise");

    // HTTP: heads that never end, bodies that never come, more connections than there are.
    let head = b"GET /api/v1/status HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ";
    let slow: Vec<TcpStream> = (0..STRANGERS).map(|_| say(api, head)).collect();
    let body = b"POST /api/v1/txs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n{";
    let mute: Vec<TcpStream> = (0..STRANGERS).map(|_| say(api, body)).collect();
    lives(node, "three hundred slow clients");
    let mut first = mute.into_iter().next().expect("many");
    first.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    let mut answer = String::new();
    first.read_to_string(&mut answer).expect("it is told, and left");
    assert!(answer.starts_with("HTTP/1.1 408"), "a body that never comes: {answer}");
    drop(slow);
    for bytes in [noise("http", 1 << 20), b"GET / HTTP/9.9\r\n\r\n".to_vec(), vec![b'a'; 1 << 20]] {
        say(api, &bytes);
    }
    lives(node, "noise instead of HTTP");

    thread::park_timeout(Duration::from_millis(100));
    let after = node.resident();
    assert!(after < before + GROWTH_MAX, "the node grew from {before} to {after} bytes");
    validators.stop();
}
