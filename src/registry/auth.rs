//! What is shown to which registry for which repository: found out once, kept, renewed in time.
//!
//! A repository of a registry has one slot. Who is refused asks the slot for something else to show, with
//! what was refused; while one task fetches a token, the others of the same repository wait for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Client, Url};
use tokio::time::Instant;
use tracing::{debug, trace};

use crate::oci::reference::Reference;
use crate::registry::cause::is_by;
use crate::registry::challenge::Challenge;
use crate::registry::clients::Clients;
use crate::registry::credentials::Credential;
use crate::registry::credentials::lookup::{Origin, look_up};
use crate::registry::error::Error;
use crate::registry::event::RegistryEvent;
use crate::registry::reach::{Naming, Reach};
use crate::registry::resolver::{TooNear, literal};
use crate::registry::settings::Settings;
use crate::registry::shown::{ShownUrl, Words};
use crate::registry::token::{Token, TokenRequest, basic, realm};
use crate::secret::Secret;

/// What is shown by all tasks, by registry and repository.
#[derive(Debug, Default)]
pub(super) struct Auth {
    slots: Mutex<BTreeMap<(String, String), SharedSlot>>,
}

type SharedSlot = Arc<tokio::sync::Mutex<Slot>>;

/// What is known of one repository.
#[derive(Debug, Default)]
struct Slot {
    challenge: Option<Challenge>,
    shown: Option<Shown>,
    /// How near the one is who gave the challenge.
    reach: Option<Reach>,
    /// Stored credentials are behind what is shown.
    shows_stored: bool,
    /// Stored credentials were refused, so nothing is shown but what everybody may have.
    anonymous: bool,
}

/// The value of an `Authorization` header, and when it is to be renewed.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The header's value.
    pub(super) header: Secret,
    renew_at: Option<Instant>,
}

/// What a registry asks to be shown.
#[derive(Debug)]
pub(super) struct Demand {
    /// In which form, if that is understood.
    pub(super) challenge: Option<Challenge>,
    /// How near the registry is.
    pub(super) reach: Reach,
}

/// The one who asks: everything that a decision needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    /// Where credentials are, and who is told.
    pub(super) settings: &'a Settings,
    /// For requests to the token server.
    pub(super) clients: &'a Clients,
    /// The registry and the repository.
    pub(super) reference: &'a Reference,
    /// The registry is reached without TLS.
    pub(super) is_plain: bool,
}

impl Auth {
    /// What to show with the first request: nothing, before the registry has asked for something.
    pub(super) async fn current(&self, asker: Asker<'_>) -> Result<Option<Shown>, Error> {
        let slot = self.slot(asker.reference);
        let mut slot = slot.lock().await;
        let is_due = |shown: &Shown| shown.renew_at.is_some_and(|at| Instant::now() >= at);
        if slot.shown.as_ref().is_some_and(is_due) {
            slot.renew(asker).await?;
        }
        Ok(slot.shown.clone())
    }

    /// What to show after `refused` was answered with `demand`. A renewed token may be enough; where it
    /// is not, stored credentials are given up and nothing but what everybody may have is shown. Where
    /// there is nothing else to show, it is `refused` again.
    pub(super) async fn answer(
        &self,
        asker: Asker<'_>,
        demand: Demand,
        refused: Option<&Shown>,
        gives_up_stored: bool,
    ) -> Result<Option<Shown>, Error> {
        let slot = self.slot(asker.reference);
        let mut slot = slot.lock().await;
        let known = slot.shown.as_ref().map(|shown| &shown.header);
        if known.is_some() && known != refused.map(|shown| &shown.header) {
            return Ok(slot.shown.clone());
        }
        if gives_up_stored && !slot.shows_stored {
            return Ok(refused.cloned());
        }
        if gives_up_stored {
            slot.anonymous = true;
            asker.ignored("the registry refuses the stored credentials".to_owned());
        }
        slot.challenge = demand.challenge.or(slot.challenge.take());
        slot.reach = Some(demand.reach);
        if slot.challenge.is_none() {
            return Err(Error::Challenge { registry: asker.reference.registry().to_owned() });
        }
        slot.renew(asker).await?;
        Ok(slot.shown.clone())
    }

    fn slot(&self, reference: &Reference) -> SharedSlot {
        let key = (reference.registry().to_owned(), reference.repository().to_owned());
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(key).or_default())
    }
}

impl Slot {
    async fn renew(&mut self, asker: Asker<'_>) -> Result<(), Error> {
        self.shown = None;
        let credential = if self.anonymous { None } else { asker.credential().await };
        self.shows_stored = credential.is_some();
        if let Some(Credential::RegistryToken(token)) = &credential {
            self.shown = Some(bearer(token, None));
            return Ok(());
        }
        self.shown = match self.challenge.clone() {
            None => None,
            Some(Challenge::Basic) => {
                credential.as_ref().and_then(basic).map(|header| Shown { header, renew_at: None })
            }
            Some(Challenge::Bearer { realm, service, scope }) => {
                Some(self.token(asker, &realm, service.as_deref(), scope, credential).await?)
            }
        };
        Ok(())
    }

