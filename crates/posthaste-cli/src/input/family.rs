//! The files of a log: the one at its path, and those that were moved aside when it was rotated.
//!
//! They stand in the same folder, and their names begin with its name, as in `log.jsonl.1`. Compressed ones are not
//! read. What was being read is found among them by content. What follows it is told by time: files that were written
//! to later, the earliest first, and at last the one at the path, whatever its time. Names are looked at only to leave
//! out what no rotation has made (`log.jsonl.bak`), and where times are equal: a higher number is older then, a later
//! date younger.

use std::{
    cmp::Reverse,
    fs::{File, Metadata},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::place::{FileId, PRINT_BYTES, Place, Seen};

const COMPRESSED: [&str; 9] = ["gz", "bz2", "xz", "zst", "lz4", "br", "Z", "zip", "lzma"];

/// A file of the log.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) id: FileId,
    pub(crate) length: u64,
    modified: SystemTime,
    created: SystemTime,
}

/// A file that has a place.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) member: Member,
    pub(crate) seen: Seen,
}

impl Member {
    /// `None`: no file is there.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        // Opening anything else may wait for somebody, as a pipe does.
        let is_file = std::fs::metadata(path).map(|metadata| metadata.is_file());
        match is_file.and_then(|is_file| if is_file { File::open(path).map(Some) } else { Ok(None) }) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened?.map(|file| Self::new(path, file)).transpose(),
        }
    }

    fn new(path: &Path, file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let (modified, created) = times(&metadata);
        let id = FileId::of(&metadata);
        Ok(Self { path: path.to_owned(), file, id, length: metadata.len(), modified, created })
    }

    fn age(&self) -> Age<'_> {
        Age::new((self.modified, self.created), &self.path)
    }
}

/// Orders files by when their lines were written, the oldest first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age<'a> {
    modified: SystemTime,
    created: SystemTime,
    number: Option<Reverse<u64>>,
    path: &'a Path,
}

impl<'a> Age<'a> {
    fn new((modified, created): (SystemTime, SystemTime), path: &'a Path) -> Self {
        Self { modified, created, number: number(path).map(Reverse), path }
    }
}

/// The file that has this place: the one at the path, or else one that was moved aside. Where several have it, the one
/// that was being read, unless it is now what an editor has left as a backup; of copies the longest.
pub(crate) fn holder(path: &Path, place: &Place) -> io::Result<Option<Holder>> {
    let mut holders = Vec::new();
    for (is_aside, member) in everything(path)? {
        let is_same = Some(member.id) == place.file;
        // Nothing is in every file.
        if place.bytes == 0 && is_aside && !is_same {
            continue;
        }
        if let Some(seen) = Seen::before(place, &member.file)? {
            let is_of_the_log = !is_aside || is_rotated(path, &member.path);
            let rank = (is_same && is_of_the_log, !is_aside, member.length);
            holders.push((rank, Holder { member, seen }));
        }
    }
    Ok(holders.into_iter().max_by_key(|(rank, _)| *rank).map(|(_, holder)| holder))
}

/// The file that was being read, of which nothing is as it was: truncated, and perhaps moved aside since.
pub(crate) fn truncated(path: &Path, place: &Place) -> io::Result<Option<Member>> {
    let mut members = everything(path)?.into_iter();
    let is_it = |(is_aside, member): &(bool, Member)| {
        Some(member.id) == place.file && (!is_aside || is_rotated(path, &member.path))
    };
    Ok(members.find(is_it).map(|(_, member)| member))
}

/// The files that follow the one that was read last, of which this much has been seen, oldest first.
pub(crate) fn successors(path: &Path, last: &Metadata, seen: &Seen) -> io::Result<Vec<Member>> {
    let id = FileId::of(last);
    let members = everything(path)?;
    let own_path = members.iter().find(|(_, member)| member.id == id).map(|(_, member)| member.path.clone());
    let own_age = Age::new(times(last), own_path.as_deref().unwrap_or(path));
    let (mut aside, mut at_path) = (Vec::new(), None);
    for (is_aside, member) in members.into_iter().filter(|(_, member)| member.id != id) {
        if !is_aside {
            at_path = Some(member);
        } else if is_rotated(path, &member.path) && member.age() > own_age && !is_copy(&member, seen)? {
            aside.push(member);
        }
    }
    aside.retain(|member| at_path.as_ref().is_none_or(|newest| newest.id != member.id));
    aside.sort_by(|one, other| one.age().cmp(&other.age()));
    aside.extend(at_path);
    Ok(aside)
}

/// Small files may be alike by chance.
fn is_copy(member: &Member, seen: &Seen) -> io::Result<bool> {
    Ok(seen.bytes() >= PRINT_BYTES as u64 && seen.is_in(&member.file)?)
}

/// The file at the path, if there is one, and those aside, which are marked. Those that cannot be opened are none.
fn everything(path: &Path) -> io::Result<Vec<(bool, Member)>> {
    let mut members: Vec<_> = Member::open(path)?.map(|member| (false, member)).into_iter().collect();
    let Some(name) = path.file_name() else { return Ok(members) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_aside = entry.file_name() != name
            && entry.file_name().as_encoded_bytes().starts_with(name.as_encoded_bytes())
            && !is_compressed(&entry.path());
        if let (true, Ok(Some(member))) = (is_aside, Member::open(&entry.path())) {
            members.push((true, member));
        }
    }
    Ok(members)
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| COMPRESSED.iter().any(|known| extension == *known))
}

