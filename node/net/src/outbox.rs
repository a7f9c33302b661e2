//! Events on their way to the application: some may be dropped, some never are.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use crate::ingress::Event;
use crate::peer::PeerId;

/// The queue to the application, and what did not fit into it and must not be lost.
///
/// A peer that came and went while the application did not look leaves no trace, so that what waits is never more than
/// the peers that are connected and those whose coming was told.
pub(crate) struct Outbox {
    sender: mpsc::Sender<Event>,
    waiting: VecDeque<Event>,
}

impl Outbox {
    pub(crate) fn new(sender: mpsc::Sender<Event>) -> Self {
        Self { sender, waiting: VecDeque::new() }
    }

    /// Tells what may be lost. It gives the event back where there is no room.
    pub(crate) fn offer(&mut self, event: Event) -> Result<(), Box<Event>> {
        // What must not be lost stands first.
        if !self.waiting.is_empty() {
            return Err(Box::new(event));
        }
        self.sender.try_send(event).map_err(|error| match error {
            mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event) => Box::new(event),
        })
    }

    /// Tells what must not be lost: who came, who left, where this node listens.
    pub(crate) fn tell(&mut self, event: Event) {
        if let Event::Left { peer } = &event
            && self.take_back(*peer)
        {
            return;
        }
        if let Err(event) = self.offer(event) {
            self.waiting.push_back(*event);
        }
    }

    /// Removes the coming of a peer that was not told yet.
    fn take_back(&mut self, left: PeerId) -> bool {
        let came = |event: &Event| matches!(event, Event::Joined { peer } if *peer == left);
        let place = self.waiting.iter().rposition(came);
        place.and_then(|place| self.waiting.remove(place)).is_some()
    }

    /// Waits until something that waits was told; for ever where nothing does.
    pub(crate) async fn flush(&mut self) {
        if self.waiting.is_empty() {
            return std::future::pending().await;
        }
        match self.sender.reserve().await {
            Ok(room) => {
                if let Some(event) = self.waiting.pop_front() {
                    room.send(event);
                }
            }
            // Nobody listens any more: the node is about to be stopped.
            Err(_) => self.waiting.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::of_secret([n; 32])
    }

    #[test]
    fn what_must_not_be_lost_waits_and_keeps_its_order() {
        let (sender, mut events) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        outbox.tell(Event::Joined { peer: peer(1) });
        outbox.tell(Event::Joined { peer: peer(2) });
        outbox.tell(Event::Left { peer: peer(1) });
        let full = outbox.offer(Event::Listening { address: String::new() });
        assert!(full.is_err(), "there is no room");
        for expected in ["Joined", "Joined", "Left"] {
            let event = events.try_recv().expect("told");
            assert!(format!("{event:?}").starts_with(expected), "{event:?}");
            let mut flush = std::pin::pin!(outbox.flush());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let _ = flush.as_mut().poll(&mut context);
        }
    }

    #[test]
    fn who_came_and_went_unseen_leaves_no_trace() {
        let (sender, _events) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        outbox.tell(Event::Joined { peer: peer(0) });
        for n in 1..100 {
            outbox.tell(Event::Joined { peer: peer(n) });
            outbox.tell(Event::Left { peer: peer(n) });
        }
        assert_eq!(outbox.waiting.len(), 0);
        // Whose coming was told, has its going told.
        outbox.tell(Event::Left { peer: peer(0) });
        assert_eq!(outbox.waiting.len(), 1);
    }
}
