//! How to talk to the network, what it says, and what a full queue drops.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use libp2p::request_response::{InboundRequestId, ResponseChannel};
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::ask::{Answered, FrameError, NoAnswer};
use crate::bans::Offence;
use crate::config::{Known, NetworkId, Protocol, StartError, Topic, address};
use crate::gate::Denied;
use crate::peer::{PeerId, View};

/// What the network tells. `Listening`, `Joined` and `Left` are never lost; the rest is dropped where nobody listens,
/// and whoever asked or gossiped is told so.
#[derive(Debug)]
pub enum Event {
    /// A socket is open.
    Listening {
        /// Where, with the port that was given.
        address: String,
    },
    /// A peer of this network is connected.
    Joined {
        /// Who.
        peer: PeerId,
    },
    /// Its last connection is gone.
    Left {
        /// Who.
        peer: PeerId,
    },
    /// A connection was refused or ended.
    Refused {
        /// Who, where that was known.
        peer: Option<PeerId>,
        /// From where.
        address: String,
        /// Why.
        reason: Refusal,
    },
    /// A peer listens to a topic of ours.
    Subscribed {
        /// Who.
        peer: PeerId,
        /// To what.
        topic: String,
    },
    /// A peer gossiped a message.
    Gossip(Gossip),
    /// A peer asks.
    Request(Request),
}

/// Why a connection was refused or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The other side belongs to another network.
    #[error("the peer belongs to the network {found:?}, this node to {expected}")]
    WrongNetwork {
        /// Our network.
        expected: NetworkId,
        /// What the peer says of itself, shortened.
        found: String,
    },
    /// It did not say who it is.
    #[error("the peer did not say who it is within {} s", after.as_secs())]
    Unidentified {
        /// How long it had.
        after: Duration,
    },
    /// The door is closed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It is banned for what it did.
    #[error("the peer is banned for {} s: {offence}", length.as_secs())]
    Banned {
        /// What it did.
        offence: Offence,
        /// How long.
        length: Duration,
    },
    /// It does not read.
    #[error("the peer does not read what it is sent")]
    Slow,
    /// It does not answer.
    #[error("the peer does not answer")]
    Silent,
    /// The application asked for it.
    #[error("the application ended the connection: {0}")]
    Asked(String),
}

impl Refusal {
    /// The word for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WrongNetwork { .. } => "wrong_network",
            Self::Unidentified { .. } => "unidentified",
            Self::Denied(denied) => denied.name(),
            Self::Banned { offence, .. } => offence.name(),
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::Asked(_) => "asked",
        }
    }
}

/// A gossiped message, which goes on to others only when it is accepted.
#[derive(Debug)]
pub struct Gossip {
    /// Who sent it here, which need not be who made it.
    pub peer: PeerId,
    /// About what.
    pub topic: Arc<str>,
    /// What it says.
    pub bytes: Vec<u8>,
    /// What the judgement is given with; dropped, the judgement is `Ignore`.
    pub token: Token,
}

/// What the application says of a gossiped message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Others shall have it.
    Accept,
    /// It goes no further, and nobody is to blame.
    Ignore,
    /// No honest node would have sent it: its sender is banned when it does so again.
    Reject,
}

impl Judgement {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accepted",
            Self::Ignore => "ignored",
            Self::Reject => "rejected",
        }
    }
}

/// The right to judge one message, once.
pub struct Token {
    pub(crate) number: u64,
    pub(crate) answers: Option<mpsc::UnboundedSender<Answer>>,
}

impl Token {
    /// Gives the judgement.
    pub fn judge(mut self, judgement: Judgement) {
        self.send(judgement);
    }

    fn send(&mut self, judgement: Judgement) {
        if let Some(answers) = self.answers.take() {
            // A node that has stopped judges nothing.
            let _ = answers.send(Answer::Judgement { number: self.number, judgement });
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.send(Judgement::Ignore);
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.number)
    }
}

