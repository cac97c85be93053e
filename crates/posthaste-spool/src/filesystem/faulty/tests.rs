use std::thread;

use super::*;
use crate::filesystem::{OpenMode, RealFilesystem, SpoolFile};

const EIO: i32 = 5;

struct Setup {
    memory: MemoryFilesystem,
    faulty: FaultyFilesystem,
    folder: Arc<dyn Folder>,
    file: Box<dyn SpoolFile>,
}

/// A file of zeros that is on disk.
fn setup() -> Setup {
    let memory = MemoryFilesystem::new();
    memory.put("/spool/file", vec![0; 10_000]);
    let faulty = FaultyFilesystem::new(memory.clone());
    let folder = faulty.open_folder(Path::new("/spool"), FolderMode::Existing).unwrap();
    let file = folder.open("file", OpenMode::Write).unwrap();
    Setup { memory, faulty, folder, file }
}

impl Setup {
    fn content(&self, name: &str) -> Vec<u8> {
        self.memory.read(format!("/spool/{name}")).unwrap()
    }

    fn after_crash(&self) -> Vec<u8> {
        self.memory.crashed_copy(&mut fastrand::Rng::with_seed(1)).read("/spool/file").unwrap()
    }
}

#[test]
fn every_call_has_a_number() {
    let Setup { faulty, folder, file, .. } = setup();
    assert_eq!(faulty.operations(), 2);
    faulty.fail_at(3, Fault::EIO);
    faulty.fail_at_os(4, 24);
    file.size().unwrap();
    assert_eq!(folder.list().unwrap_err().raw_os_error(), Some(EIO));
    assert_eq!(folder.list().unwrap_err().raw_os_error(), Some(24));
    folder.list().unwrap();
    assert_eq!(faulty.operations(), 6);
}

#[test]
fn faults_strike_a_sort_of_call_once_or_until_healed() {
    let Setup { faulty, folder, file, .. } = setup();
    faulty.fail_next(Operation::Write, io::ErrorKind::StorageFull);
    faulty.fail_always(Operation::SyncFolder, Fault::EROFS);
    assert_eq!(file.write_at(b"x", 0).unwrap_err().raw_os_error(), Some(28));
    file.write_at(b"x", 0).unwrap();
    for _ in 0..2 {
        assert_eq!(folder.sync().unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    }
    faulty.heal();
    folder.sync().unwrap();
}

#[test]
fn faults_follow_a_file_through_its_renames() {
    let Setup { faulty, folder, file, .. } = setup();
    folder.open_folder("dead", FolderMode::Create).unwrap();
    faulty.fail_names(Operation::Write, "dead/", Fault::EIO);
    faulty.fail_names(Operation::Rename, "forbidden", Fault::EIO);
    file.write_at(b"x", 0).unwrap();
    folder.rename("file", "forbidden").unwrap_err();
    folder.rename("file", "dead/file").unwrap();
    file.write_at(b"x", 0).unwrap_err();
    let again =
        folder.open_folder("dead", FolderMode::Existing).unwrap().open("file", OpenMode::Write).unwrap();
    again.write_at(b"x", 0).unwrap_err();
}

#[test]
fn a_crash_tears_the_write_and_ends_everything() {
    let setup = setup();
    let Setup { memory, faulty, folder, file } = &setup;
    faulty.crash_at(faulty.operations(), 2);
    file.write_at(&[1; 4], 0).unwrap_err();
    assert!(faulty.crashed());
    folder.list().unwrap_err();
    assert_eq!(setup.content("file")[..4], [1, 1, 0, 0]);
    memory.kill();
    faulty.heal();
    assert!(!faulty.crashed() && file.sync().is_err());
    faulty.open_folder(Path::new("/spool"), FolderMode::Existing).unwrap();
}

#[test]
fn a_failed_sync_forgets_and_the_next_says_that_all_is_well() {
    let setup = setup();
    let Setup { faulty, file, .. } = &setup;
    file.write_at(&[1; 10_000], 0).unwrap();
    faulty.fail_next(Operation::Sync, Fault::EIO);
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(EIO));
    file.sync().unwrap();
    assert_eq!(setup.content("file"), vec![1; 10_000]);
    assert_eq!(setup.after_crash(), vec![0; 10_000]);
    file.write_at(&[1; 10_000], 0).unwrap();
    file.sync().unwrap();
    assert_eq!(setup.after_crash(), vec![1; 10_000]);
}

#[test]
fn a_sync_that_the_process_does_not_live_to_see_forgets_nothing() {
    let setup = setup();
    let Setup { memory, faulty, file, .. } = &setup;
    file.write_at(&[1; 10_000], 0).unwrap();
    faulty.crash_at(faulty.operations(), 0);
    file.sync().unwrap_err();
    file.sync().unwrap_err();
    faulty.heal();
    memory.kill();
    let folder = faulty.open_folder(Path::new("/spool"), FolderMode::Existing).unwrap();
    folder.open("file", OpenMode::Write).unwrap().sync().unwrap();
    assert_eq!(setup.after_crash(), vec![1; 10_000]);
}

