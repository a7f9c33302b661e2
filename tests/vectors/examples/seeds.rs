//! Writes seeds for the corpora of the fuzz targets from the generators of the golden files.

use std::fs;
use std::path::Path;

use cpc_vectors::properties;

/// Writes the seeds of every target into a folder: one folder a target, one file a seed.
fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).expect("the folder to write to is the one argument");
    for (target, _) in properties::ALL {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in properties::seeds(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
