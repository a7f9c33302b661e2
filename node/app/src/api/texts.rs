//! How texts of the API look: the schemas of hashes, addresses, amounts and bytes.

use std::borrow::Cow;

use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $called:literal, $pattern:literal, $words:literal, $example:literal;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some($pattern));
                text.description(Some($words)).examples([$example]).build().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($called)
            }
        }
    )*};
}

texts! {
    /// A hash, an id or a root.
    HashText, "Hash", "^[0-9a-f]{64}$", "32 bytes in hex, small letters, without 0x",
        "5f1d0b9a0c3e4b7d8a6f2c1e9d0b3a4c5e6f7081920a1b2c3d4e5f6071829304";
    /// An address.
    AddressText, "Address", "^cpc1[02-9ac-hj-np-z]{38}$", "An address in bech32; its last six letters are a checksum",
        "cpc1ndpnlqjjnlzl6l4lta0snyj3gfyz8ey9x4gdfc";
    /// An amount.
    AmountText, "Amount", "^[0-9]{1,13}([.][0-9]{1,18})?$", "CPC as a decimal number with at most 18 decimals", "10.5";
    /// Bytes.
    HexText, "Hex", "^([0-9a-f]{2})*$", "Bytes in hex, small letters, without 0x", "00ff";
    /// A block as a path names it.
    WhichText, "Which", "^(latest|[0-9]{1,18}|[0-9a-f]{64})$", "A height, an id, or `latest`", "latest";
    /// A place in the list of all transactions.
    CursorText, "Cursor", "^[0-9]{1,18}-[0-9]{1,9}$", "What `next` of the page before said: height, dash, place", "7-0";
}

/// A body of bytes.
pub(super) struct Octets;

impl PartialSchema for Octets {
    fn schema() -> RefOr<Schema> {
        let bytes = ObjectBuilder::new().schema_type(Type::String);
        bytes.format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).build().into()
    }
}

impl ToSchema for Octets {}
