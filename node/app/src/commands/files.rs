//! Files that people name: read within a limit, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::{Context, Exit, Failure};

/// Reads a whole file of at most so many bytes; one with more is refused with this exit code.
pub fn read_bounded(path: &Path, limit: usize, refused: Exit) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    let cannot = |error: io::Error| {
        let code = if error.kind() == ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(code, format!("{name} cannot be read: {error}"))
    };
    let file = File::open(path).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    let too_long = |found: String| {
        Err(Failure::new(refused, format!("{name} has {found} bytes, at most {limit} are read: it is something else")))
    };
    if usize::try_from(size).map_or(true, |size| size > limit) {
        return too_long(size.to_string());
    }
    // A device or a pipe says no size, and a file may grow while it is read.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > limit { too_long(format!("more than {limit}")) } else { Ok(bytes) }
}

/// Writes a file that is not there yet, whole or not at all; one that is there is replaced only with --yes.
pub fn write_new(path: &Path, bytes: &[u8], context: &Context) -> Result<(), Failure> {
    let exists = || {
        let failure = Failure::new(Exit::Refused, format!("{} exists already", path.display()));
        failure.hint("--yes overwrites it")
    };
    // Before anything is written: a refusal leaves nothing behind.
    if !context.yes && path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    write_whole(path, bytes, context.yes).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(),
        _ => Failure::new(Exit::Failed, format!("{} cannot be written: {error}", path.display())),
    })
}

fn write_whole(path: &Path, bytes: &[u8], replace: bool) -> io::Result<()> {
    let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut temporary = PathBuf::from(folder).into_os_string();
    temporary.push("/.");
    temporary.push(name);
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
        // A second name, unlike a renaming, is refused where the file has come to be meanwhile.
        if replace { fs::rename(&temporary, path) } else { fs::hard_link(&temporary, path) }
    });
    // Renamed, it is gone already; and what is reported is why the file could not be written.
    let _ = fs::remove_file(&temporary);
    written.and_then(|()| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, [7; 10]).expect("written");
        assert_eq!(read_bounded(&path, 10, Exit::Refused), Ok(vec![7; 10]));
        let cases = [
            (path.as_path(), 9, Exit::Refused, "has 10 bytes, at most 9 are read"),
            (Path::new("/dev/zero"), 9, Exit::VerificationFailed, "/dev/zero has more than 9 bytes"),
            (Path::new("/nowhere"), 9, Exit::NotFound, "/nowhere cannot be read"),
            (folder.path(), 1 << 20, Exit::Failed, "cannot be read"),
        ];
        for (path, limit, code, words) in cases {
            let over = if code == Exit::VerificationFailed { code } else { Exit::Refused };
            let failure = read_bounded(path, limit, over).expect_err("a refusal");
            assert_eq!(failure.code, code, "{failure:?}");
            assert!(failure.message.contains(words), "{failure:?}");
        }
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let rows = || fs::read_dir(folder.path()).expect("a folder").count();
        write_whole(&path, b"one", false).expect("written");
        assert_eq!(write_whole(&path, b"two", false).expect_err("it exists").kind(), ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&path).expect("a file").as_slice(), rows()), (b"one".as_slice(), 1));
        write_whole(&path, b"two", true).expect("replaced");
        assert_eq!((fs::read(&path).expect("a file").as_slice(), rows()), (b"two".as_slice(), 1));
        write_whole(&folder.path().join("no/file"), b"x", true).expect_err("no such folder");
        fs::create_dir(folder.path().join("folder")).expect("made");
        write_whole(&folder.path().join("folder"), b"x", true).expect_err("a folder is no file");
        assert_eq!(rows(), 2, "nothing half-written is left");
    }
}
