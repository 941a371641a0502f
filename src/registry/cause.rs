//! What lies behind a transport's error, which says only that a request failed.

use std::error::Error as StdError;
use std::io;
use std::iter::successors;

/// An error that owns what it is made of.
type Cause = dyn StdError + 'static;

/// Whether nobody listens at the port.
pub(super) fn is_refused(error: &reqwest::Error) -> bool {
    io_errors(error).any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

/// Whether the other side shows a certificate that is not trusted, or not for its name.
pub(super) fn is_certificate(error: &reqwest::Error) -> bool {
    let is_about_certificate =
        |cause: &Cause| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)));
    // An I/O error made of another one names that one's source as its own.
    io_errors(error).flat_map(wrapped).any(is_about_certificate)
}

/// What an I/O error was made of, however often.
fn wrapped(error: &io::Error) -> impl Iterator<Item = &Cause> {
    fn inner(error: &Cause) -> Option<&Cause> {
        error.downcast_ref::<io::Error>()?.get_ref().map(|inner| inner as _)
    }
    successors(Some(error as &Cause), |&error| inner(error))
}

/// Whether one of the causes is a `T`.
pub(super) fn is_by<T: StdError + 'static>(error: &reqwest::Error) -> bool {
    causes(error).any(<dyn StdError>::is::<T>)
}

fn io_errors(error: &reqwest::Error) -> impl Iterator<Item = &io::Error> {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>())
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &Cause> {
    successors(error.source(), |&cause| cause.source())
}
