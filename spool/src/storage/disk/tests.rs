use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt, path::Path};

use super::*;

#[test]
fn missing_directory_is_created_for_its_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b");
    let disk = Disk::open(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
    assert_eq!(disk.list().unwrap(), vec![]);
}

#[test]
fn empty_directory_is_closed_to_others_and_foreign_content_keeps_its_mode() {
    let parent = tempfile::tempdir().unwrap();
    let (empty, foreign) = (parent.path().join("empty"), parent.path().join("foreign"));
    for path in [&empty, &foreign] {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(foreign.join("letter"), "dear").unwrap();

    let _disks = (Disk::open(&empty).unwrap(), Disk::open(&foreign).unwrap());
    assert_eq!((mode(&empty), mode(&foreign)), (0o700, 0o755));
}

#[test]
fn second_owner_is_refused_by_name_until_the_first_is_gone() {
    let parent = tempfile::tempdir().unwrap();
    let disk = Disk::open(parent.path()).unwrap();
    let error = Disk::open(parent.path()).unwrap_err();
    assert!(matches!(&error, DiskError::Locked { directory } if directory == parent.path()));
    assert!(
        error
            .to_string()
            .contains(&parent.path().display().to_string()),
        "{error}"
    );

    drop(disk);
    Disk::open(parent.path()).unwrap();
}

#[test]
fn file_in_place_of_the_directory_is_refused_and_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    fs::write(&path, "mine").unwrap();
    assert!(matches!(
        Disk::open(&path),
        Err(DiskError::NotADirectory { .. })
    ));
    assert!(matches!(
        Disk::open(&path.join("below")),
        Err(DiskError::NotADirectory { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn directory_that_cannot_be_written_is_refused_and_left_alone() {
    // The process directory of the kernel refuses even the superuser.
    let error = Disk::open(Path::new("/proc/self/fd")).unwrap_err();
    assert!(matches!(&error, DiskError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("/proc/self/fd"), "{error}");
}

#[test]
fn directory_that_cannot_be_made_is_refused_by_name() {
    let parent = tempfile::tempdir().unwrap();
    let link = parent.path().join("link");
    std::os::unix::fs::symlink(parent.path().join("nowhere"), &link).unwrap();

    // The kernel says of each that it is not there, though all above it is.
    for path in [Path::new("/proc/spool"), &link.join("spool")] {
        let error = Disk::open(path).unwrap_err();
        assert!(matches!(&error, DiskError::Unusable { .. }), "{error:?}");
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
    }
}

#[test]
fn created_file_is_zero_and_has_its_blocks() {
    let parent = tempfile::tempdir().unwrap();
    let disk = Disk::open(parent.path()).unwrap();
    let len = 200_000;
    let file = disk.create("segment", len).unwrap();
    let mut bytes = vec![1; len as usize];
    file.read_at(&mut bytes, 0).unwrap();
    file.sync().unwrap();
    assert_eq!(file.len().unwrap(), len);
    assert!(bytes.iter().all(|byte| *byte == 0));
    let metadata = fs::metadata(parent.path().join("segment")).unwrap();
    assert!(
        metadata.blocks() * 512 >= len,
        "{} blocks",
        metadata.blocks()
    );
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(
        disk.create("segment", 1).err().map(|error| error.kind()),
        Some(ErrorKind::AlreadyExists)
    );
    assert_eq!(disk.list().unwrap(), vec![("segment".to_owned(), len)]);
}

#[test]
fn bytes_are_read_where_they_were_written_and_never_beyond_the_end() {
    let parent = tempfile::tempdir().unwrap();
    let disk = Disk::open(parent.path()).unwrap();
    disk.create("a", 8).unwrap().write_at(b"xyz", 2).unwrap();
    disk.rename("a", "b").unwrap();
    disk.sync_directory().unwrap();
    assert_eq!(
        disk.open("a").err().map(|error| error.kind()),
        Some(ErrorKind::NotFound)
    );
    let file = disk.open("b").unwrap();
    let mut bytes = [9; 4];
    file.read_at(&mut bytes, 1).unwrap();
    assert_eq!(&bytes, b"\0xyz");
    assert_eq!(
        file.read_at(&mut bytes, 5).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );

    disk.remove("b").unwrap();
    file.read_at(&mut bytes, 1).unwrap();
    assert_eq!(disk.list().unwrap(), vec![]);
}

#[test]
fn names_that_leave_the_directory_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let disk = Disk::open(parent.path()).unwrap();
    for name in ["", ".", "..", "../x", "a/b", "/etc/passwd", "lock"] {
        assert_eq!(
            disk.open(name).err().map(|error| error.kind()),
            Some(ErrorKind::InvalidInput),
            "{name:?}"
        );
    }
}

#[test]
fn reader_beside_the_owner_sees_files_and_changes_none() {
    let parent = tempfile::tempdir().unwrap();
    let owner = Disk::open(parent.path()).unwrap();
    owner.create("a", 4).unwrap().write_at(b"abcd", 0).unwrap();
    let reader = Disk::open_read_only(parent.path()).unwrap();
    let mut bytes = [0; 4];
    let file = reader.open("a").unwrap();
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"abcd");
    assert!(file.write_at(b"z", 0).is_err());
    for result in [
        reader.create("b", 1).err(),
        reader.remove("a").err(),
        reader.rename("a", "b").err(),
    ] {
        assert_eq!(
            result.map(|error| error.kind()),
            Some(ErrorKind::PermissionDenied)
        );
    }
    assert_eq!(reader.list().unwrap(), vec![("a".to_owned(), 4)]);
    assert!(matches!(
        Disk::open_read_only(&parent.path().join("nowhere")),
        Err(DiskError::Missing { .. })
    ));
}

#[test]
fn space_is_that_of_the_file_system() {
    let parent = tempfile::tempdir().unwrap();
    let space = Disk::open(parent.path()).unwrap().space().unwrap();
    assert!(
        space.free_bytes > 0 && space.free_bytes <= space.total_bytes,
        "{space:?}"
    );
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
