//! The binary's parts: its commands, the chain they run or ask, and the keys they sign with.

pub mod api;
pub mod chain;
pub mod client;
pub mod commands;
pub mod config;
pub mod control;
pub mod failure;
pub mod keystore;
pub mod metrics;
pub mod network;
pub mod node;
pub mod openmetrics;
pub mod sync;
