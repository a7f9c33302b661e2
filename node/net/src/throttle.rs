//! Reads from a connection no faster than it may send: what is over the rate waits in the sender's buffers.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use tokio::time::Sleep;

use crate::bucket::{Bucket, Rate};

/// A connection whose streams share one bucket of bytes (NET-7).
pub(crate) struct Throttled {
    inner: StreamMuxerBox,
    bucket: Arc<Mutex<Bucket>>,
}

impl Throttled {
    pub(crate) fn new(inner: StreamMuxerBox, rate: Rate) -> Self {
        Self { inner, bucket: Arc::new(Mutex::new(Bucket::new(rate, Instant::now()))) }
    }

    fn stream(&self, inner: SubstreamBox) -> ThrottledStream {
        ThrottledStream { inner, bucket: self.bucket.clone(), sleep: None }
    }
}

impl StreamMuxer for Throttled {
    type Substream = ThrottledStream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<ThrottledStream>> {
        let stream = ready!(Pin::new(&mut self.inner).poll_inbound(cx))?;
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<ThrottledStream>> {
        let stream = ready!(Pin::new(&mut self.inner).poll_outbound(cx))?;
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// One stream of such a connection.
pub(crate) struct ThrottledStream {
    inner: SubstreamBox,
    bucket: Arc<Mutex<Bucket>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for ThrottledStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        loop {
            if let Some(sleep) = &mut this.sleep {
                ready!(sleep.as_mut().poll(cx));
                this.sleep = None;
            }
            let owed = this.bucket.lock().expect("no holder of this lock panics").wait(Instant::now());
            let Some(wait) = owed else { break };
            this.sleep = Some(Box::pin(tokio::time::sleep(wait)));
        }
        let count = ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        let cost = u64::try_from(count).unwrap_or(u64::MAX);
        this.bucket.lock().expect("no holder of this lock panics").overdraw(cost, Instant::now());
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for ThrottledStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
