//! Questions about a file, each asking for no more than it needs.
//!
//! `statx` with a mask leaves the times alone; `fstat` does not, and slows the next write and sync down. It stands in
//! only where there is no `statx`.

use std::{ffi::CStr, fs::File, os::fd::AsFd, path::Path};

use rustix::{
    fs::{self, AtFlags, CWD, FileType, Stat},
    io::{Errno, retry_on_intr},
    path::Arg,
};

/// Where a file is: equal for two names and descriptors of the same file, and for no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) device: u64,
    pub(super) inode: u64,
}

pub(super) fn place_of(file: &File) -> Result<Place, Errno> {
    Ok(about(file, Question::Place)?.place)
}

pub(super) fn place_of_path(path: &Path) -> Result<Place, Errno> {
    Ok(about_name(CWD, path, AtFlags::empty(), Question::Place)?.place)
}

pub(super) fn bytes_of(file: &File) -> Result<u64, Errno> {
    Ok(about(file, Question::Bytes)?.bytes)
}

/// Its length, where it is a plain file.
pub(super) fn plain_file_bytes(dir: &File, name: &CStr) -> Result<Option<u64>, Errno> {
    let answer = about_name(dir, name, AtFlags::SYMLINK_NOFOLLOW, Question::KindAndBytes)?;
    Ok((answer.kind == FileType::RegularFile).then_some(answer.bytes))
}

#[derive(Debug, Clone, Copy)]
enum Question {
    Place,
    Bytes,
    KindAndBytes,
}

/// Only what was asked for is sure to be right.
struct Answer {
    place: Place,
    kind: FileType,
    bytes: u64,
}

impl From<Stat> for Answer {
    #[cfg_attr(
        target_vendor = "apple",
        expect(clippy::cast_sign_loss, reason = "a device number is compared and nothing else")
    )]
    #[cfg_attr(
        not(target_vendor = "apple"),
        expect(clippy::unnecessary_cast, reason = "elsewhere it has fewer bits, and a sign")
    )]
    fn from(stat: Stat) -> Self {
        Self {
            place: Place { device: stat.st_dev as u64, inode: stat.st_ino },
            kind: FileType::from_raw_mode(stat.st_mode),
            bytes: stat.st_size.unsigned_abs(),
        }
    }
}

#[cfg(target_os = "linux")]
fn about(file: &File, question: Question) -> Result<Answer, Errno> {
    about_name(file, c"", AtFlags::EMPTY_PATH, question)
}

#[cfg(not(target_os = "linux"))]
fn about(file: &File, _: Question) -> Result<Answer, Errno> {
    retry_on_intr(|| fs::fstat(file)).map(Answer::from)
}

#[cfg(target_os = "linux")]
fn about_name(
    at: impl AsFd,
    name: impl Arg + Copy,
    flags: AtFlags,
    question: Question,
) -> Result<Answer, Errno> {
    use fs::StatxFlags;

    let mask = match question {
        Question::Place => StatxFlags::INO,
        Question::Bytes => StatxFlags::SIZE,
        Question::KindAndBytes => StatxFlags::TYPE | StatxFlags::SIZE,
    };
    match retry_on_intr(|| fs::statx(at.as_fd(), name, flags, mask)) {
        Ok(stat) => Ok(Answer {
            place: Place { device: fs::makedev(stat.stx_dev_major, stat.stx_dev_minor), inode: stat.stx_ino },
            kind: FileType::from_raw_mode(stat.stx_mode.into()),
            bytes: stat.stx_size,
        }),
        Err(Errno::NOSYS | Errno::PERM) => {
            retry_on_intr(|| fs::statat(at.as_fd(), name, flags)).map(Answer::from)
        }
        Err(error) => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
fn about_name(at: impl AsFd, name: impl Arg + Copy, flags: AtFlags, _: Question) -> Result<Answer, Errno> {
    retry_on_intr(|| fs::statat(at.as_fd(), name, flags)).map(Answer::from)
}
