//! Live events: final blocks, and the transactions in them, as server-sent events that a reader can resume.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use cpc_primitives::{Address, Fault, Height};
use cpc_store::Place;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::parts::{Asked, address};
use crate::api::document::Wrong;
use crate::api::dto::{BlockEvent, DroppedEvent, TxView};
use crate::api::guard::Caller;
use crate::api::problem::{Problem, invalid, refused};
use crate::api::texts::AddressText;
use crate::api::{Api, Counted};
use crate::chain::Chain;

/// Events that wait for one reader at most.
const QUEUE_MAX: usize = 64;
/// Transactions that are made into events at a time: a full block is never a reader's whole.
const PART_MAX: usize = 256;
/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a silent chain says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Which events.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct EventsAsk {
    /// Also the transactions of each block, before their block.
    #[param(default = false)]
    txs: Option<bool>,
    /// Of the transactions only those from or to this address; implies `txs`.
    #[param(value_type = Option<AddressText>, inline)]
    account: Option<String>,
}

/// Live events
///
/// `block` is a final block; its id is its height, and a reader that comes back with it in `Last-Event-ID` goes on
/// behind it. `tx` is a transaction of the block that follows. `dropped` is the last word to a reader that took nothing
/// for ten seconds.
#[utoipa::path(get, path = "/events", tag = "blocks",
    params(EventsAsk, ("Last-Event-ID" = Option<u64>, Header, description = "Goes on behind the block of this height")),
    responses((status = 200, body = String, content_type = "text/event-stream", description = "Events without an end"), Wrong))]
pub(in crate::api) async fn events(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Asked(ask): Asked<EventsAsk>,
) -> Result<Response, Problem> {
    let account = ask.account.as_deref().map(address).transpose()?;
    let txs = match (ask.txs.unwrap_or(false), account) {
        (_, Some(account)) => Txs::Of(account),
        (true, None) => Txs::All,
        (false, None) => Txs::None,
    };
    let head = *api.chain().heads().borrow();
    let last = last_seen(&headers)?.unwrap_or(head);
    let lowest = api.read(Chain::lowest).await?;
    if last > head {
        let detail = format!("Last-Event-ID is {last}, the last final block is {head}");
        return Err(refused("height_ahead", detail, "is this the node, and the network, that you read from before?"));
    }
    let next = last.next().unwrap_or(last);
    if next < lowest {
        let detail = format!("block {next} is not on this node's disk, which begins at {lowest}");
        return Err(refused("block_not_kept", detail, "read from another node, or without Last-Event-ID"));
    }
    let place = api.event_place()?;
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    // The last word has its place from the beginning: a reader that is dropped for being slow has a full queue.
    let last_word = sender.clone().reserve_owned().await.map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "no place for events", "ask again").retry_after(1)
    })?;
    tokio::spawn(async move {
        let reader = Reader { api, txs, sender, _place: place };
        if let Err(Ended::Slow(dropped)) = reader.feed(next).await {
            tracing::info!(address = %caller.0, height = dropped.height, "reader of live events was dropped: slow_reader");
            last_word.send(Ok(event("dropped", &dropped)));
        }
    });
    let stream = Sse::new(ReceiverStream::new(receiver));
    Ok(stream.keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// The height in `Last-Event-ID`.
fn last_seen(headers: &HeaderMap) -> Result<Option<Height>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let height = value.to_str().ok().and_then(|text| text.parse().ok());
    height
        .map(|height| Some(Height(height)))
        .ok_or_else(|| invalid("invalid_last_event_id", format!("Last-Event-ID is {value:?}, which is no height")))
}

/// Which transactions a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Txs {
    None,
    All,
    Of(Address),
}

/// Why no more events are sent.
enum Ended {
    /// The reader took too little.
    Slow(DroppedEvent),
    /// The reader has left, the node stops, or it cannot tell.
    Over,
}

/// One reader, fed at its own pace from the disk: what waits for it is bounded by its queue.
struct Reader {
    api: Api,
    txs: Txs,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    _place: Counted,
}

impl Reader {
    async fn feed(&self, mut next: Height) -> Result<(), Ended> {
        let mut heads = self.api.chain().heads();
        loop {
            let head = *heads.borrow_and_update();
            while next <= head {
                self.send_block(next).await?;
                next = next.next().ok_or(Ended::Over)?;
            }
            tokio::select! {
                biased;
                () = self.api.stopping() => return Err(Ended::Over),
                () = self.sender.closed() => return Err(Ended::Over),
                changed = heads.changed() => changed.map_err(|_| Ended::Over)?,
            }
        }
    }

    /// The transactions first: whoever comes back behind a block has seen all of its transactions.
    async fn send_block(&self, height: Height) -> Result<(), Ended> {
        let txs = self.txs;
        let mut from = 0;
        loop {
            let part = self.api.read(move |chain| part_of(chain, height, from, txs)).await.map_err(|_| Ended::Over)?;
            for tx in &part.txs {
                self.send(event("tx", tx), height).await?;
            }
            from += PART_MAX;
            if from >= part.end {
                let id = part.block.height.to_string();
                return self.send(event("block", &part.block).id(id), height).await;
            }
        }
    }

    async fn send(&self, event: Event, height: Height) -> Result<(), Ended> {
        let send = tokio::time::timeout(PATIENCE, self.sender.send(Ok(event)));
        let sent = tokio::select! {
            biased;
            () = self.api.stopping() => return Err(Ended::Over),
            sent = send => sent,
        };
        match sent {
            Ok(sent) => sent.map_err(|_| Ended::Over),
            Err(_) => {
                self.api.reader_dropped();
                let detail = format!("nothing was taken for {} s; come back with Last-Event-ID", PATIENCE.as_secs());
                Err(Ended::Slow(DroppedEvent { code: "slow_reader".to_owned(), detail, height: height.0 }))
            }
        }
    }
}

/// A block, and some of its transactions.
struct Part {
    block: BlockEvent,
    txs: Vec<TxView>,
    /// Behind the last transaction that is asked for.
    end: usize,
}

fn part_of(chain: &Chain, height: Height, from: usize, wanted: Txs) -> Result<Part, Fault> {
    let absent = || Fault::Damaged { detail: format!("block {height} was announced and is absent") };
    let kept = chain.executed(height)?.ok_or_else(absent)?;
    let block = BlockEvent::of(kept.block());
    if wanted == Txs::None {
        return Ok(Part { block, txs: Vec::new(), end: 0 });
    }
    let all = kept.block().txs.iter().enumerate().skip(from).take(PART_MAX);
    let place = |index: usize| Place { height, index: u32::try_from(index).unwrap_or(u32::MAX) };
    let views = all.map(|(index, tx)| kept.view(place(index), &tx.hash()));
    let concerns = |view: &TxView| match wanted {
        Txs::Of(account) => {
            let account = account.to_string();
            view.from == account || view.to.as_ref() == Some(&account)
        }
        _ => true,
    };
    let txs = views.filter(|view| view.as_ref().map_or(true, concerns)).collect::<Result<_, _>>()?;
    Ok(Part { block, txs, end: kept.block().txs.len() })
}

fn event(name: &str, data: &impl serde::Serialize) -> Event {
    let text = serde_json::to_string(data).expect("our own records are JSON");
    Event::default().event(name).data(text)
}
