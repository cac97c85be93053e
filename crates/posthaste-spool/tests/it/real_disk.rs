//! The real filesystem: a disk that is really full, rights that are really missing. Needs root, to mount a small disk
//! and to give up rights; without it these tests fail rather than pretend.

use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use posthaste_spool::{Log, ProblemKind, Spool, SpoolOptions, inspect};

use crate::child;

/// A disk of one mebibyte, in memory, unmounted at the end.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = Self { dir };
        disk.run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
        disk
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let done = Command::new(program).args(arguments).arg(self.path()).status();
        let done = done.is_ok_and(|status| status.success());
        assert!(
            done,
            "could not {program} a small disk: this test has to run as root, where mounting is allowed"
        );
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a failing test may leave files open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn options() -> SpoolOptions {
    SpoolOptions::default()
        .segment_bytes(64 << 10)
        .record_bytes_max(4_000)
        .retry_interval(Duration::from_millis(2))
}

#[test]
fn a_full_disk_refuses_adds_and_recovers_through_acknowledgements_and_through_space() {
    let disk = SmallDisk::mount();
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 300 << 10]).expect("room for that");
    let spool = Spool::open(disk.path().join("spool"), options()).expect("opens");
    let added = fill(&spool);
    let records = spool.read(0, usize::MAX, usize::MAX).expect("reads go on");
    assert_eq!(records.len() as u64, added);

    assert_eq!(spool.ack_up_to(added / 2), added / 2);
    add_once_possible(&spool);
    fill(&spool);

    fs::remove_file(&ballast).expect("there");
    add_once_possible(&spool);
    let expected = spool.len();
    spool.close().expect("synced");
    drop(spool);
    let spool = Spool::open(disk.path().join("spool"), options()).expect("opens");
    assert_eq!(spool.len(), expected);
}

/// Adds until the disk is full, and says how many were promised.
fn fill(spool: &Spool) -> u64 {
    let mut added = 0;
    loop {
        match spool.add(vec![b'x'; 3_000]) {
            Ok(receipt) => match receipt.wait() {
                Ok(_) => added += 1,
                Err(error) => assert!(error.is_full(), "{error}"),
            },
            Err(error) => {
                assert!(error.reason.is_full(), "{error}");
                assert_eq!(error.into_record().len(), 3_000);
                return added;
            }
        }
    }
}

/// Adds as soon as the spool takes it.
fn add_once_possible(spool: &Spool) {
    loop {
        if let Ok(receipt) = spool.add("space came back")
            && receipt.wait().is_ok()
        {
            return;
        }
        thread::yield_now();
    }
}

#[test]
fn a_spool_on_a_full_disk_opens_and_can_be_drained() {
    let disk = SmallDisk::mount();
    let dir = disk.path().join("spool");
    let mut log = Log::open(&dir, options()).expect("opens");
    let mut added = 0;
    while log.add(vec![b'x'; 3_000]).is_ok() {
        added += 1;
    }
    drop(log);
    let mut ballast = fs::File::create(disk.path().join("ballast")).expect("a name costs nothing");
    while ballast.write_all(&[0; 512]).is_ok() {}
    let mut log = Log::open(&dir, options()).expect("opens");
    assert_eq!(log.read(0, usize::MAX, usize::MAX).expect("readable").len(), added);
    log.ack_up_to(added as u64);
    log.sync().expect("the cursor has its place");
    log.add("more").expect("recycled");
}

#[test]
fn a_read_only_disk_gives_a_clear_error_and_can_be_inspected() {
    let disk = SmallDisk::mount();
    let dir = disk.path().join("spool");
    Log::open(&dir, options()).expect("opens").add("a record").expect("written");
    disk.run("mount", &["-o", "remount,ro"]);
    let error = Log::open(&dir, options()).expect_err("read-only").to_string();
    assert!(error.starts_with("could not lock ") && error.contains("Read-only"), "{error}");
    let mut inspection = inspect(&dir).expect("readable");
    assert_eq!(inspection.records().count(), 1);
    assert_eq!(inspection.verify().expect("readable"), []);
    disk.run("mount", &["-o", "remount,rw"]);
    assert_eq!(Log::open(&dir, options()).expect("opens again").stats().records, 1);
}

