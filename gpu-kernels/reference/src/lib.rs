//! Exact compute: kernels that give the same bits on every machine, and their checks.
