//! The description of the API: made from the routes themselves, so that none can be missing from it.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi,
    OpenApiBuilder, Ref, RefOr, Response, ResponseBuilder, Tag, Type,
};
use utoipa::{IntoResponses, PartialSchema};

use super::problem::ProblemBody;

/// What every route may answer: it is meant for another host, from a page of another site, too much, or too slow.
const EVERYWHERE: [u16; 5] = [403, 408, 421, 429, 503];

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = [$($status:literal),*];)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$($status),*].into_iter().map(|status: u16| (status.to_string(), refusal(status).into())).collect()
            }
        }
    )*};
}

refusals! {
    /// The path is malformed.
    Malformed = [400];
    /// The path is malformed, or names what is not there.
    Absent = [400, 404];
    /// The same, or the query breaks a rule.
    Bent = [400, 404, 422];
    /// The path or the query breaks a rule.
    Wrong = [400, 422];
    /// The body cannot be read, or breaks a rule.
    BadBody = [400, 413, 415, 422];
    /// The same, where what is asked may not be there.
    BadAsk = [400, 404, 413, 415, 422];
}

/// The description without its routes.
pub(super) fn begin() -> OpenApi {
    let info = InfoBuilder::new()
        .title("CPC chain API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .contact(Some(ContactBuilder::new().name(Some("CPC")).build()));
    let tag = |name: &str, words: &str| {
        let mut tag = Tag::new(name);
        tag.description = Some(words.to_owned());
        tag
    };
    let tags = [
        tag("chain", "What the network is, and how much money there is"),
        tag("blocks", "Final blocks, by height or id"),
        tag("transactions", "Sending them, and reading back what became of them"),
        tag("accounts", "Balances, histories and proofs"),
        tag("node", "This process: whether it lives, works, and what it measures"),
    ];
    let refusals = ComponentsBuilder::new().schema("Problem", ProblemBody::schema()).build();
    OpenApiBuilder::new().info(info).tags(Some(tags)).components(Some(refusals)).build()
}

const DESCRIPTION: &str = "What one node of the chain knows. Amounts are decimal strings of CPC with at most 18 \
decimals, hashes and bytes are hex in small letters without 0x, times are unix milliseconds. A refusal is a problem of \
RFC 9457 with a stable `code`; its `request_id` stands in the node's log.";

/// Adds what every route may answer.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            for status in EVERYWHERE {
                operation.responses.responses.entry(status.to_string()).or_insert_with(|| refusal(status).into());
            }
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().filter_map(Option::as_mut)
}

fn refusal(status: u16) -> Response {
    let name = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("A refusal");
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(name).content("application/problem+json", content);
    if matches!(status, 429 | 503) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds after which to ask again"));
        return response.header("Retry-After", header.build()).build();
    }
    response.build()
}
