//! Which extended attributes of a tar reach the tree.
//!
//! Attributes that overlayfs or this program would take for an instruction are dropped, never
//! interpreted: a layer must not be able to write whiteouts behind the back of whoever reads it. What
//! neither Linux nor EROFS can hold is dropped too. What is kept is kept byte for byte.

use crate::layer::tree::Xattrs;
use crate::layer::warning::WarningKind;

/// Attributes that overlayfs obeys, in both its forms, and this project's own.
const RESERVED: [&[u8]; 3] = [b"trusted.overlay.", b"user.overlay.", b"trusted.sandbox-images."];

/// The namespaces of Linux that EROFS has a number for. An attribute needs a name behind these.
const NAMESPACES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];

/// The two names that are a namespace by themselves (`linux/posix_acl_xattr.h`).
const POSIX_ACLS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// Why an inode cannot have its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XattrError {
    /// `user.` alone, as Linux refuses it.
    #[error("an extended attribute has no name behind its namespace")]
    EmptyName,
    /// A NUL ends a name for the kernel.
    #[error("the name of an extended attribute holds a NUL byte")]
    NulInName,
}

/// What is to be done with one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It can be stored and read.
    Keep,
    /// It means nothing here, or too much.
    Drop(WarningKind),
}

/// Removes from `xattrs` what a layer cannot have, telling `warn`, and checks the rest. `user_allowed`
/// is whether Linux lets the inode have `user.*` attributes. Their sizes were judged as they were read.
pub(super) fn filter(
    xattrs: &mut Xattrs,
    user_allowed: bool,
    mut warn: impl FnMut(WarningKind),
) -> Result<(), XattrError> {
    let mut result = Ok(());
    xattrs.retain(|name, _| match judge(name, user_allowed) {
        Ok(Verdict::Keep) => true,
        Ok(Verdict::Drop(warning)) => {
            warn(warning);
            false
        }
        Err(error) => {
            result = Err(error);
            false
        }
    });
    result
}

/// Judges an attribute by its name alone.
pub(super) fn judge(name: &[u8], user_allowed: bool) -> Result<Verdict, XattrError> {
    if name.contains(&0) {
        return Err(XattrError::NulInName);
    }
    if RESERVED.iter().any(|prefix| name.starts_with(prefix)) {
        return Ok(Verdict::Drop(WarningKind::XattrReserved(name.into())));
    }
    if NAMESPACES.contains(&name) {
        return Err(XattrError::EmptyName);
    }
    let known = POSIX_ACLS.contains(&name)
        || NAMESPACES.iter().any(|namespace| name.starts_with(namespace));
    Ok(if !known {
        Verdict::Drop(WarningKind::XattrNamespace(name.into()))
    } else if name.starts_with(b"user.") && !user_allowed {
        Verdict::Drop(WarningKind::XattrUser(name.into()))
    } else {
        Verdict::Keep
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(name: &str, user_allowed: bool) -> Result<Vec<WarningKind>, XattrError> {
        let mut xattrs = Xattrs::from([(name.as_bytes().into(), (*b"value").into())]);
        let mut warnings = Vec::new();
        filter(&mut xattrs, user_allowed, |warning| {
            warnings.push(warning);
        })?;
        assert_eq!(xattrs.is_empty(), !warnings.is_empty());
        Ok(warnings)
    }

    #[test]
    fn what_linux_and_erofs_hold_is_kept() {
        for name in [
            "user.note",
            "trusted.overlay",
            "trusted.x",
            "security.capability",
            "system.posix_acl_access",
            "system.posix_acl_default",
        ] {
            assert_eq!(filtered(name, true), Ok(vec![]), "{name}");
        }
    }

    #[test]
    fn instructions_are_dropped_and_never_interpreted() {
        for name in [
            "trusted.overlay.opaque",
            "trusted.overlay.redirect",
            "user.overlay.opaque",
            "trusted.sandbox-images.link",
            "trusted.sandbox-images.",
        ] {
            let reserved = WarningKind::XattrReserved(name.as_bytes().into());
            assert_eq!(filtered(name, true), Ok(vec![reserved]));
        }
    }

    #[test]
    fn what_cannot_be_held_is_dropped() {
        for name in ["LIBARCHIVE.xattr.x", "system.nfs4_acl", "system.posix_acl_accessx", "x"] {
            let unknown = WarningKind::XattrNamespace(name.as_bytes().into());
            assert_eq!(filtered(name, true), Ok(vec![unknown]));
        }
        let on_symlink = WarningKind::XattrUser((*b"user.note").into());
        assert_eq!(filtered("user.note", false), Ok(vec![on_symlink]));
    }

    #[test]
    fn what_no_inode_can_have_is_refused() {
        for name in ["user.", "trusted.", "security."] {
            assert_eq!(filtered(name, true), Err(XattrError::EmptyName));
        }
        assert_eq!(filtered("user.a\0b", true), Err(XattrError::NulInName));
    }
}