#[test]
fn a_lost_write_says_that_all_is_well() {
    let setup = setup();
    let Setup { faulty, file, .. } = &setup;
    faulty.lose_write_at(faulty.operations());
    file.write_at(&[1; 10], 0).unwrap();
    faulty.lose_next_write("other");
    faulty.lose_next_write("file");
    file.write_at(&[1; 10], 0).unwrap();
    assert_eq!(setup.content("file"), vec![0; 10_000]);
    file.write_at(&[1; 10_000], 0).unwrap();
    assert_eq!(setup.content("file"), vec![1; 10_000]);
}

#[test]
fn a_misdirected_page_goes_elsewhere_in_the_file() {
    let setup = setup();
    let Setup { faulty, file, .. } = &setup;
    file.write_at(&[7], 0).unwrap();
    faulty.misdirect_write_at(faulty.operations(), 4_096);
    file.write_at(&[1; 5_000], 100).unwrap();
    let mut expected = vec![0; 10_000];
    expected[0] = 7;
    expected[4_096] = 7;
    expected[4_196..8_192].fill(1);
    expected[4_096..5_100].fill(1);
    assert_eq!(setup.content("file"), expected, "the rest is written, here over a part of the page");
}

#[test]
fn a_misdirected_page_goes_to_another_file_and_to_disk() {
    let setup = setup();
    let Setup { memory, faulty, file, .. } = &setup;
    memory.put("/spool/other", vec![3; 6_000]);
    faulty.misdirect_next_write_into("file", "other");
    file.write_at(&[1; 10], 4_096).unwrap();
    assert_eq!(setup.content("file"), vec![0; 10_000]);
    let other = memory.crashed_copy(&mut fastrand::Rng::with_seed(1)).read("/spool/other").unwrap();
    assert_eq!(other, [vec![3; 4_096], vec![1; 10], vec![0; 4_086]].concat());
}

#[test]
fn reading_bad_bytes_fails() {
    let Setup { faulty, file, .. } = setup();
    let read = |from: u64, to: u64| file.read_at(&mut vec![0; usize::try_from(to - from).unwrap()], from);
    faulty.fail_reads("file", 100..200);
    faulty.fail_reads("other", 0..1_000);
    assert!(read(0, 100).is_ok() && read(200, 300).is_ok());
    for (from, to) in [(0, 101), (199, 300), (120, 130), (0, 1_000)] {
        assert_eq!(read(from, to).unwrap_err().raw_os_error(), Some(EIO));
    }
    faulty.heal();
    faulty.fail_read_once("file", 100..200);
    read(150, 160).unwrap_err();
    read(150, 160).unwrap();
}

#[test]
fn stalled_calls_wait_until_they_are_let_go() {
    let Setup { faulty, file, .. } = setup();
    faulty.stall(Operation::Sync);
    thread::scope(|scope| {
        let first = scope.spawn(|| file.sync());
        let second = scope.spawn(|| file.sync());
        faulty.wait_stalled(2);
        file.write_at(b"x", 0).unwrap();
        assert_eq!(faulty.stalled(), 2);
        assert!(!first.is_finished() && !second.is_finished());
        faulty.fail_next(Operation::Sync, Fault::EIO);
        faulty.unstall();
        let results = [first.join().unwrap(), second.join().unwrap()];
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
    });
    assert_eq!(faulty.stalled(), 0);
    file.sync().unwrap();
}

#[test]
fn space_is_counted_in_memory() {
    let Setup { faulty, folder, file, .. } = setup();
    faulty.set_space(Some(10));
    assert_eq!(folder.space().unwrap().free, 10);
    assert_eq!(file.allocate(10_011).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.allocate(10_010).unwrap();
    file.write_at(b"x", 10_010).unwrap_err();
    faulty.heal();
    file.write_at(b"x", 10_010).unwrap();
}

#[test]
fn space_is_counted_over_real_files() {
    let dir = tempfile::tempdir().unwrap();
    let faulty = FaultyFilesystem::new(RealFilesystem);
    let folder = faulty.open_folder(dir.path(), FolderMode::Create).unwrap();
    let file = folder.open("file", OpenMode::Create).unwrap();
    faulty.set_space(Some(100));
    assert_eq!(file.write_at(&[1; 120], 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!((file.size().unwrap(), folder.space().unwrap().free), (100, 0));
    let file = folder.open("file", OpenMode::Create).unwrap();
    assert_eq!(folder.space().unwrap().free, 100);
    file.write_at(&[1; 40], 10).unwrap();
    folder.open("other", OpenMode::Create).unwrap().write_at(&[1; 50], 0).unwrap();
    folder.rename("file", "other").unwrap();
    assert_eq!(folder.space().unwrap().free, 50);
    folder.remove("other").unwrap();
    assert_eq!(folder.space().unwrap().free, 100);
}
