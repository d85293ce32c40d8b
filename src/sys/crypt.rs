//! crypt(3) by libcrypt.so.1, loaded when it is needed, and the hashes of shadow(5).

use super::dynamic::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::OnceLock;

/// Size of struct crypt_data; libxcrypt fixes it for ever.
const DATA: usize = 32_768;

type CryptRn = unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void, c_int) -> *mut c_char;

/// The hash of a password with the salt and method of `setting`; None when the library is not there, does not know
/// the method, or either holds a NUL.
pub fn hash(password: &[u8], setting: &[u8]) -> Option<Vec<u8>> {
    static FUNCTION: OnceLock<Option<CryptRn>> = OnceLock::new();
    let function = (*FUNCTION.get_or_init(|| {
        let symbol = Library::open(&[c"libcrypt.so.1", c"libcrypt.so.2"])?.symbol(c"crypt_rn")?;
        // SAFETY: crypt_rn has had this signature in every libcrypt that has it.
        Some(unsafe { std::mem::transmute::<*mut c_void, CryptRn>(symbol.as_ptr()) })
    }))?;
    let (password, setting) = (CString::new(password).ok()?, CString::new(setting).ok()?);
    let mut data = vec![0u8; DATA];
    // SAFETY: both strings are terminated, the zeroed buffer has the size that is passed and outlives the call.
    let found = unsafe { function(password.as_ptr(), setting.as_ptr(), data.as_mut_ptr().cast(), DATA as c_int) };
    let answer = if found.is_null() {
        None
    } else {
        // SAFETY: a non-null answer is a terminated string within `data`, which is still alive.
        Some(unsafe { CStr::from_ptr(found) }.to_bytes().to_vec())
    };
    data.fill(0);
    // A failure may also be told by a token that begins with "*".
    answer.filter(|answer| !answer.starts_with(b"*"))
}

/// Whether the password has this hash. A comparison takes the same time wherever the first difference is.
pub fn verify(password: &[u8], stored: &[u8]) -> bool {
    hash(password, stored).is_some_and(|hash| equal(&hash, stored))
}

/// Compares without telling by its time where the difference is.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut different = a.len() ^ b.len();
    for (at, byte) in a.iter().enumerate() {
        different |= usize::from(byte ^ b.get(at).copied().unwrap_or(0));
    }
    std::hint::black_box(different) == 0
}

/// The password field of shadow(5); None without such a user or the right to read it.
pub fn shadow(user: &[u8]) -> Option<Vec<u8>> {
    let user = CString::new(user).ok()?;
    let mut buffer = vec![0 as c_char; 16 * 1024];
    // SAFETY: an all-zero spwd is a valid value of this struct of pointers and numbers.
    let mut entry: libc::spwd = unsafe { std::mem::zeroed() };
    let mut found: *mut libc::spwd = std::ptr::null_mut();
    // SAFETY: every pointer is valid for the call, and the length is the buffer's.
    let status = unsafe { libc::getspnam_r(user.as_ptr(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) };
    if status != 0 || found.is_null() || entry.sp_pwdp.is_null() {
        return None;
    }
    // SAFETY: on success the field points to a terminated string within `buffer`, which is still alive.
    Some(unsafe { CStr::from_ptr(entry.sp_pwdp) }.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_hash() {
        let stored =
            b"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
        match hash(b"Hello world!", stored) {
            None => eprintln!("skipped: libcrypt is not here"),
            Some(hash) => {
                assert!(equal(&hash, stored));
                assert!(verify(b"Hello world!", stored));
                assert!(!verify(b"Hello world", stored));
            }
        }
        assert!(!verify(b"x", b"!"));
        assert!(!verify(b"x", b""));
        assert!(!equal(b"a", b"ab"));
    }
}