    async fn token(
        &mut self,
        asker: Asker<'_>,
        realm_text: &str,
        service: Option<&str>,
        scope: Option<String>,
        credential: Option<Credential>,
    ) -> Result<Shown, Error> {
        let registry = asker.reference.registry();
        let naming = Naming::TokenServer(self.reach.unwrap_or(Reach::Public));
        let realm = realm(realm_text, registry, asker.is_plain)?;
        let too_near = too_near(registry, &realm);
        if literal(&realm).is_some_and(|address| !naming.allows(Reach::of(address))) {
            return Err(too_near);
        }
        let client = asker.clients.named(asker.settings, &realm, naming)?;
        let repository = asker.reference.repository();
        let scope = scope.unwrap_or_else(|| format!("repository:{repository}:pull"));
        debug!("asks `{}` for a token for {scope}", ShownUrl::of(&realm));
        asker.settings.events.tell(RegistryEvent::Token {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
        });
        let request = TokenRequest {
            realm,
            service,
            scope: &scope,
            credential: credential.as_ref(),
            timeouts: &asker.settings.timeouts,
        };
        let token = self.fetch(asker, &client, request).await.map_err(|error| match error {
            Error::Transport { source, .. } if is_by::<TooNear>(&source) => too_near,
            other => other,
        })?;
        trace!("got a token for {:.0?}", token.lifetime);
        // A tenth of its life is left for what is under way.
        let renew_at = Instant::now().checked_add(token.lifetime.mul_f64(0.9));
        Ok(bearer(&token.secret, renew_at))
    }

    /// Fetches a token with the credential, and where that is refused, once without.
    async fn fetch(
        &mut self,
        asker: Asker<'_>,
        client: &Client,
        mut request: TokenRequest<'_>,
    ) -> Result<Token, Error> {
        let mut sent = request.send(client).await;
        if request.credential.is_some() && sent.as_ref().is_err_and(is_refusal) {
            self.anonymous = true;
            self.shows_stored = false;
            asker.ignored("the token server refuses the stored credentials".to_owned());
            request.credential = None;
            sent = request.send(client).await;
        }
        sent.map_err(|error| match error {
            Error::Status { ref words, .. } if is_refusal(&error) => asker.denied(words.clone()),
            other => other,
        })
    }
}

/// Whether a token server refuses what it was shown. Some answer 400 to a wrong login.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Status { status: 400 | 401 | 403, .. })
}

fn too_near(registry: &str, realm: &Url) -> Error {
    Error::Realm {
        registry: registry.to_owned(),
        realm: ShownUrl::of(realm).to_string(),
        reason: "its address is nearer to this machine than the registry's",
    }
}

fn bearer(token: &Secret, renew_at: Option<Instant>) -> Shown {
    Shown { header: Secret::new(format!("Bearer {}", token.reveal())), renew_at }
}

impl Asker<'_> {
    /// The refusal of this registry, for good.
    pub(super) fn denied(&self, words: Words) -> Error {
        Error::Denied {
            registry: self.reference.registry().to_owned(),
            repository: self.reference.repository().to_owned(),
            words,
        }
    }

    fn ignored(&self, reason: String) {
        self.settings.events.tell(RegistryEvent::CredentialsIgnored {
            registry: self.reference.registry().to_owned(),
            reason,
        });
    }

    /// What is shown to the registry. What cannot be read is told, and passed over: the image may be public.
    async fn credential(&self) -> Option<Credential> {
        let Settings { registries, credential_files, timeouts, .. } = self.settings;
        let rule = registries.get(self.reference.registry());
        let given = rule.and_then(|rule| rule.credential.as_ref());
        let lookup = look_up(self.reference, given, credential_files, timeouts.helper).await;
        let registry = self.reference.registry();
        match (&lookup.credential, &lookup.origin) {
            (None, _) => debug!("shows `{registry}` no credential"),
            (Some(_), Origin::Given) => debug!("shows `{registry}` what the configuration gives"),
            (Some(_), Origin::GivenHelper(name) | Origin::Helper { name, .. }) => {
                debug!("shows `{registry}` what the helper `{name}` gives");
            }
            (Some(_), Origin::File(path)) => {
                debug!("shows `{registry}` what `{}` holds", path.display());
            }
            (Some(_), Origin::Nobody) => {}
        }
        for problem in lookup.problems {
            self.ignored(problem);
        }
        lookup.credential
    }
}
