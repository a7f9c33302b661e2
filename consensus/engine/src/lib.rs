//! Agreement between validators: the only crate that names the BFT library.
