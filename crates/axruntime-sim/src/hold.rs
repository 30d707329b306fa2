//! Who is connected to a device, across processes: a locked file for each device.
//!
//! The kernel drops the lock with the process, however it ends, so no device stays busy after a crash. The
//! file itself stays: removing it would race with the next process that opens it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

/// A device of ours, until dropped.
#[derive(Debug)]
pub(crate) struct Hold(#[expect(dead_code, reason = "the lock goes with the file")] File);

/// Why a device could not be taken.
#[derive(Debug)]
pub(crate) enum NotHeld {
    By(String),
    Io(String),
}

/// Takes a device, or says who has it.
pub(crate) fn take(device: &str) -> Result<Hold, NotHeld> {
    let io = |error: io::Error| NotHeld::Io(format!("{}: {error}", path(device).display()));
    let mut file = open(device, true).map_err(io)?;
    // whoever lists devices holds the lock for a moment: try for 100 ms
    for attempt in 0.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < 20 => std::thread::sleep(Duration::from_millis(5)),
            Err(TryLockError::WouldBlock) => return Err(NotHeld::By(reader(&mut file))),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(io)?;
    Ok(Hold(file))
}

/// Who has a device, if anybody.
pub(crate) fn holder(device: &str) -> Option<String> {
    let mut file = open(device, false).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(reader(&mut file)),
        _ => None,
    }
}

fn reader(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(20).read_to_string(&mut text));
    match read.ok().and_then(|_| text.trim().parse::<u32>().ok()) {
        Some(pid) => format!("pid {pid}"),
        None => "another process".into(),
    }
}

fn path(device: &str) -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    let folder = folder.unwrap_or_else(std::env::temp_dir);
    let escaped: String = device
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
            _ => format!("_{byte:02x}"),
        })
        .collect();
    // a name of its own for each user, since a file in /tmp belongs to whoever came first
    folder.join(format!("axsim-{}-{escaped}.lock", user()))
}

fn user() -> u32 {
    std::fs::metadata("/proc/self").map_or(0, |metadata| metadata.uid())
}

fn open(device: &str, create: bool) -> io::Result<File> {
    let path = path(device);
    let file =
        OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(&path)?;
    // in a folder that all may write, the name could be somebody's link to another file of ours
    let (named, opened) = (path.symlink_metadata()?, file.metadata()?);
    if !opened.is_file()
        || opened.uid() != user()
        || (named.dev(), named.ino()) != (opened.dev(), opened.ino())
    {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a plain file of this user"));
    }
    Ok(file)
}
