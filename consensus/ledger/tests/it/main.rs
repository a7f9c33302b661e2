//! The ledger as its callers see it: one table a clause, random sequences beside a naive model, and golden refusals.

mod accounts;
mod bazaar;
mod beacon;
mod blocks;
mod committees;
mod endings;
mod epochs;
mod genesis;
mod market_vectors;
mod model;
mod money;
mod params;
mod proofs;
mod signatures;
mod supply;
mod trade_model;
mod trade_money;
mod trades;
mod vectors;
mod world;
