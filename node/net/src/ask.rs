//! The bytes of questions and answers: one of each on a stream, with sizes that are checked before room is made.

use std::io;
use std::sync::Arc;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{NAME_BYTES_MAX, Protocol};

/// Room is made in steps of this while bytes arrive, so that a length that lies costs its sender more than us.
const STEP_BYTES: usize = 64 << 10;
/// The unit in which room for questions is counted.
const ROOM_UNIT: usize = 1 << 10;

/// Why bytes on a stream are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than the protocol allows.
    #[error("a frame of {found} bytes where at most {limit} are allowed")]
    TooLong {
        /// The limit of the protocol.
        limit: usize,
        /// What the frame says.
        found: usize,
    },
    /// A protocol's name of no bytes, or of too many.
    #[error("a name of {found} bytes where 1 to {NAME_BYTES_MAX} are allowed")]
    Name {
        /// What the frame says.
        found: usize,
    },
    /// An answer that is neither bytes nor a refusal.
    #[error("an answer of the unknown kind {found}")]
    Kind {
        /// The byte.
        found: u8,
    },
    /// Something behind the one frame of a stream.
    #[error("bytes behind the end of a frame")]
    Trailing,
}

impl FrameError {
    /// The word for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "frame_too_long",
            Self::Name { .. } | Self::Kind { .. } | Self::Trailing => "frame_malformed",
        }
    }

    /// The frame error inside an error of the stream.
    pub(crate) fn within(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Why a peer gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// It answers as many as it may.
    #[error("the peer is busy")]
    Busy,
    /// It has no such protocol.
    #[error("the peer does not speak the protocol")]
    UnknownProtocol,
    /// It has no answer.
    #[error("the peer has no answer")]
    None,
}

impl NoAnswer {
    const fn kind(self) -> u8 {
        match self {
            Self::Busy => 1,
            Self::UnknownProtocol => 2,
            Self::None => 3,
        }
    }
}

/// A question on its stream.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Of a protocol that we have, by its place in the table.
    Known { protocol: usize, bytes: Vec<u8>, room: Option<OwnedSemaphorePermit> },
    /// Of another one; its bytes were not read.
    Unknown,
    /// None at all. The library says nothing of a question that cannot be read, so that this is read as one.
    Bad(FrameError),
}

/// An answer on its stream.
pub(crate) type Answered = Result<Vec<u8>, NoAnswer>;

/// Reads and writes the frames of NET-6.
#[derive(Clone)]
pub(crate) struct Frames {
    table: Arc<[Protocol]>,
    room: Arc<Semaphore>,
    /// What this stream asked, which says how long the answer may be. Every stream has its own copy of the codec.
    asked: Option<usize>,
}

impl Frames {
    pub(crate) fn new(table: Arc<[Protocol]>, request_bytes_max: usize) -> Self {
        let units = request_bytes_max.div_ceil(ROOM_UNIT).min(Semaphore::MAX_PERMITS);
        Self { table, room: Arc::new(Semaphore::new(units)), asked: None }
    }
}

impl Frames {
    async fn read_question<T: AsyncRead + Unpin>(&self, io: &mut T) -> io::Result<Asked> {
        // NET-6: name, length, bytes, end.
        let [length] = read::<1, _>(io).await?;
        let length = usize::from(length);
        if length == 0 || length > NAME_BYTES_MAX {
            return Err(FrameError::Name { found: length }.into());
        }
        let mut name = [0; NAME_BYTES_MAX];
        io.read_exact(&mut name[..length]).await?;
        let Some(protocol) = self.table.iter().position(|protocol| protocol.name.as_bytes() == &name[..length]) else {
            return Ok(Asked::Unknown);
        };
        let length = read_length(io, self.table[protocol].request_bytes_max).await?;
        let units = u32::try_from(length.div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX);
        // NET-7: a question waits for room before any is made for it; whoever waits too long is timed out.
        let room = self.room.clone().acquire_many_owned(units).await.map_err(io::Error::other)?;
        let bytes = read_bytes(io, length).await?;
        read_end(io).await?;
        Ok(Asked::Known { protocol, bytes, room: Some(room) })
    }
}

impl Codec for Frames {
    type Protocol = StreamProtocol;
    type Request = Asked;
    type Response = Answered;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Asked>
    where
        T: AsyncRead + Unpin + Send,
    {
        let asked = self.read_question(io).await;
        asked.or_else(|error| FrameError::within(&error).map(Asked::Bad).ok_or(error))
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Answered>
    where
        T: AsyncRead + Unpin + Send,
    {
        let protocol = self.asked.expect("an answer is read on the stream that the question was written to");
        let [kind] = read::<1, _>(io).await?;
        let answer = match kind {
            0 => {
                let length = read_length(io, self.table[protocol].response_bytes_max).await?;
                Ok(read_bytes(io, length).await?)
            }
            1 => Err(NoAnswer::Busy),
            2 => Err(NoAnswer::UnknownProtocol),
            3 => Err(NoAnswer::None),
            found => return Err(FrameError::Kind { found }.into()),
        };
        read_end(io).await?;
        Ok(answer)
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Asked) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let Asked::Known { protocol, bytes, .. } = request else {
            return Err(io::Error::other("only a known protocol is asked"));
        };
        self.asked = Some(protocol);
        let name = self.table[protocol].name.as_bytes();
        let mut head = Vec::with_capacity(1 + name.len() + 4);
        head.push(u8::try_from(name.len()).expect("a name is short"));
        head.extend_from_slice(name);
        head.extend_from_slice(&length_of(&bytes)?.to_le_bytes());
        io.write_all(&head).await?;
        io.write_all(&bytes).await?;
        io.flush().await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, answer: Answered) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match answer {
            Ok(bytes) => {
                let length = length_of(&bytes)?.to_le_bytes();
                io.write_all(&[0, length[0], length[1], length[2], length[3]]).await?;
                io.write_all(&bytes).await?;
            }
            Err(refusal) => io.write_all(&[refusal.kind()]).await?,
        }
        io.flush().await
    }
}

