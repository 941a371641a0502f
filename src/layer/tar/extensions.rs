//! Extension headers that wait for their entry, and the combinations that are refused.
//!
//! Stricter than Go, because programs disagree on what these mean: two headers of one kind, a global
//! header in between, a name that both a PAX and a GNU header give.

use crate::layer::limits::Limits;
use crate::layer::tar::error::TarErrorKind;
use crate::layer::tar::header::until_nul;
use crate::layer::tar::pax::{self, Pax, PaxSparse};

/// A kind of extension header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    /// `x`: PAX records for the next entry.
    Pax,
    /// `g`: PAX records for all entries, which are ignored.
    Global,
    /// `L`: the next entry's name.
    LongName,
    /// `K`: the next entry's link target.
    LongLink,
}

impl Extension {
    pub(super) fn of(typeflag: u8) -> Option<Self> {
        match typeflag {
            b'x' => Some(Self::Pax),
            b'g' => Some(Self::Global),
            b'L' => Some(Self::LongName),
            b'K' => Some(Self::LongLink),
            _ => None,
        }
    }
}

/// The extension headers before one entry.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pax: Option<Pax>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    /// Where the first of them starts.
    offset_bytes: Option<u64>,
}

impl Extensions {
    /// Where the first header of a group starts whose last header starts at `offset_bytes`.
    pub(super) fn start(&self, offset_bytes: u64) -> u64 {
        self.offset_bytes.unwrap_or(offset_bytes)
    }

    /// Refuses the end of the tar, or anything else that is no entry, while a header waits for one.
    pub(super) fn check_none_waits(&self) -> Result<(), TarErrorKind> {
        match self.offset_bytes {
            Some(_) => Err(TarErrorKind::ExtensionWithoutEntry),
            None => Ok(()),
        }
    }

    /// Judges a header at `offset_bytes` by its kind, before its body is read.
    pub(super) fn announce(
        &mut self,
        kind: Extension,
        offset_bytes: u64,
    ) -> Result<(), TarErrorKind> {
        let twice = match kind {
            Extension::Pax => self.pax.is_some().then_some("PAX"),
            Extension::LongName => self.long_name.is_some().then_some("GNU long name"),
            Extension::LongLink => self.long_link.is_some().then_some("GNU long link"),
            Extension::Global if self.offset_bytes.is_some() => {
                return Err(TarErrorKind::GlobalBetween);
            }
            Extension::Global => return Ok(()),
        };
        if let Some(kind) = twice {
            return Err(TarErrorKind::ExtensionTwice(kind));
        }
        self.offset_bytes.get_or_insert(offset_bytes);
        Ok(())
    }

    /// Takes the body of the header that was announced.
    pub(super) fn take(
        &mut self,
        kind: Extension,
        body: &[u8],
        limits: &Limits,
    ) -> Result<(), TarErrorKind> {
        match kind {
            Extension::Pax => self.pax = Some(Pax::parse(body, limits)?),
            Extension::Global => pax::check_global(body, limits)?,
            Extension::LongName => self.long_name = Some(until_nul(body).to_vec()),
            Extension::LongLink => self.long_link = Some(until_nul(body).to_vec()),
        }
        Ok(())
    }

    /// What all headers together say about the entry behind them, which now is there.
    pub(super) fn apply(&mut self) -> Result<Applied, TarErrorKind> {
        if self.offset_bytes.is_none() {
            return Ok(Applied::default());
        }
        let Self { pax, long_name, long_link, .. } = std::mem::take(self);
        let mut pax = pax.unwrap_or_default();
        let sparse = pax.take_sparse()?;
        let pax_path = pax.path.take();
        let sparse_name = sparse.as_ref().and_then(|sparse| sparse.name.clone());
        // GNU tar puts a made-up `path` before a sparse file's own name.
        let path = one_of(sparse_name.or(pax_path), long_name, "name")?;
        let link = one_of(pax.link.take(), long_link, "link target")?;
        Ok(Applied { path, link, sparse, pax })
    }
}

/// The value that one of two kinds of header gives; in Go's eyes an empty one is none.
fn one_of(
    pax: Option<Vec<u8>>,
    gnu: Option<Vec<u8>>,
    what: &'static str,
) -> Result<Option<Vec<u8>>, TarErrorKind> {
    match (pax, gnu.filter(|name| !name.is_empty())) {
        (Some(_), Some(_)) => Err(TarErrorKind::ExtensionsDisagree(what)),
        (pax, gnu) => Ok(pax.or(gnu)),
    }
}

/// What the extension headers of one entry say.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) sparse: Option<PaxSparse>,
    /// Everything else.
    pub(super) pax: Pax,
}