/// What a rotation adds to a name is a number or a date.
fn is_rotated(path: &Path, aside: &Path) -> bool {
    let (Some(name), Some(longer)) = (path.file_name(), aside.file_name()) else { return false };
    let added = longer.as_encoded_bytes().strip_prefix(name.as_encoded_bytes()).unwrap_or_default();
    added.iter().any(u8::is_ascii_digit)
        && added.iter().all(|byte| byte.is_ascii_digit() || b".-_:TZ".contains(byte))
}

/// In `log.jsonl.7`, 7. A date is none.
fn number(path: &Path) -> Option<u64> {
    let digits = path.extension()?.to_str()?;
    (digits.len() < 6).then(|| digits.parse().ok()).flatten()
}

/// When it was written to last, and when it was made, where the file system knows.
fn times(metadata: &Metadata) -> (SystemTime, SystemTime) {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    (modified, metadata.created().unwrap_or(SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    /// A folder with a log, and its files with the seconds when they were last written to.
    fn folder(files: &[(&str, &str, u64)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content, second) in files {
            fs::write(folder.path().join(name), content).unwrap();
            let file = File::options().write(true).open(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(*second)).unwrap();
        }
        let path = folder.path().join("log");
        (folder, path)
    }

    fn name(member: &Member) -> String {
        member.path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    fn place(content: &str, file: Option<FileId>) -> Place {
        let mut seen = Seen::default();
        seen.pass(content.as_bytes());
        seen.place(file)
    }

    #[test]
    fn a_place_is_found_by_content_in_whichever_file_has_it() {
        let files = [
            ("log", "new\n", 9),
            ("log.1", "old\nmore\n", 8),
            ("log.2", "older\n", 7),
            ("log.3.gz", "x\n", 6),
        ];
        let (_folder, path) = folder(&files);
        let found = |content| holder(&path, &place(content, None)).unwrap().map(|found| name(&found.member));
        for (content, holder) in [
            ("new\n", Some("log")),
            ("old\n", Some("log.1")),
            ("older\n", Some("log.2")),
            ("x\n", None),
            ("unknown\n", None),
            ("", Some("log")),
        ] {
            assert_eq!(found(content).as_deref(), holder, "{content:?}");
        }
    }

    #[test]
    fn of_files_alike_the_one_that_was_read_is_taken_then_the_one_at_the_path_then_the_longest() {
        let (_folder, path) = folder(&[("log", "a\n", 9), ("log.1", "a\nb\n", 8), ("log.2", "a\n", 7)]);
        let id = |name| Some(FileId::of(&fs::metadata(path.with_file_name(name)).unwrap()));
        let found = |place: &Place| name(&holder(&path, place).unwrap().unwrap().member);
        assert_eq!(found(&place("a\n", id("log.2"))), "log.2");
        assert_eq!(found(&place("", id("log.2"))), "log.2");
        assert_eq!(found(&place("a\n", None)), "log");
        fs::rename(path.with_file_name("log.2"), path.with_file_name("log.bak")).unwrap();
        assert_eq!(found(&place("a\n", id("log.bak"))), "log");
        fs::remove_file(&path).unwrap();
        assert_eq!(found(&place("a\n", None)), "log.1");
        assert!(holder(&path, &place("", None)).unwrap().is_none(), "nothing was read of neither");
    }

    #[test]
    fn what_follows_is_told_by_time_and_then_by_name() {
        for (files, last, following) in [
            (&[("log", 9), ("log.1", 8), ("log.2", 7), ("log.3", 6)][..], "log.2", &["log.1", "log"][..]),
            (&[("log", 9), ("log.1", 8), ("log.2", 7), ("log.3", 6)], "log.1", &["log"]),
            (&[("log", 1), ("log.1", 8), ("log.2", 7)], "log.2", &["log.1", "log"]),
            (
                &[("log", 9), ("log-20260101", 6), ("log-20260102", 7), ("log-20260103", 8)],
                "log-20260102",
                &["log-20260103", "log"],
            ),
            (
                &[("log", 9), ("log.1", 8), ("log.bak", 8), ("log.1.gz", 8), ("logistics", 8)],
                "log.1",
                &["log"],
            ),
            (&[("log.1", 8), ("log.2", 7)], "log.1", &[]),
            (&[("log.1", 8), ("log.2", 7)], "log.2", &["log.1"]),
        ] {
            let files: Vec<_> = files.iter().map(|(name, second)| (*name, *name, *second)).collect();
            let (_folder, path) = folder(&files);
            let mut seen = Seen::default();
            seen.pass(b"something else");
            let metadata = fs::metadata(path.with_file_name(last)).unwrap();
            let found = successors(&path, &metadata, &seen).unwrap();
            assert_eq!(found.iter().map(name).collect::<Vec<_>>(), following, "{files:?} {last}");
        }
    }

    #[test]
    fn a_copy_of_what_was_read_does_not_follow_it() {
        let (old, more) = ("old line\n".repeat(999), "old line\n".repeat(1_000));
        let (_folder, path) = folder(&[("log", "new\n", 9), ("log.1", &old, 7), ("log.2", &more, 8)]);
        let mut seen = Seen::default();
        seen.pass(old.as_bytes());
        let metadata = fs::metadata(path.with_file_name("log.1")).unwrap();
        let found = successors(&path, &metadata, &seen).unwrap();
        assert_eq!(found.iter().map(name).collect::<Vec<_>>(), ["log"]);
    }

    #[test]
    fn numbers_tell_where_times_do_not() {
        assert_eq!(number(Path::new("log.12")), Some(12));
        assert_eq!(number(Path::new("log.20260101")), None);
        assert_eq!(number(Path::new("log-1")), None);
    }
}
