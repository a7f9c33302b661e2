//! Whole validators on a simulated clock, network and disk, from a seed.