/// A question of a peer.
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub peer: PeerId,
    /// The protocol.
    pub protocol: Arc<str>,
    /// The question.
    pub bytes: Vec<u8>,
    /// What the answer is given with; dropped, the peer is told that there is none.
    pub reply: Reply,
}

/// The right to answer one question, once.
pub struct Reply {
    pub(crate) inner: Option<ReplyTo>,
    pub(crate) limit: usize,
}

pub(crate) struct ReplyTo {
    pub(crate) id: InboundRequestId,
    pub(crate) channel: ResponseChannel<Answered>,
    pub(crate) answers: mpsc::UnboundedSender<Answer>,
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// An answer or message was longer than its protocol allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} bytes where at most {limit} are allowed")]
pub struct TooLong {
    /// The limit.
    pub limit: usize,
    /// How many there were.
    pub found: usize,
}

impl Reply {
    /// Answers. An answer that is too long is not sent, and the peer is told that there is none.
    pub fn send(mut self, bytes: Vec<u8>) -> Result<(), TooLong> {
        let (limit, found) = (self.limit, bytes.len());
        if found > limit {
            return Err(TooLong { limit, found });
        }
        self.give(Ok(bytes));
        Ok(())
    }

    /// Says why there is no answer.
    pub fn refuse(mut self, why: NoAnswer) {
        self.give(Err(why));
    }

    fn give(&mut self, answer: Answered) {
        if let Some(ReplyTo { id, channel, answers, room }) = self.inner.take() {
            // A node that has stopped answers nothing.
            let _ = answers.send(Answer::Reply { id, channel, answer });
            drop(room);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.give(Err(NoAnswer::None));
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// What comes back from the application. The channel has no bound of its own: there is at most one for every message
/// that is not judged and every question that is not answered, and these are bounded.
pub(crate) enum Answer {
    Judgement { number: u64, judgement: Judgement },
    Reply { id: InboundRequestId, channel: ResponseChannel<Answered>, answer: Answered },
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// This node has no such protocol.
    #[error("there is no protocol {name:?}")]
    UnknownProtocol {
        /// Its name.
        name: String,
    },
    /// The question is longer than the protocol allows.
    #[error("the question: {0}")]
    TooLong(#[from] TooLong),
    /// The peer is not connected.
    #[error("the peer {peer} is not connected")]
    NotConnected {
        /// Who.
        peer: PeerId,
    },
    /// As many questions are in flight as may be.
    #[error("{max} questions are in flight, which is the limit")]
    Busy {
        /// The limit.
        max: usize,
    },
    /// The peer says why it gives none.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// It came too late.
    #[error("no answer within {} ms", after.as_millis())]
    Timeout {
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection ended.
    #[error("the connection ended: {reason}")]
    Closed {
        /// What the library said.
        reason: String,
    },
    /// The answer is no answer; the peer is banned for it.
    #[error("the answer: {0}")]
    Frame(FrameError),
    /// The network has stopped.
    #[error("the network has stopped")]
    Stopped,
}

/// Why a message was not gossiped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// This node has no such topic.
    #[error("there is no topic {name:?}")]
    UnknownTopic {
        /// Its name.
        name: String,
    },
    /// The message is longer than the topic allows.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// Nobody listens.
    #[error("no peer listens to the topic")]
    NoPeers,
    /// More than this node may gossip: the library keeps what it sends for a while.
    #[error("this node gossips at most {per_second} bytes a second")]
    Fast {
        /// The limit.
        per_second: u64,
    },
    /// Nobody reads.
    #[error("the queues of all {peers} peers are full")]
    Full {
        /// How many they are.
        peers: usize,
    },
    /// The library refused it.
    #[error("the message was not taken: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The network has stopped.
    #[error("the network has stopped")]
    Stopped,
}

/// What the application asks of the network.
pub(crate) enum Command {
    Publish { topic: usize, bytes: Vec<u8>, reply: oneshot::Sender<Result<(), PublishError>> },
    Request { peer: PeerId, protocol: usize, bytes: Vec<u8>, reply: oneshot::Sender<Result<Vec<u8>, RequestError>> },
    Known(Vec<(PeerId, Vec<libp2p::Multiaddr>)>),
    Ban { peer: PeerId, reason: String },
    Disconnect { peer: PeerId, reason: String },
    View(oneshot::Sender<View>),
    Stop(oneshot::Sender<()>),
}

/// The way to the network. Its queue is bounded: whoever finds it full waits.
#[derive(Clone)]
pub struct Handle {
    pub(crate) id: PeerId,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) topics: Arc<[Topic]>,
    pub(crate) protocols: Arc<[Protocol]>,
    pub(crate) registry: Arc<Registry>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.id)
    }
}

impl Handle {
    /// Who this node is.
    pub const fn id(&self) -> PeerId {
        self.id
    }

