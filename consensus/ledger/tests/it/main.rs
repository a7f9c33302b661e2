//! The ledger as its callers see it: one table a clause, random sequences beside a naive model, and golden refusals.

mod accounts;
mod beacon;
mod blocks;
mod epochs;
mod genesis;
mod model;
mod money;
mod params;
mod signatures;
mod supply;
mod vectors;
mod world;
