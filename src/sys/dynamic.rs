//! Functions of libraries that are there at run time or not. No headers are needed to build, and a machine without the
//! library keeps everything else.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

/// A library that stays loaded for the life of the process.
#[derive(Clone, Copy, Debug)]
pub struct Library(NonNull<c_void>);

impl Library {
    /// Loads the first of these names that is there.
    pub fn open(names: &[&CStr]) -> Option<Library> {
        // SAFETY: dlopen gets a terminated name; the libraries named by our callers are system libraries whose
        // constructors do nothing unusual, and they are never unloaded.
        names.iter().find_map(|name| {
            NonNull::new(unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) }).map(Library)
        })
    }

    /// The address of a function. Its type is the caller's to know.
    pub fn symbol(self, name: &CStr) -> Option<NonNull<c_void>> {
        // SAFETY: the handle came from dlopen and was never closed; the name is terminated.
        NonNull::new(unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) })
    }
}
