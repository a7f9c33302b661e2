//! A peer that never reads does not make a node grow.
//!
//! This file holds one test, because it watches the memory of its whole process.

mod common;

use std::fs;

use common::{Node, TCP, config, within};
use cpc_net::{Event, PublishError, Refusal, Topic};
use tokio::io::copy;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What is gossiped to the peer: 100 MiB, many times what may wait for it.
const MESSAGES: u32 = 1600;
const MESSAGE_BYTES: usize = 64 << 10;
/// 32 messages of 64 KiB may wait for one peer; the library keeps what was published at 16 MiB a second, twice as much
/// at once; the rest is for sockets and the allocator.
const GROWTH_KIB_MAX: u64 = 64 << 10;

// NET-7: what waits for a peer is bounded, the rest is dropped, and the peer is let go.
#[tokio::test]
async fn a_peer_that_never_reads_does_not_make_a_node_grow() {
    let topic = Topic { name: "txs".to_owned(), bytes_max: MESSAGE_BYTES };
    let mut sender = config(TCP);
    sender.topics = vec![topic.clone()];
    sender.limits.publish_bytes_per_second = 16 << 20;
    let mut sender = Node::start(1, sender).await;
    let port: u16 = sender.address.split('/').nth(4).expect("a port").parse().expect("a number");

    // Between the two stands somebody who stops to carry bytes in one direction.
    let middle = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let door = middle.local_addr().expect("it is bound").port();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut near, _) = middle.accept().await.expect("the reader dials");
        let mut far = TcpStream::connect(("127.0.0.1", port)).await.expect("the sender listens");
        let ((mut from_near, mut to_near), (mut from_far, mut to_far)) = (near.split(), far.split());
        let there = copy(&mut from_near, &mut to_far);
        let back = async {
            tokio::select! {
                _ = copy(&mut from_far, &mut to_near) => {}
                _ = stopped => std::future::pending::<()>().await,
            }
        };
        let _ = tokio::join!(there, back);
    });
    let mut reader = config(TCP);
    reader.topics = vec![topic];
    reader.boot = vec![format!("/ip4/127.0.0.1/tcp/{door}")];
    let mut reader = Node::start(2, reader).await;
    assert_eq!(sender.subscribed().await, reader.id());
    reader.subscribed().await;
    let drain = tokio::spawn(async move { while reader.events.recv().await.is_some() {} });

    stop.send(()).expect("the middle runs");
    let before = resident();
    let (mut full, mut fast, mut peak) = (0u32, 0u32, before);
    for n in 0..MESSAGES {
        match sender.handle.publish("txs", message(n)).await {
            Ok(()) => {}
            Err(PublishError::Full { peers: 1 }) => full += 1,
            Err(PublishError::Fast { .. }) => fast += 1,
            Err(other) => panic!("{other}"),
        }
        peak = peak.max(resident());
    }
    // Which of the two limits comes first depends on the machine.
    assert!(full > 0 && full + fast > MESSAGES / 2, "{full} found the queue full, {fast} were too fast");
    assert!(peak - before < GROWTH_KIB_MAX, "grew by {} KiB", peak - before);

    // It is let go when it has lost messages in several heartbeats in a row.
    let reason = within(async {
        let mut n = MESSAGES;
        loop {
            n += 1;
            // Nobody is left to publish to when the peer is gone.
            let _ = sender.handle.publish("txs", message(n)).await;
            let event = tokio::time::timeout(std::time::Duration::from_millis(20), sender.events.recv()).await;
            if let Ok(Some(Event::Refused { reason, .. })) = event {
                return reason;
            }
        }
    });
    assert_eq!(reason.await, Refusal::Slow);
    drain.abort();
}

fn message(n: u32) -> Vec<u8> {
    let mut bytes = vec![0; MESSAGE_BYTES];
    bytes[..4].copy_from_slice(&n.to_le_bytes());
    bytes
}

/// The memory of this process in KiB, as the kernel counts it.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux shows it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux counts it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
