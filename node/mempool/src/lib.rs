//! Transactions that wait for a block: admission and ordering, pure.
