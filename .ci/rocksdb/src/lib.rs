//! Nothing of its own: this package exists so that cargo builds the archive of its one dependency.