#[test]
fn missing_rights_give_a_clear_error() {
    let place = tempfile::tempdir().expect("a folder");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let dir = place.path().join("spool");
    drop(Log::open(&dir, options()).expect("opens"));
    // The build folder may be closed to others; the copy is not.
    let binary = place.path().join("child");
    // Copied by another process: a file that this one has open for writing, or a child that it is just starting,
    // cannot be run.
    let copied = Command::new("cp").arg(child::this_binary()).arg(&binary).status().expect("cp is there");
    assert!(copied.success(), "could not copy the test binary");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("ours");
    let mut command = child::command(&binary, "open", &dir);
    command.uid(65_534).gid(65_534).current_dir(place.path());
    let output = command.output().expect("this test has to run as root, to become somebody else");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("refused: could not "), "{text}");
    assert!(text.contains("Permission denied"), "{text}");
}

/// The child: tries to open a spool and tells how that went.
pub(crate) fn open_and_tell(dir: &Path) {
    match Log::open(dir, options()) {
        Ok(_) => println!("opened"),
        Err(error) => println!("refused: {error}"),
    }
}

#[test]
fn a_deleted_folder_is_noticed_and_made_anew() {
    let place = tempfile::tempdir().expect("a folder");
    let dir = place.path().join("spool");
    let spool = Spool::open(&dir, options()).expect("opens");
    spool.add("gone").expect("taken").wait().expect("written");
    fs::remove_dir_all(&dir).expect("deleted");
    let sequence = spool.add("kept").expect("taken").wait().expect("written anew");
    let records = spool.read(0, 10, 1_000).expect("readable");
    assert_eq!((records.len(), records[0].sequence, &*records[0].bytes), (1, sequence, &b"kept"[..]));
    assert_eq!(spool.stats().counters.damaged_records, 1);
    drop(spool);
    assert_eq!(Spool::open(&dir, options()).expect("opens").len(), 1);
}

#[test]
fn files_are_for_their_owner_alone() {
    let place = tempfile::tempdir().expect("a folder");
    let dir = place.path().join("deep/spool");
    let spool = Spool::open(&dir, options()).expect("opens");
    spool.add("a record").expect("taken").wait().expect("written");
    spool.dead().add("a letter").expect("kept");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("dead")), 0o700);
    let files: Vec<PathBuf> =
        fs::read_dir(&dir).expect("there").map(|entry| entry.expect("there").path()).collect();
    assert!(files.len() >= 4, "{files:?}");
    assert!(files.iter().filter(|path| path.is_file()).all(|path| mode(path) == 0o600), "{files:?}");
}

#[test]
fn a_second_process_is_told_who_has_the_spool() {
    let place = tempfile::tempdir().expect("a folder");
    let _spool = Spool::open(place.path(), options()).expect("opens");
    let output = child::command(&child::this_binary(), "open", place.path()).output().expect("a child");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = format!("is in use by process {}", std::process::id());
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn the_lock_ends_with_its_owner_even_while_children_are_started() {
    let place = tempfile::tempdir().expect("a folder");
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = Command::new("true").status();
            }
        });
        for _ in 0..300 {
            let log = Log::open(place.path(), options());
            if log.is_err() {
                done.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            drop(log.expect("the last one is gone"));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_spool_can_be_inspected_while_it_is_written_and_recycled() {
    let place = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(place.path(), options()).expect("opens");
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..150 {
                let receipts: Vec<_> =
                    (0..20).map(|_| spool.add(vec![b'x'; 1_000]).expect("taken")).collect();
                let last = receipts.last().expect("some").wait().expect("written");
                spool.ack_up_to(last.saturating_sub(30));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            let mut inspection = inspect(place.path()).expect("readable");
            for record in inspection.records() {
                assert_eq!(&*record.expect("readable").bytes, &[b'x'; 1_000][..]);
            }
            assert_eq!(inspection.status().stats.counters.damaged_records, 0);
            let mut problems = inspection.verify().expect("readable");
            // A write that is going on is all there is to see.
            problems.retain(|problem| !matches!(problem.kind, ProblemKind::Unfinished { .. }));
            assert_eq!(problems, []);
        }
    });
    assert_eq!(inspect(place.path()).expect("readable").verify().expect("readable"), []);
}
