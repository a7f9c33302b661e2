//! The binary's parts: its commands, the chain they run or ask, and the keys they sign with.

pub mod api;
pub mod chain;
pub mod client;
pub mod commands;
pub mod failure;
pub mod keystore;
pub mod node;
pub mod sync;
