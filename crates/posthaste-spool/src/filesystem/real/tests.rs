use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use tempfile::{TempDir, tempdir};

use super::*;

fn open(dir: &TempDir) -> Arc<dyn Folder> {
    RealFilesystem.open_folder(dir.path(), FolderMode::Create).unwrap()
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn folders_are_made_with_their_parents_for_the_owner_only() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a/b/c");
    let missing = RealFilesystem.open_folder(&path, FolderMode::Existing).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let folder = RealFilesystem.open_folder(&path, FolderMode::Create).unwrap();
    RealFilesystem.open_folder(&path, FolderMode::Create).unwrap();
    folder.open_folder("dead", FolderMode::Create).unwrap().open("file", OpenMode::Create).unwrap();
    folder.open_folder("dead", FolderMode::Create).unwrap();
    for folder in ["a", "a/b", "a/b/c", "a/b/c/dead"] {
        assert_eq!(mode_of(&dir.path().join(folder)), 0o700);
    }
    assert_eq!(mode_of(&path.join("dead/file")), 0o600);
    fs::write(path.join("plain"), "").unwrap();
    let plain = RealFilesystem.open_folder(&path.join("plain"), FolderMode::Create).unwrap_err();
    assert_eq!(plain.kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn only_plain_files_are_listed_and_opened() {
    let dir = tempdir().unwrap();
    let folder = open(&dir);
    fs::write(dir.path().join("plain"), "12345").unwrap();
    symlink(dir.path().join("plain"), dir.path().join("link")).unwrap();
    folder.open_folder("folder", FolderMode::Create).unwrap();
    assert_eq!(folder.list().unwrap(), [DirEntry { name: "plain".into(), bytes: 5 }]);
    assert_eq!(folder.list().unwrap().len(), 1, "and again");
    folder.open("link", OpenMode::Read).unwrap_err();
}

#[test]
fn files_are_read_written_renamed_and_removed() {
    let dir = tempdir().unwrap();
    let folder = open(&dir);
    let file = folder.open("a", OpenMode::Create).unwrap();
    file.write_at(b"hello", 3).unwrap();
    file.sync().unwrap();
    let mut buffer = [9; 10];
    assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 7);
    assert_eq!(&buffer, b"\0\0hello\x09\x09\x09");
    folder.open_folder("dead", FolderMode::Create).unwrap();
    folder.rename("a", "dead/b").unwrap();
    folder.sync().unwrap();
    let again = folder.open("dead/b", OpenMode::Read).unwrap();
    assert_eq!(again.identity().unwrap(), file.identity().unwrap());
    assert_eq!(again.size().unwrap(), 8);
    assert_ne!(folder.open("c", OpenMode::Create).unwrap().identity().unwrap(), file.identity().unwrap());
    folder.remove("dead/b").unwrap();
    assert_eq!(folder.remove("dead/b").unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
#[cfg(target_os = "linux")]
fn allocated_room_is_there_and_the_length_is_as_asked() {
    let dir = tempdir().unwrap();
    let folder = open(&dir);
    let file = folder.open("file", OpenMode::Create).unwrap();
    file.write_at(b"x", 0).unwrap();
    match file.allocate(1 << 20) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return,
        result => result.unwrap(),
    }
    assert_eq!(file.size().unwrap(), 1 << 20);
    assert!(fs::metadata(dir.path().join("file")).unwrap().blocks() * 512 >= 1 << 20);
    file.allocate(100).unwrap();
    assert_eq!(file.size().unwrap(), 100);
    file.allocate(0).unwrap();
    assert_eq!(file.size().unwrap(), 0);
}

#[test]
fn a_folder_is_locked_by_one_handle_until_that_is_gone() {
    let dir = tempdir().unwrap();
    let (owner, other) = (open(&dir), open(&dir));
    owner.lock().unwrap();
    owner.lock().unwrap();
    assert!(!owner.is_locked().unwrap() && other.is_locked().unwrap());
    assert_eq!(other.lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(owner);
    assert!(!other.is_locked().unwrap());
    other.lock().unwrap();
}

#[test]
fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
    let dir = tempdir().unwrap();
    let owner = RealFolder { dir: open_dir(CWD, dir.path()).unwrap(), locked: AtomicBool::new(false) };
    owner.lock().unwrap();
    let copy = owner.dir.try_clone().unwrap();
    drop(owner);
    open(&dir).lock().unwrap();
    drop(copy);
}

#[test]
fn a_probe_does_not_keep_the_owner_out() {
    let dir = tempdir().unwrap();
    let folder = open(&dir);
    let probe = open_dir(CWD, dir.path()).unwrap();
    flock(&probe, FlockOperation::NonBlockingLockShared).unwrap();
    assert!(!folder.is_locked().unwrap(), "probes do not see each other");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| folder.lock());
        drop(probe);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn a_handle_follows_its_folder_and_knows_where_that_is() {
    let dir = tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let folder = RealFilesystem.open_folder(&old, FolderMode::Create).unwrap();
    assert!(folder.is_at(&old).unwrap());
    symlink(&old, dir.path().join("link")).unwrap();
    assert!(folder.is_at(&dir.path().join("link")).unwrap());
    fs::rename(&old, &new).unwrap();
    assert!(!folder.is_at(&old).unwrap() && !folder.is_at(&dir.path().join("link")).unwrap());
    RealFilesystem.open_folder(&old, FolderMode::Create).unwrap();
    assert!(!folder.is_at(&old).unwrap() && folder.is_at(&new).unwrap());
    folder.open("file", OpenMode::Create).unwrap();
    assert!(new.join("file").exists() && !folder.is_at(&new.join("file/x")).unwrap());
}

#[test]
fn a_parent_that_may_not_be_read_is_no_obstacle() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("closed/open");
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(dir.path().join("closed"), Permissions::from_mode(0o100)).unwrap();
    RealFilesystem.open_folder(&path, FolderMode::Create).unwrap();
    fs::set_permissions(dir.path().join("closed"), Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_disk_has_room() {
    let dir = tempdir().unwrap();
    let space = open(&dir).space().unwrap();
    assert!(space.free > 0 && space.free <= space.total);
}

#[test]
fn the_signal_of_a_file_that_is_too_large_is_survived() {
    let dir = tempdir().unwrap();
    open(&dir);
    signal_hook::low_level::raise(SIGXFSZ).unwrap();
}
