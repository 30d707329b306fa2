//! Files mapped read-only, and an orderly end where one of them can no longer be read.
//!
//! A page of a map that another program has cut off its file, or that the disk fails to give, cannot be answered with an
//! error: the system raises SIGBUS in the thread that touched it. A handler tells which file it was, in one line, puts
//! the terminal back and ends the process with status 1. Faults elsewhere go where they went before.
#![allow(unsafe_code)]

use std::{fs::File, io, ops::Deref, path::Path};

use memmap2::Mmap;

/// The bytes of a file, mapped read-only.
#[derive(Debug)]
pub struct FileMap {
    // goes before the map: what is mapped there next is none of its business
    #[cfg(target_os = "linux")]
    _watch: watch::Watch,
    map: Mmap,
}

impl FileMap {
    /// Maps `file`, which `path` names in messages.
    ///
    /// # Errors
    /// When the system cannot map it.
    pub fn new(file: &File, path: &Path) -> io::Result<Self> {
        // SAFETY: the map is read-only and private. That no other process shortens or rewrites the file while it is
        // mapped cannot be enforced: our own writers write under a temporary name and rename, so they never touch a
        // mapped inode; whoever shortens one ends this process through the handler, before a byte is made up.
        let map = unsafe { Mmap::map(file)? };
        #[cfg(target_os = "linux")]
        let _watch = watch::Watch::new(&map, path);
        #[cfg(not(target_os = "linux"))]
        let _ = path;
        Ok(Self {
            #[cfg(target_os = "linux")]
            _watch,
            map,
        })
    }

    /// Lets the memory of all pages go; they are read again when they are touched.
    pub fn let_go(&self) {
        // SAFETY: the map is read-only and of a file, so the pages hold nothing that the file does not.
        #[cfg(unix)]
        let _ = unsafe { self.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) }; // only memory is at stake
    }
}

impl Deref for FileMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

#[cfg(target_os = "linux")]
mod watch {
    use std::{
        mem,
        path::Path,
        ptr,
        sync::{
            Mutex, Once, OnceLock, PoisonError,
            atomic::{AtomicPtr, AtomicUsize, Ordering},
        },
    };

    use libc::{SA_ONSTACK, SA_SIGINFO, SIG_DFL, SIGBUS, c_int, c_void, sigaction, siginfo_t, termios};

    /// A mapped range; never freed, for a handler may look at it at any time. A later map of the same file takes it over.
    #[derive(Debug)]
    struct Entry {
        start: AtomicUsize,
        /// 0: the range is not mapped.
        end: AtomicUsize,
        /// What is said of the file.
        text: String,
        next: Option<&'static Entry>,
    }

    /// The newest entry. An entry is complete before it is put here, and what lies behind `next` does not change.
    static ENTRIES: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());
    /// Held by those who add and take over entries.
    static CHANGES: Mutex<()> = Mutex::new(());
    static INSTALL: Once = Once::new();
    static BEFORE: OnceLock<Before> = OnceLock::new();

    /// How things were when the first file was mapped.
    struct Before {
        action: sigaction,
        /// The terminal's settings, where there is one.
        terminal: Option<termios>,
    }

    /// Stands for a range as long as it is mapped.
    #[derive(Debug)]
    pub(super) struct Watch {
        entry: &'static Entry,
    }

    impl Watch {
        pub(super) fn new(bytes: &[u8], path: &Path) -> Self {
            INSTALL.call_once(install);
            let range = bytes.as_ptr_range();
            let text = format!(
                "ERROR: {path:?} can no longer be read: another program has cut it short, or its disk fails \
                 [bad_model_file]\nhint: fetch the model again; put a new file in place by renaming it\n"
            );
            let guard = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
            let free = entries().find(|entry| entry.end.load(Ordering::Relaxed) == 0 && entry.text == text);
            let entry = free.unwrap_or_else(|| {
                let next = newest();
                let entry = Entry { start: AtomicUsize::new(0), end: AtomicUsize::new(0), text, next };
                let entry: &'static Entry = Box::leak(Box::new(entry));
                ENTRIES.store(ptr::from_ref(entry).cast_mut(), Ordering::Release);
                entry
            });
            entry.start.store(range.start.addr(), Ordering::Release);
            entry.end.store(range.end.addr(), Ordering::Release);
            drop(guard);
            Self { entry }
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            let _guard = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
            self.entry.end.store(0, Ordering::Release);
        }
    }

    fn newest() -> Option<&'static Entry> {
        // SAFETY: null, or a leaked entry that was complete before anyone could see its address.
        unsafe { ENTRIES.load(Ordering::Acquire).as_ref() }
    }

    fn entries() -> impl Iterator<Item = &'static Entry> {
        std::iter::successors(newest(), |entry| entry.next)
    }

    fn install() {
        // SAFETY: all zeros is a value of both structures, which the calls fill; 0 is standard input, whatever it is.
        // The handler keeps to what may be done in one.
        unsafe {
            let mut terminal: termios = mem::zeroed();
            let terminal = (libc::tcgetattr(0, &raw mut terminal) == 0).then_some(terminal);
            let mut action: sigaction = mem::zeroed();
            if libc::sigaction(SIGBUS, ptr::null(), &raw mut action) != 0 {
                return;
            }
            let _ = BEFORE.set(Before { action, terminal });
            let mut own: sigaction = mem::zeroed();
            own.sa_sigaction = on_fault as *const () as usize;
            own.sa_flags = SA_SIGINFO | SA_ONSTACK;
            libc::sigaction(SIGBUS, &raw const own, ptr::null_mut());
        }
    }

    /// Calls nothing but `tcgetpgrp`, `getpgrp`, `tcsetattr`, `write`, `sigaction` and `_exit`, which a handler may; takes
    /// no lock and allocates nothing.
    extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the system hands a handler with SA_SIGINFO a valid `info`, whose address is set for this signal.
        let fault = unsafe { (*info).si_addr() }.addr();
        let hit = entries().find(|entry| {
            (entry.start.load(Ordering::Acquire)..entry.end.load(Ordering::Acquire)).contains(&fault)
        });
        let Some(before) = BEFORE.get() else { return };
        // SAFETY: plain system calls with memory that lives for ever; a previous handler gets what it would have got.
        unsafe {
            if let Some(entry) = hit {
                // who runs in the background leaves the terminal alone
                let own = libc::tcgetpgrp(0) == libc::getpgrp();
                if let Some(terminal) = before.terminal.as_ref().filter(|_| own) {
                    libc::tcsetattr(0, libc::TCSANOW, terminal);
                    libc::write(2, b"\n".as_ptr().cast(), 1);
                }
                libc::write(2, entry.text.as_ptr().cast(), entry.text.len());
                libc::_exit(1);
            }
            let previous = before.action.sa_sigaction;
            if previous == SIG_DFL || previous == libc::SIG_IGN {
                // the fault happens again when this returns, and takes its usual course
                libc::sigaction(SIGBUS, &raw const before.action, ptr::null_mut());
            } else if before.action.sa_flags & SA_SIGINFO != 0 {
                let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = mem::transmute(previous);
                handler(signal, info, context);
            } else {
                let handler: extern "C" fn(c_int) = mem::transmute(previous);
                handler(signal);
            }
        }
    }
}
