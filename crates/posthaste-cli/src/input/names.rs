//! What inputs are called, and how one is opened whatever it is packed in.

use std::{fs::File, io, path::Path};

use super::packed::{self, Unpacked};
use crate::common::exit::Failure;

pub(crate) fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// As its user calls it.
pub(crate) fn name(path: &Path) -> String {
    if is_standard(path) { "<stdin>".to_owned() } else { path.display().to_string() }
}

/// For people, who may look for it from another folder; a log that is followed is told by it as well.
pub(super) fn real_name(path: &Path) -> String {
    let in_folder = || Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?));
    in_folder().unwrap_or_else(|| path.to_owned()).display().to_string()
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Opens one, whatever it is packed in.
pub(crate) fn unpacked(path: &Path) -> io::Result<Unpacked> {
    if is_standard(path) { Ok(packed::open(io::stdin())) } else { unpacked_file(path) }
}

/// Opens a file, whatever it is packed in.
pub(crate) fn unpacked_file(path: &Path) -> io::Result<Unpacked> {
    Ok(packed::open(File::open(path)?))
}

pub(super) fn wrong(path: &Path, source: io::Error) -> Failure {
    Failure::Read { path: path.to_owned(), source }
}