    /// What is counted, for `/metrics`.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is counted, in the text form of the library.
    pub fn metrics_text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("a string takes whatever is written");
        text
    }

    /// Gossips a message. One that was gossiped before is not sent again, and is no error.
    pub async fn publish(&self, topic: &str, bytes: Vec<u8>) -> Result<(), PublishError> {
        let place = self.topics.iter().position(|known| known.name == topic);
        let place = place.ok_or_else(|| PublishError::UnknownTopic { name: topic.to_owned() })?;
        within(self.topics[place].bytes_max, bytes.len())?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Publish { topic: place, bytes, reply };
        self.commands.send(command).await.map_err(|_| PublishError::Stopped)?;
        answer.await.unwrap_or(Err(PublishError::Stopped))
    }

    /// Asks a peer that is connected, and waits for the answer as long as the protocol says.
    pub async fn request(&self, peer: PeerId, protocol: &str, bytes: Vec<u8>) -> Result<Vec<u8>, RequestError> {
        let place = self.protocols.iter().position(|known| known.name == protocol);
        let place = place.ok_or_else(|| RequestError::UnknownProtocol { name: protocol.to_owned() })?;
        let protocol = &self.protocols[place];
        within(protocol.request_bytes_max, bytes.len())?;
        let asked = async {
            let (reply, answer) = oneshot::channel();
            let command = Command::Request { peer, protocol: place, bytes, reply };
            self.commands.send(command).await.map_err(|_| RequestError::Stopped)?;
            answer.await.unwrap_or(Err(RequestError::Stopped))
        };
        let after = protocol.timeout;
        tokio::time::timeout(after, asked).await.unwrap_or(Err(RequestError::Timeout { after }))
    }

    /// Says whom to stay connected with, beside the boot addresses; it replaces what was said before.
    pub async fn set_known(&self, known: Vec<Known>) -> Result<(), StartError> {
        let read = |known: Known| {
            let addresses = known.addresses.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
            Ok((known.peer, addresses))
        };
        let known = known.into_iter().map(read).collect::<Result<_, StartError>>()?;
        // A node that has stopped knows nobody.
        let _ = self.commands.send(Command::Known(known)).await;
        Ok(())
    }

    /// Bans a peer for what the application found.
    pub async fn ban(&self, peer: PeerId, reason: String) {
        let _ = self.commands.send(Command::Ban { peer, reason }).await;
    }

    /// Ends the connections with a peer, which may come again.
    pub async fn disconnect(&self, peer: PeerId, reason: String) {
        let _ = self.commands.send(Command::Disconnect { peer, reason }).await;
    }

    /// What this node sees; nothing where the network has stopped.
    pub async fn view(&self) -> Option<View> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::View(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Closes every connection and socket, and returns when that is done.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Stop(reply)).await.is_ok() {
            // The task drops the sender when it ends, also when it was stopped by somebody else.
            let _ = answer.await;
        }
    }
}

fn within(limit: usize, found: usize) -> Result<(), TooLong> {
    if found <= limit { Ok(()) } else { Err(TooLong { limit, found }) }
}

/// What the network tells, in order.
#[derive(Debug)]
pub struct Events(pub(crate) mpsc::Receiver<Event>);

impl Events {
    /// The next event; nothing after the network has stopped.
    pub async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}
