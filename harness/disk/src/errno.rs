//! The errors that a fault may answer with, by their names in errno(3).

/// What disks and file systems really say, and what programs must cope with.
const NAMES: [(&str, i32); 16] = [
    ("EIO", libc::EIO),
    ("ENOSPC", libc::ENOSPC),
    ("EDQUOT", libc::EDQUOT),
    ("EROFS", libc::EROFS),
    ("EAGAIN", libc::EAGAIN),
    ("EINTR", libc::EINTR),
    ("EACCES", libc::EACCES),
    ("EPERM", libc::EPERM),
    ("EBUSY", libc::EBUSY),
    ("ENOENT", libc::ENOENT),
    ("ENOMEM", libc::ENOMEM),
    ("EMFILE", libc::EMFILE),
    ("ENFILE", libc::ENFILE),
    ("EFBIG", libc::EFBIG),
    ("ESTALE", libc::ESTALE),
    ("ETIMEDOUT", libc::ETIMEDOUT),
];

pub(crate) fn number(name: &str) -> Option<i32> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

pub(crate) fn known() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}
