//! Where images are published to, as it is written: `microsandbox` or `microsandbox=DIR`.

use std::str::FromStr;

/// Bytes of a directory's path: Linux's `PATH_MAX`.
const PATH_BYTES_MAX: usize = 4096;

/// A place of another program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PublishTarget {
    /// microsandbox's cache: in this directory, or where microsandbox itself looks for it.
    Microsandbox(Option<String>),
}

/// Why a text names no such place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishTargetError {
    /// No program of that name is known.
    #[error("images are published to `microsandbox` or `microsandbox=DIR`")]
    Program,
    /// There is nothing behind the equals sign, or more than a path has.
    #[error("the directory of `microsandbox=DIR` has 1 to {PATH_BYTES_MAX} bytes, and no NUL")]
    Directory,
    /// No shell reads it.
    #[error("`~` does not stand for a directory here: write the whole path")]
    Home,
}

impl FromStr for PublishTarget {
    type Err = PublishTargetError;

    fn from_str(text: &str) -> Result<Self, PublishTargetError> {
        let (program, directory) = match text.split_once('=') {
            Some((program, directory)) => (program, Some(directory)),
            None => (text, None),
        };
        if program != "microsandbox" {
            return Err(PublishTargetError::Program);
        }
        let directory = directory.map(|directory| match directory {
            "~" => Err(PublishTargetError::Home),
            home if home.starts_with("~/") => Err(PublishTargetError::Home),
            path if path.is_empty() || path.len() > PATH_BYTES_MAX || path.contains('\0') => {
                Err(PublishTargetError::Directory)
            }
            path => Ok(path.to_owned()),
        });
        directory.transpose().map(Self::Microsandbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_program_and_perhaps_its_directory() {
        let target =
            |directory: Option<&str>| Ok(PublishTarget::Microsandbox(directory.map(str::to_owned)));
        assert_eq!("microsandbox".parse(), target(None));
        assert_eq!("microsandbox=/var/cache/a=b".parse(), target(Some("/var/cache/a=b")));
        let refused = |text: &str| text.parse::<PublishTarget>().unwrap_err();
        assert_eq!(refused("docker"), PublishTargetError::Program);
        assert_eq!(refused("microsandbox="), PublishTargetError::Directory);
        assert_eq!(refused("microsandbox=~/x"), PublishTargetError::Home);
    }
}
