//! The tree as it stands: every file that git knows or would take, and every package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{MetadataCommand, Package};

/// One file of text.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The repository.
pub(crate) struct House {
    root: PathBuf,
    files: Vec<File>,
}

impl File {
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The lines with their numbers, which begin with 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// A complaint about a line of this file.
    pub(crate) fn at(&self, line: usize, complaint: impl core::fmt::Display) -> String {
        format!("{}:{line}: {complaint}", self.path)
    }

    /// A complaint about this file.
    pub(crate) fn whole(&self, complaint: impl core::fmt::Display) -> String {
        format!("{}: {complaint}", self.path)
    }
}

impl House {
    /// Reads every file that git tracks, and every new one that it does not ignore.
    pub(crate) fn read() -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("this package has a house");
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .expect("git runs: the set-up installs it");
        assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let listed = String::from_utf8(listed.stdout).expect("the names of our files are ascii");
        let files = listed.split_terminator('\0').filter_map(|path| {
            // A file that is not text, or that was deleted and not yet committed, has no lines to complain about.
            fs::read_to_string(root.join(path)).ok().map(|text| File { path: path.to_owned(), text })
        });
        let files = files.collect();
        Self { root, files }
    }

    /// One file.
    #[track_caller]
    pub(crate) fn file(&self, path: &str) -> File {
        self.files.iter().find(|file| file.path == path).cloned().unwrap_or_else(|| panic!("{path} is missing"))
    }

    /// Every file whose path ends so.
    pub(crate) fn files(&self, end: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }

    /// Every file below a folder.
    pub(crate) fn under(&self, folder: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.starts_with(folder))
    }

    /// Every file of text that people write.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| !file.path.ends_with("Cargo.lock"))
    }

    /// Whether there is a file or a folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// Every package of the workspace, with what its manifest names.
    pub(crate) fn packages(&self) -> Vec<Package> {
        // Without the dependencies' own manifests, so that no network is needed for packages that are not built here.
        let mut packages = MetadataCommand::new()
            .manifest_path(self.root.join("Cargo.toml"))
            .no_deps()
            .other_options(vec!["--offline".to_owned(), "--locked".to_owned()])
            .exec()
            .expect("cargo reads the manifests")
            .packages;
        for package in &mut packages {
            let path = package.manifest_path.as_std_path().strip_prefix(&self.root).expect("a member is in the house");
            package.manifest_path = path.to_str().expect("our paths are ascii").into();
        }
        packages
    }
}
