use std::collections::BTreeSet;

use super::*;
use crate::filesystem::{OpenMode, SpoolFile};

fn spool(memory: &MemoryFilesystem) -> Arc<dyn Folder> {
    memory.open_folder(Path::new("/spool"), FolderMode::Create).unwrap()
}

/// A file that is on disk.
fn file(memory: &MemoryFilesystem, bytes: &[u8]) -> Box<dyn SpoolFile> {
    memory.put("/spool/file", bytes);
    spool(memory).open("file", OpenMode::Write).unwrap()
}

fn content(memory: &MemoryFilesystem) -> Vec<u8> {
    memory.read("/spool/file").unwrap()
}

/// What is in the file after each of many crashes.
fn crashes(memory: &MemoryFilesystem) -> BTreeSet<Vec<u8>> {
    let mut rng = Rng::with_seed(7);
    (0..2_000).map(|_| content(&memory.crashed_copy(&mut rng))).collect()
}

/// The names in the folder after each of many crashes.
fn names_after_crashes(memory: &MemoryFilesystem) -> BTreeSet<Vec<String>> {
    let mut rng = Rng::with_seed(7);
    let names = |copy: MemoryFilesystem| {
        copy.files()
            .into_keys()
            .map(|path| path.strip_prefix("/spool").unwrap().display().to_string())
            .collect()
    };
    (0..500).map(|_| names(memory.crashed_copy(&mut rng))).collect()
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("it fails").kind()
}

#[test]
fn synced_content_survives_every_crash() {
    let memory = MemoryFilesystem::new();
    let file = file(&memory, b"");
    file.write_at(&[1; 10_000], 0).unwrap();
    file.sync().unwrap();
    assert_eq!(crashes(&memory), [vec![1; 10_000]].into());
}

#[test]
fn any_set_of_sectors_of_an_unsynced_write_survives() {
    let memory = MemoryFilesystem::new();
    let file = file(&memory, &[0; 1_536]);
    file.write_at(&[1; 1_536], 0).unwrap();
    let whole = |bytes: &Vec<u8>| {
        let sectors: Vec<_> = bytes.chunks(512).map(|sector| sector.iter().all(|byte| *byte == 1)).collect();
        [sectors[0], sectors[1], sectors[2]]
    };
    let states: BTreeSet<_> = crashes(&memory).iter().map(whole).collect();
    assert_eq!(states.len(), 8, "each of three sectors with and without the others");
    assert!(
        crashes(&memory).iter().any(|bytes| bytes[..512].contains(&0) && bytes[..512].contains(&1)),
        "torn"
    );
}

#[test]
fn pages_survive_one_without_the_other() {
    let memory = MemoryFilesystem::new();
    let file = file(&memory, &[0; 8_192]);
    file.write_at(&[1; 8_192], 0).unwrap();
    let second_only = [vec![0; 4_096], vec![1; 4_096]].concat();
    assert!(crashes(&memory).contains(&second_only));
}

#[test]
fn no_change_of_a_sector_survives_without_the_one_before_it() {
    let memory = MemoryFilesystem::new();
    let file = file(&memory, &[0; 512]);
    file.write_at(&[1; 10], 0).unwrap();
    file.write_at(&[2; 10], 10).unwrap();
    for bytes in crashes(&memory) {
        assert!(!bytes.contains(&2) || bytes[..10] == [1; 10], "{bytes:?}");
    }
}

#[test]
fn length_survives_without_the_content_and_content_behind_the_end_is_gone() {
    let memory = MemoryFilesystem::new();
    let file = file(&memory, b"");
    file.write_at(&[1; 512], 0).unwrap();
    file.write_at(&[2; 512], 512).unwrap();
    let states = crashes(&memory);
    assert!(states.contains(&vec![0; 1_024]), "longer, and nothing in it");
    assert!(states.contains(&[vec![0; 512], vec![2; 512]].concat()), "the second without the first");
    assert!(states.contains(&vec![]) && states.contains(&[vec![1; 512], vec![2; 512]].concat()));
}

#[test]
fn nothing_old_comes_back_in_a_file_made_anew() {
    let memory = MemoryFilesystem::new();
    file(&memory, &[1; 600]);
    let anew = spool(&memory).open("file", OpenMode::Create).unwrap();
    anew.write_at(&[2; 600], 0).unwrap();
    for bytes in crashes(&memory) {
        assert!(!bytes.contains(&1) || bytes == [1; 600], "{bytes:?}");
    }
}

