//! Final blocks, and the results in them.

use axum::extract::State;
use axum::response::Json;
use cpc_primitives::{BlockId, Fault, Height};

use super::Answer;
use super::parts::At;
use crate::api::Api;
use crate::api::document::Absent;
use crate::api::dto::{BlockView, ResultsView};
use crate::api::problem::{Problem, invalid, missing};
use crate::api::texts::WhichText;
use crate::chain::Chain;

/// A block with its certificate
#[utoipa::path(get, path = "/blocks/{which}", tag = "blocks",
    params(("which" = inline(WhichText), Path, description = "A height, an id, or `latest`")),
    responses((status = 200, body = BlockView, description = "The block"), Absent))]
pub(in crate::api) async fn block(State(api): State<Api>, At(which): At<String>) -> Answer<BlockView> {
    let named = named(&which)?;
    let found = api.read(move |chain| view(chain, named)).await?;
    found.map(Json).ok_or_else(|| missing("block_not_found", format!("there is no block {which}")))
}

/// What was computed and settled in a block
#[utoipa::path(get, path = "/blocks/{which}/results", tag = "blocks",
    params(("which" = inline(WhichText), Path, description = "A height, an id, or `latest`")),
    responses((status = 200, body = ResultsView, description = "The leaves under its compute root"), Absent))]
pub(in crate::api) async fn results(State(api): State<Api>, At(which): At<String>) -> Answer<ResultsView> {
    let BlockView { height, id, compute_root, .. } = block(State(api), At(which)).await?.0;
    // The rules refuse every transaction that would make a leaf: the root is that of two empty lists.
    Ok(Json(ResultsView { height, block: id, compute_root, results: Vec::new(), settlements: Vec::new() }))
}

/// How a block was named.
#[derive(Clone, Copy)]
enum Named {
    Latest,
    Height(Height),
    Id(BlockId),
}

fn named(which: &str) -> Result<Named, Problem> {
    if which == "latest" {
        return Ok(Named::Latest);
    }
    if let Ok(height) = which.parse::<u64>() {
        return Ok(Named::Height(Height(height)));
    }
    which.parse().map(Named::Id).map_err(|error| {
        invalid("invalid_block", format!("{which:?} is neither a height, nor an id ({error}), nor `latest`"))
    })
}

fn view(chain: &Chain, named: Named) -> Result<Option<BlockView>, Fault> {
    let height = match named {
        Named::Latest => Some(chain.tip().header.height),
        Named::Height(height) => Some(height),
        Named::Id(id) => chain.height_of(&id)?,
    };
    let Some(height) = height else { return Ok(None) };
    Ok(chain.block(height)?.map(|found| BlockView::of(&found.block, found.certificate.as_deref())))
}
