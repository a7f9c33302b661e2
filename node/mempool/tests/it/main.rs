//! The pool as its node sees it: one table a clause, random calls beside a naive model, and a flood.

mod flood;
mod model;
mod rules;
mod sequences;
mod world;