#[test]
fn a_failed_sync_forgets_for_ever_what_is_not_written_again() {
    let memory = MemoryFilesystem::new();
    let file = file(&memory, &[0; 20]);
    file.write_at(&[1; 10], 0).unwrap();
    memory.forget_pending(file.identity().unwrap());
    file.write_at(&[2; 5], 10).unwrap();
    file.sync().unwrap();
    assert_eq!(content(&memory), [vec![1; 10], vec![2; 5], vec![0; 5]].concat(), "it can be read");
    assert_eq!(content(&memory.fork()), content(&memory), "in a copy as well");
    assert_eq!(crashes(&memory), [[vec![0; 10], vec![2; 5], vec![0; 5]].concat()].into(), "and is not there");

    file.write_at(&[1; 10], 0).unwrap();
    file.sync().unwrap();
    assert_eq!(crashes(&memory), [[vec![1; 10], vec![2; 5], vec![0; 5]].concat()].into());
}

#[test]
fn a_forgotten_write_leaves_a_length_of_zeros() {
    let memory = MemoryFilesystem::new();
    let file = file(&memory, b"");
    file.write_at(&[1; 10], 0).unwrap();
    memory.forget_pending(file.identity().unwrap());
    file.sync().unwrap();
    assert_eq!(crashes(&memory), [vec![0; 10]].into());
}

#[test]
fn names_survive_in_order_and_a_rename_is_whole() {
    let memory = MemoryFilesystem::new();
    let folder = spool(&memory);
    folder.open("a", OpenMode::Create).unwrap();
    folder.rename("a", "b").unwrap();
    folder.open("c", OpenMode::Create).unwrap();
    let expected: [&[&str]; 4] = [&[], &["a"], &["b"], &["b", "c"]];
    let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
    assert_eq!(names_after_crashes(&memory), expected.into());
    folder.sync().unwrap();
    assert_eq!(names_after_crashes(&memory).len(), 1);
}

#[test]
fn a_rename_between_folders_is_whole_and_either_sync_brings_it_to_disk() {
    for synced in ["", "dead"] {
        let memory = MemoryFilesystem::new();
        memory.put("/spool/spare", "x");
        let folder = spool(&memory);
        let dead = folder.open_folder("dead", FolderMode::Create).unwrap();
        dead.open("first", OpenMode::Create).unwrap();
        folder.rename("spare", "dead/second").unwrap();
        folder.open("later", OpenMode::Create).unwrap();
        for names in names_after_crashes(&memory) {
            let count = names.iter().filter(|name| *name == "spare" || *name == "dead/second").count();
            assert_eq!(count, 1, "{names:?}");
            assert!(!names.contains(&"later".into()) || names.contains(&"dead/first".into()), "{names:?}");
        }
        let is_top = synced.is_empty();
        let synced = if is_top { &folder } else { &dead };
        synced.sync().unwrap();
        for names in names_after_crashes(&memory) {
            assert_eq!(names[..2], ["dead/first", "dead/second"]);
            let rest: &[String] = if is_top { &["later".into()] } else { &names[2..] };
            assert!(names[2..] == *rest, "{names:?}");
        }
    }
}

#[test]
fn sync_of_a_file_does_not_sync_its_name() {
    let memory = MemoryFilesystem::new();
    let file = spool(&memory).open("file", OpenMode::Create).unwrap();
    file.write_at(b"x", 0).unwrap();
    file.sync().unwrap();
    assert!(names_after_crashes(&memory).contains(&vec![]));
}

#[test]
fn a_folder_is_locked_by_one_handle_until_that_is_gone() {
    let memory = MemoryFilesystem::new();
    let (owner, other) = (spool(&memory), spool(&memory));
    owner.lock().unwrap();
    owner.lock().unwrap();
    assert!(!owner.is_locked().unwrap() && other.is_locked().unwrap());
    assert_eq!(kind(other.lock()), io::ErrorKind::WouldBlock);
    memory.rename_folder("/spool", "/moved").unwrap();
    let moved = memory.open_folder(Path::new("/moved"), FolderMode::Existing).unwrap();
    assert!(moved.is_locked().unwrap() && !spool(&memory).is_locked().unwrap());
    drop(owner);
    other.lock().unwrap();
}

#[test]
fn locks_and_handles_end_with_the_process() {
    let memory = MemoryFilesystem::new();
    let (before, file) = (spool(&memory), file(&memory, b"x"));
    before.lock().unwrap();
    memory.kill();
    let after = spool(&memory);
    after.lock().unwrap();
    assert!(before.list().is_err() && file.sync().is_err());
    drop(before);
    assert!(spool(&memory).is_locked().unwrap(), "a dead handle unlocks nothing");
    assert_eq!(content(&memory), b"x");
}

