//! Which redirects are followed, and what is shown where they lead.

use reqwest::header::LOCATION;
use reqwest::{Response, Url};

use crate::registry::auth::Shown;
use crate::registry::cause::is_by;
use crate::registry::endpoint::Endpoint;
use crate::registry::error::Error;
use crate::registry::reach::{Naming, Reach};
use crate::registry::resolver::{TooNear, literal};
use crate::registry::shown::ShownUrl;
use crate::registry::transport::{Request, Transport};

/// Redirects of one request: a registry's own, a storage's, and some to spare.
const REDIRECTS_MAX: usize = 5;

impl Transport {
    /// Follows redirects. What is shown to the registry is shown to no other origin, and not again after
    /// another origin was asked.
    pub(super) async fn follow(
        &self,
        mut url: Url,
        place: &Endpoint,
        request: &Request<'_>,
        shown: Option<&Shown>,
    ) -> Result<Response, Error> {
        url.set_path(&format!("/v2/{}/{}", place.reference().repository(), request.path));
        if let Some(registry) = place.stands_for() {
            url.query_pairs_mut().append_pair("ns", registry);
        }
        let (base, mut by) = (url.clone(), url.clone());
        let (mut shown, mut naming) = (shown, None);
        for _ in 0..=REDIRECTS_MAX {
            let response = self.execute(&url, request, shown, naming).await;
            let response = response.map_err(|error| match error {
                Error::Transport { source, .. } if is_by::<TooNear>(&source) => too_near(&by),
                other => other,
            })?;
            let location = match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
                _ => None,
            };
            let Some(location) = location else {
                return Ok(response);
            };
            let next = redirect(&url, location.to_str().unwrap_or_default())?;
            if next.origin() != url.origin() {
                shown = None;
            }
            if naming.is_none() && next.origin() != base.origin() {
                let registry = self.reach(&base, response.remote_addr()).await;
                naming = Some(Naming::Storage(registry));
            }
            if naming.zip(literal(&next)).is_some_and(|(naming, to)| !naming.allows(Reach::of(to)))
            {
                return Err(too_near(&url));
            }
            by = std::mem::replace(&mut url, next);
        }
        Err(Error::Redirect { url: ShownUrl::of(&url), reason: "there were too many before it" })
    }
}

/// Where a redirect of `from` leads, if it may be followed.
fn redirect(from: &Url, location: &str) -> Result<Url, Error> {
    let refused = |reason| Error::Redirect { url: ShownUrl::of(from), reason };
    let next = from.join(location).map_err(|_| refused("its target is not a URL"))?;
    if !next.username().is_empty() || next.password().is_some() {
        return Err(refused("its target holds a user"));
    }
    match (from.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => Ok(next),
        ("https", "http") => Err(refused("it leads from TLS to plain http")),
        _ => Err(refused("its target is not reached over http")),
    }
}

fn too_near(url: &Url) -> Error {
    Error::Redirect {
        url: ShownUrl::of(url),
        reason: "its target's address is nearer to this machine than the registry's",
    }
}
