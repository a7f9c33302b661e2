//! `cpc snapshot`: a chain's state in files that prove themselves, to begin another node from.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use cpc_light::ProofFile;
use cpc_light::limits::PROOF_FILE_BYTES_MAX;
use cpc_primitives::BlockId;
use cpc_store::{Beside, Listed, Snapshot, SnapshotError, Trusted};
use serde_json::json;

use super::chain_dir::{ChainDir, fault_exit, store_failure};
use super::{Context, Exit, Failure, Output, read_bounded};
use crate::chain::NoProof;

/// Makes, checks and restores snapshots.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Writes the state after the last final block, with the proof that it is final
    Create {
        /// The folder of the chain; `devnet` under the data directory without it
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// The folder in which the snapshot gets a folder of its own
        #[arg(short, long, value_name = "DIR", default_value = "snapshots")]
        output: PathBuf,
    },
    /// Lists the snapshots in a folder
    List {
        /// The folder
        #[arg(default_value = "snapshots")]
        parent: PathBuf,
    },
    /// Checks every byte of a snapshot, and that its block is final
    Verify(FromArgs),
    /// Begins a chain from a snapshot, in a folder that has none
    Restore {
        /// Which snapshot, and whom to trust.
        #[command(flatten)]
        from: FromArgs,
        /// The folder of the new chain; `devnet` under the data directory without it
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Which snapshot, and whom to trust.
#[derive(Debug, Args)]
pub struct FromArgs {
    /// The snapshot's folder
    snapshot: PathBuf,
    /// The id of block 0; without it that of --network
    #[arg(long, value_name = "HASH")]
    genesis: Option<String>,
}

/// The file beside the chunks that proves the block final to whoever trusts the genesis (SNAP-6).
const FINALITY: &str = "finality.proof";

/// Runs one of them.
pub fn run(command: SnapshotCommand, context: &Context) -> Result<(), Failure> {
    match command {
        SnapshotCommand::Create { dir, output } => create(dir.as_deref(), &output, context),
        SnapshotCommand::List { parent } => list(&parent, context),
        SnapshotCommand::Verify(from) => {
            let Proven { snapshot, .. } = open(&from, context)?;
            context.say("Reading every entry ...");
            snapshot.verify().map_err(|error| failure(&error))?;
            tell("verified", &snapshot, context)
        }
        SnapshotCommand::Restore { from, dir } => restore(&from, dir.as_deref(), context),
    }
}

fn create(dir: Option<&Path>, output: &Path, context: &Context) -> Result<(), Failure> {
    let folder = ChainDir::lock_existing(dir, context)?;
    let chain = folder.open_chain(context)?;
    let proof = chain.snapshot_proof().map_err(|none| match none {
        NoProof::OnlyGenesis => {
            Failure::new(Exit::NotNow, "there is only block 0, which every node has").hint("wait for a block")
        }
        NoProof::Fault(fault) => Failure::new(fault_exit(&fault), fault.to_string()),
        refused => Failure::new(Exit::Refused, refused.to_string()),
    })?;
    fs::create_dir_all(output).map_err(|error| file_failure(output, &error))?;
    let beside = [Beside { name: FINALITY, bytes: &proof }];
    let snapshot = chain.create_snapshot(output, &beside).map_err(|error| failure(&error))?;
    tell("created", &snapshot, context)
}

fn list(parent: &Path, context: &Context) -> Result<(), Failure> {
    let found = Snapshot::list(parent).map_err(|error| failure(&error))?;
    if context.output == Output::Json {
        let rows = found.iter().map(|Listed { dir, snapshot }| match snapshot {
            Ok(it) => {
                let header = &it.manifest.header;
                json!({ "path": dir, "height": header.height.0, "block": header.id().to_string() })
            }
            Err(error) => json!({ "path": dir, "error": error.to_string() }),
        });
        context.json(json!({ "snapshots": rows.collect::<Vec<_>>() }))?;
        return Ok(());
    }
    for Listed { dir, snapshot } in &found {
        match snapshot {
            Ok(it) => context.print(&format!("{}  height {}", dir.display(), it.manifest.header.height))?,
            Err(error) => context.print(&format!("{}  {error}", dir.display()))?,
        }
    }
    if found.is_empty() {
        context.say("There is none.");
    }
    Ok(())
}

fn restore(from: &FromArgs, dir: Option<&Path>, context: &Context) -> Result<(), Failure> {
    let Proven { snapshot, trusted, proof } = open(from, context)?;
    // SNAP-6: all of it holds before there is so much as a folder.
    context.say("Reading every entry ...");
    snapshot.verify().map_err(|error| failure(&error))?;
    let folder = ChainDir::lock(dir, context)?;
    let store = folder.open_store()?;
    if !store.is_empty() {
        let tip = store.tip().map(|tip| tip.height()).unwrap_or_default();
        return Err(failure(&SnapshotError::NotEmpty { tip }));
    }
    // Before the chain: without it the proofs of later blocks would lack the epochs that the snapshot leaves out.
    folder.keep_trust(&proof)?;
    if let Err(error) = store.restore(&snapshot, trusted) {
        if store.is_empty() {
            // The first error is the one to tell; a proof that stays lets no chain begin at block 0.
            let _ = folder.forget_trust();
        }
        return Err(failure(&error));
    }
    tell("restored", &snapshot, context)
}

/// A snapshot whose block is final; its entries are not read yet.
struct Proven {
    snapshot: Snapshot,
    trusted: Trusted,
    proof: Vec<u8>,
}

/// Opens a snapshot, and demands the proof that its block is final.
fn open(from: &FromArgs, context: &Context) -> Result<Proven, Failure> {
    let genesis: BlockId = super::verify::genesis_of(from.genesis.as_deref(), context)?;
    let snapshot = Snapshot::open(&from.snapshot).map_err(|error| failure(&error))?;
    let path = from.snapshot.join(FINALITY);
    let bytes = read_bounded(&path, PROOF_FILE_BYTES_MAX, Exit::VerificationFailed)?;
    let proof = ProofFile::verify(&bytes, cpc_light::Trusted::Genesis(genesis)).map_err(|error| {
        Failure::new(Exit::VerificationFailed, format!("{} proves nothing: {error}", path.display()))
    })?;
    let trusted = Trusted { genesis, block: proof.header().id() };
    let found = snapshot.manifest.header.id();
    if found != trusted.block {
        let words = format!("the snapshot is of block {found}, the proof beside it of block {}", trusted.block);
        return Err(Failure::new(Exit::VerificationFailed, words));
    }
    Ok(Proven { snapshot, trusted, proof: bytes })
}

fn tell(what: &str, snapshot: &Snapshot, context: &Context) -> Result<(), Failure> {
    let manifest = &snapshot.manifest;
    let (height, block) = (manifest.header.height, manifest.header.id());
    let entries: u64 = manifest.chunks.iter().map(|chunk| chunk.entries).sum();
    match context.output {
        Output::Json => context.json(json!({
            "snapshot": what, "path": snapshot.dir, "height": height.0, "block": block.to_string(),
            "state_root": manifest.header.state_root.to_string(), "entries": entries,
        }))?,
        Output::Human => {
            context.print(&snapshot.dir.display().to_string())?;
            context.say(&format!("Snapshot {what}: block {height}, {entries} entries."));
        }
    }
    Ok(())
}

fn failure(error: &SnapshotError) -> Failure {
    match error {
        SnapshotError::Store(error) => store_failure(error),
        SnapshotError::NotEmpty { .. } => {
            Failure::new(Exit::Refused, error.to_string()).hint("name another folder with --dir")
        }
        SnapshotError::File { .. } => Failure::new(Exit::Failed, error.to_string()),
        _ => Failure::new(Exit::VerificationFailed, error.to_string()),
    }
}

fn file_failure(path: &Path, error: &std::io::Error) -> Failure {
    let code = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
    Failure::new(code, format!("{}: {error}", path.display()))
}
