//! The parts of a request that many routes read: hashes, addresses, pages. What is malformed is refused by name.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use cpc_primitives::hash::HexError;
use cpc_primitives::{Address, Height, TxHash};
use cpc_store::Place;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::api::dto;
use crate::api::problem::{Problem, invalid, refused};
use crate::api::texts::CursorText;

/// Transactions of one page.
pub(super) const PAGE_MAX: usize = 100;
/// Transactions of one page where nobody says how many.
const PAGE: usize = 20;

/// A part of the path.
pub(in crate::api) struct At<T>(pub(super) T);

impl<S: Send + Sync> FromRequestParts<S> for At<Address> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await?;
        address(&text).map(At)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for At<TxHash> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await?;
        text.parse().map(At).map_err(|error: HexError| invalid("invalid_hash", error.to_string()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for At<String> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        path_text(parts, state).await.map(At)
    }
}

async fn path_text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let path = Path::<String>::from_request_parts(parts, state).await;
    path.map(|Path(text)| text).map_err(|error| invalid("invalid_path", error.to_string()))
}

/// An address; one that looks like an address and has a typing error breaks a rule, everything else is malformed.
pub(super) fn address(text: &str) -> Result<Address, Problem> {
    let letters = |text: &str| text.bytes().all(|c| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(&c));
    let looks_right = text.strip_prefix("cpc1").is_some_and(|rest| rest.len() == 38 && letters(rest));
    dto::address(text).map_err(|error| match looks_right {
        true => refused("invalid_address", error, "one of its letters is wrong: copy it again"),
        false => invalid("invalid_address", error),
    })
}

/// What stands behind the question mark.
pub(in crate::api) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|error| invalid("invalid_query", error.body_text()))
    }
}

/// One page of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct PageAsk {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// From before which place on: what `next` of the page before said.
    #[param(value_type = Option<CursorText>, inline)]
    before: Option<String>,
}

impl PageAsk {
    /// From before which place on, and how many.
    pub(super) fn checked(&self) -> Result<(Option<Place>, usize), Problem> {
        let limit = self.limit.unwrap_or(PAGE);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(invalid("invalid_query", format!("limit is {limit}; it may be 1 to {PAGE_MAX}")));
        }
        Ok((self.before.as_deref().map(place_of).transpose()?, limit))
    }
}

/// A place as `next` says it.
pub(super) fn cursor(place: Place) -> String {
    format!("{}-{}", place.height, place.index)
}

fn place_of(text: &str) -> Result<Place, Problem> {
    let parse = || {
        let (height, index) = text.split_once('-')?;
        Some(Place { height: Height(height.parse().ok()?), index: index.parse().ok()? })
    };
    parse().ok_or_else(|| invalid("invalid_query", format!("before is {text:?}; pass on what `next` said")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_told_apart_from_something_else() {
        let good = Address([7; 20]).to_string();
        let last = if good.ends_with('q') { 'p' } else { 'q' };
        let bent = format!("{}{last}", &good[..good.len() - 1]);
        let cases =
            [(good.as_str(), None), (&bent, Some(422)), ("cpc1", Some(400)), ("", Some(400)), (&good[1..], Some(400))];
        for (text, expected) in cases {
            assert_eq!(address(text).err().map(|problem| problem.status.as_u16()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = Place { height: Height(7), index: 3 };
        assert_eq!(place_of(&cursor(place)), Ok(place));
        for text in ["", "7", "-", "7-", "-3", "7-3-1", "a-b"] {
            assert_eq!(place_of(text).err().map(|problem| problem.code), Some("invalid_query"), "{text:?}");
        }
    }
}