#[test]
fn a_handle_follows_its_folder_and_knows_where_that_is() {
    let memory = MemoryFilesystem::new();
    let folder = spool(&memory);
    assert!(folder.is_at(Path::new("/spool")).unwrap() && folder.is_at(Path::new("/spool/.")).unwrap());
    memory.rename_folder("/spool", "/moved").unwrap();
    assert!(!folder.is_at(Path::new("/spool")).unwrap(), "nothing is there");
    let other = spool(&memory);
    assert!(!folder.is_at(Path::new("/spool")).unwrap(), "another folder is there");
    assert!(folder.is_at(Path::new("/moved")).unwrap());

    folder.open("file", OpenMode::Create).unwrap();
    assert!(other.list().unwrap().is_empty());
    assert_eq!(memory.files().into_keys().collect::<Vec<_>>(), [PathBuf::from("/moved/file")]);
}

#[test]
fn nothing_can_be_made_in_a_deleted_folder() {
    let memory = MemoryFilesystem::new();
    let (folder, file) = (spool(&memory), file(&memory, b"x"));
    memory.delete_dir("/spool");
    assert_eq!(kind(folder.open("new", OpenMode::Create)), io::ErrorKind::NotFound);
    assert!(folder.list().unwrap().is_empty() && !folder.is_at(Path::new("/spool")).unwrap());
    file.write_at(b"y", 0).unwrap();
    assert!(memory.files().is_empty());
}

#[test]
fn space_is_used_by_growth_and_given_back() {
    let memory = MemoryFilesystem::new();
    let file = file(&memory, &[0; 10]);
    let folder = spool(&memory);
    memory.set_space(Some(100));
    file.write_at(&[1; 10], 0).unwrap();
    assert_eq!(folder.space().unwrap().free, 100, "overwriting takes no space");
    assert_eq!(kind(file.write_at(&[2; 120], 5)), io::ErrorKind::StorageFull);
    assert_eq!((file.size().unwrap(), folder.space().unwrap().free), (110, 0), "what fits is written");

    file.allocate(50).unwrap();
    assert_eq!(folder.space().unwrap().free, 60);
    let other = folder.open("other", OpenMode::Create).unwrap();
    assert_eq!(kind(other.allocate(61)), io::ErrorKind::StorageFull);
    assert_eq!(other.size().unwrap(), 0);
    other.allocate(60).unwrap();
    folder.open("other", OpenMode::Create).unwrap();
    folder.remove("file").unwrap();
    assert_eq!(folder.space().unwrap().free, 110);
    memory.set_space(None);
    assert!(folder.space().unwrap().free > 1 << 40);
}

#[test]
fn hands_from_outside_reach_the_disk_at_once() {
    let memory = MemoryFilesystem::new();
    let file = file(&memory, &[0; 10]);
    file.write_at(&[1; 4], 0).unwrap();
    memory.overwrite("/spool/file", 2, &[9]).unwrap();
    file.sync().unwrap();
    assert_eq!(crashes(&memory), [vec![1, 1, 9, 1, 0, 0, 0, 0, 0, 0]].into());
    memory.truncate("/spool/file", 3).unwrap();
    assert_eq!(crashes(&memory), [vec![1, 1, 9]].into());

    let before = file.identity().unwrap();
    memory.put("/spool/file", "new");
    let after = spool(&memory).open("file", OpenMode::Read).unwrap();
    assert_ne!(before, after.identity().unwrap());
    assert_eq!(after.write_at(b"x", 0).unwrap_err().raw_os_error(), Some(9), "opened for reading");
    memory.remove_file("/spool/file").unwrap();
    assert_eq!(kind(memory.remove_file("/spool/file")), io::ErrorKind::NotFound);
}

#[test]
fn identity_stays_with_the_file() {
    let memory = MemoryFilesystem::new();
    let (folder, file) = (spool(&memory), file(&memory, b"x"));
    folder.rename("file", "renamed").unwrap();
    let renamed = folder.open("renamed", OpenMode::Create).unwrap();
    assert_eq!(renamed.identity().unwrap(), file.identity().unwrap());
    assert_eq!(file.size().unwrap(), 0, "creating empties what is there");
    assert_ne!(folder.open("new", OpenMode::Create).unwrap().identity().unwrap(), file.identity().unwrap());
}

#[test]
fn a_copy_is_independent() {
    let memory = MemoryFilesystem::new();
    let folder = spool(&memory);
    let file = file(&memory, b"a");
    folder.lock().unwrap();
    let copy = memory.fork();
    file.write_at(b"b", 0).unwrap();
    assert_eq!(content(&copy), b"a");
    spool(&copy).lock().unwrap();
    copy.overwrite("/spool/file", 0, b"c").unwrap();
    assert_eq!(content(&memory), b"b");
}
