//! How a follower comes to the tip: questions and answers about blocks, and who is asked what.
//!
//! [`wire`] has the messages, [`serve`] answers them, [`client`] decides what to ask whom and never does anything itself,
//! [`check`] says whether what came is final, [`apply`] applies it to the chain, and [`shell`] carries it all over the
//! network. The numbered clauses are in `docs/spec/sync.md`.

pub mod apply;
pub mod check;
pub mod client;
pub mod serve;
pub mod shell;
pub mod wire;

#[cfg(test)]
mod tests;