fn length_of(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(io::Error::other)
}

async fn read<const N: usize, T: AsyncRead + Unpin>(io: &mut T) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    io.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn read_length<T: AsyncRead + Unpin>(io: &mut T, limit: usize) -> io::Result<usize> {
    let found = usize::try_from(u32::from_le_bytes(read(io).await?)).map_err(io::Error::other)?;
    if found > limit { Err(FrameError::TooLong { limit, found }.into()) } else { Ok(found) }
}

async fn read_bytes<T: AsyncRead + Unpin>(io: &mut T, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(STEP_BYTES));
    let limit = u64::try_from(length).map_err(io::Error::other)?;
    io.take(limit).read_to_end(&mut bytes).await?;
    if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

async fn read_end<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<()> {
    if io.read(&mut [0]).await? == 0 { Ok(()) } else { Err(FrameError::Trailing.into()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    const NAME: StreamProtocol = StreamProtocol::new("/test");

    fn frames() -> Frames {
        let protocol = |name: &str| Protocol {
            name: name.to_owned(),
            request_bytes_max: 8,
            response_bytes_max: 16,
            timeout: Duration::from_secs(1),
            per_peer_max: 1,
            total_max: 1,
        };
        Frames::new([protocol("echo"), protocol("other")].into(), 1 << 20)
    }

    fn asked(bytes: &[u8]) -> io::Result<Asked> {
        block_on(frames().read_request(&NAME, &mut Cursor::new(bytes)))
    }

    fn answered(bytes: &[u8]) -> io::Result<Answered> {
        let mut frames = frames();
        frames.asked = Some(0);
        block_on(frames.read_response(&NAME, &mut Cursor::new(bytes)))
    }

    #[track_caller]
    fn bad(bytes: &[u8], expected: FrameError) {
        let found = asked(bytes).expect("it is read as a bad one");
        assert!(matches!(found, Asked::Bad(found) if found == expected), "{found:?}");
    }

    #[track_caller]
    fn refused(found: io::Result<Answered>, expected: FrameError) {
        let error = found.map(drop).expect_err("refused");
        assert_eq!(FrameError::within(&error), Some(expected));
    }

    #[test]
    fn a_question_is_read_as_it_is_written() {
        let mut out = Vec::new();
        let question = Asked::Known { protocol: 1, bytes: b"12345678".to_vec(), room: None };
        block_on(frames().write_request(&NAME, &mut out, question)).expect("a vector takes it");
        let Ok(Asked::Known { protocol, bytes, .. }) = asked(&out) else { panic!("{out:?}") };
        assert_eq!((protocol, bytes.as_slice()), (1, b"12345678".as_slice()));
    }

    #[test]
    fn an_answer_is_read_as_it_is_written() {
        let refusals = [NoAnswer::Busy, NoAnswer::UnknownProtocol, NoAnswer::None];
        for answer in [Ok(Vec::new()), Ok(vec![7; 16])].into_iter().chain(refusals.map(Err)) {
            let mut out = Vec::new();
            block_on(frames().write_response(&NAME, &mut out, answer.clone())).expect("a vector takes it");
            assert_eq!(answered(&out).expect("read"), answer);
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_by_name() {
        bad(b"\x04echo\x09\0\0\x00123456789", FrameError::TooLong { limit: 8, found: 9 });
        bad(b"\x04echo\xff\xff\xff\xff", FrameError::TooLong { limit: 8, found: 0xffff_ffff });
        bad(b"\x04echo\x01\0\0\0aa", FrameError::Trailing);
        bad(b"\0", FrameError::Name { found: 0 });
        bad(b"\x21", FrameError::Name { found: 33 });
        refused(answered(b"\0\x11\0\0\0"), FrameError::TooLong { limit: 16, found: 17 });
        refused(answered(b"\0\x01\0\0\0aa"), FrameError::Trailing);
        refused(answered(b"\x01\0"), FrameError::Trailing);
        refused(answered(b"\x04"), FrameError::Kind { found: 4 });
        assert!(matches!(asked(b"\x03abc"), Ok(Asked::Unknown)));
    }

    #[test]
    fn a_frame_that_ends_early_is_nobodys_fault() {
        // A connection that breaks looks the same.
        for short in [&b""[..], b"\x04ec", b"\x04echo\x02\0", b"\x04echo\x02\0\0\0a"] {
            let error = asked(short).map(drop).expect_err("refused");
            assert_eq!((FrameError::within(&error), error.kind()), (None, io::ErrorKind::UnexpectedEof));
        }
    }
}
