//! Four origins on this machine, and a pull through them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox_images::registry::Registry;
use sandbox_images::registry::endpoint::Scheme;
use sandbox_images::registry::event::EventSink;
use sandbox_images::registry::settings::{RegistryRule, Retry, Settings};

use crate::support::pull::{Failure, layer, pull, put_image, sent_to};
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::fault::{Effect, Fault};
use crate::support::registry::{Options, Place, TestRegistry};

/// The user's password, identity token or registry token for the registry.
pub(super) const PASSWORD: &str = "secret-of-ann";

/// The token that the token server and the storage give out, and the registry takes.
pub(super) const MINTED: &str = "minted-token";

/// Passwords for the other hosts, which nobody asks for.
const OTHERS: [&str; 3] = ["secret-of-tim", "secret-of-sue", "secret-of-pat"];

/// What the user has for the registry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    Nothing,
    Password,
    WrongPassword,
    IdentityToken,
    RegistryToken,
}

/// A way to set up who asks whom for what.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// The registry, the token server and the storage are reached over TLS.
    pub(super) tls: bool,
    pub(super) holds: Holds,
    /// The registry's `WWW-Authenticate` headers, see [`World::filled`].
    pub(super) challenges: &'static [&'static str],
    /// What else is odd.
    pub(super) arrange: fn(&World),
    /// The failure's name; nothing where the image comes.
    pub(super) ends: Option<&'static str>,
    /// Exactly these origins are sent the user's secret: `R`, `T`, `S`, `P`.
    pub(super) password_at: &'static str,
    /// Exactly these origins are sent the minted token.
    pub(super) minted_at: &'static str,
    /// These origins are sent nothing at all.
    pub(super) untouched: &'static str,
}

/// A token of the token server, which the user's password buys.
pub(super) const USUAL: &str =
    "Bearer realm=\"{T}/token\",service=\"s\",scope=\"repository:acme/tool:pull\"";

/// A row where all goes well: the password goes to the token server, its token to the registry.
pub(super) const WELL: Row = Row {
    name: "",
    tls: false,
    holds: Holds::Password,
    challenges: &[USUAL],
    arrange: |_| (),
    ends: None,
    password_at: "T",
    minted_at: "R",
    untouched: "SP",
};

/// A row where nothing is sent to anybody but the registry, which is shown nothing.
pub(super) const SHOWN_NOTHING: Row =
    Row { password_at: "", minted_at: "", untouched: "TSP", ..WELL };

/// The origins: the registry, a token server at another port, a storage at another host, and a place that
/// is reached without TLS in any case.
pub(super) struct World {
    pub(super) registry: TestRegistry,
    pub(super) token_server: TestRegistry,
    pub(super) storage: TestRegistry,
    pub(super) plain: TestRegistry,
    pub(super) layer: String,
    files: tempfile::TempDir,
}

impl World {
    pub(super) fn set(row: &Row) -> Self {
        let open = |ip: [u8; 4], tls| {
            let names = vec![std::net::Ipv4Addr::from(ip).to_string()];
            let place = Place { ip: ip.into(), names, http2: false };
            TestRegistry::start_at(Options { tls, auth: Auth::None }, &place)
        };
        let token_server = open([127, 0, 0, 1], row.tls);
        let storage = open([127, 0, 0, 2], row.tls);
        let plain = open([127, 0, 0, 1], false);
        let fill = |text: &&str| {
            let port = token_server.host().rsplit(':').next().unwrap_or_default().to_owned();
            text.replace("{T}", &token_server.url())
                .replace("{T-port}", &port)
                .replace("{S}", &storage.url())
                .replace("{P}", &plain.url())
        };
        let login = Login { user: "ann", password: PASSWORD };
        let auth = Auth::Challenges(row.challenges.iter().map(fill).collect(), login);
        let registry = TestRegistry::start_with(Options { tls: row.tls, auth });
        let layer = put_image(&registry).layer.to_string();
        for elsewhere in [&token_server, &storage, &plain] {
            put_image(elsewhere);
        }
        let files = tempfile::tempdir().expect("a directory");
        let world = Self { registry, token_server, storage, plain, layer, files };
        (row.arrange)(&world);
        let minted = format!(r#"{{"token":"{MINTED}"}}"#).into_bytes();
        for giver in [&world.token_server, &world.storage, &world.plain] {
            giver.fault(Fault::on("/token", Effect::Answer(200, Vec::new(), minted.clone())));
        }
        world.registry.accept_token(MINTED, "repository:acme/tool:pull");
        world
    }

    /// The registry answers requests for the layer as `effect` says, once they show enough.
    pub(super) fn layer(&self, effect: Effect) {
        self.registry.fault(Fault::on(&self.layer, effect));
    }

    /// The token server answers as `effect` says.
    pub(super) fn token(&self, effect: Effect) {
        self.token_server.fault(Fault::on("/token", effect));
    }

    fn origins(&self) -> [(char, &TestRegistry); 4] {
        [('R', &self.registry), ('T', &self.token_server), ('S', &self.storage), ('P', &self.plain)]
    }

    fn settings(&self, row: &Row) -> Settings {
        let retry = Retry {
            tries_max: 3,
            delay_min: Duration::from_millis(1),
            delay_max: Duration::from_millis(2),
            ..Retry::default()
        };
        let addresses =
            [("metadata.example", [169, 254, 169, 254]), ("tokens.example", [127, 0, 0, 1])]
                .map(|(name, address)| (name.to_owned(), vec![SocketAddr::from((address, 0))]));
        let mut settings = Settings { retry, addresses: addresses.into(), ..Settings::default() };
        for (name, origin) in self.origins() {
            let trusted = (row.tls && name != 'P').then(|| origin.ca_pem().as_bytes().to_vec());
            let scheme = trusted.is_none().then_some(Scheme::Http);
            let rule = RegistryRule { scheme, ca_pem: trusted, ..RegistryRule::default() };
            settings.registries.insert(origin.host(), rule);
        }
        let entry = match row.holds {
            Holds::Nothing => "{}".to_owned(),
            Holds::Password => format!(r#"{{"username":"ann","password":"{PASSWORD}"}}"#),
            Holds::WrongPassword => format!(r#"{{"username":"eve","password":"{PASSWORD}"}}"#),
            Holds::IdentityToken => format!(r#"{{"identitytoken":"{PASSWORD}"}}"#),
            Holds::RegistryToken => format!(r#"{{"registrytoken":"{PASSWORD}"}}"#),
        };
        let mut entries = vec![format!(r#""{}":{entry}"#, self.registry.host())];
        for ((_, origin), password) in self.origins().into_iter().skip(1).zip(OTHERS) {
            let entry = format!(r#"{{"username":"x","password":"{password}"}}"#);
            entries.push(format!(r#""{}":{entry}"#, origin.host()));
        }
        let path = self.files.path().join("config.json");
        let json = format!(r#"{{"auths":{{{}}}}}"#, entries.join(","));
        std::fs::write(&path, json).expect("a file");
        settings.credential_files = vec![path];
        settings
    }

    /// Pulls the image, and tells what is otherwise than `row` says.
    pub(super) async fn pull(self, row: &Row) -> Option<String> {
        let mut settings = self.settings(row);
        let told = Arc::new(Mutex::new(String::new()));
        let listener = Arc::clone(&told);
        settings.events = EventSink::new(move |event| {
            let text = format!("{event:?}\n");
            listener.lock().expect("no panic").push_str(&text);
        });
        let client = Registry::new(settings);
        let reference = format!("{}/acme/tool:1", self.registry.host());
        let pulled = pull(&client, &reference.parse().expect("a reference")).await;
        if let Ok(bytes) = &pulled {
            assert!(*bytes == layer(), "{}: other bytes", row.name);
        }
        let failure = pulled.err();
        let mut wrong = self.wrongly_sent(row);
        let ends = failure.as_ref().map(Failure::name);
        if ends.as_deref() != row.ends {
            wrong.push(format!("ends with {ends:?} instead of {:?}", row.ends));
        }
        let text = failure.as_ref().map(Failure::text).unwrap_or_default();
        let told = told.lock().expect("no panic").clone();
        let all = format!("{text} {told} {client:?}");
        for secret in OTHERS.into_iter().chain([PASSWORD, MINTED, "presigned-key"]) {
            if all.contains(secret) {
                wrong.push(format!("shows `{secret}`: {all}"));
            }
        }
        let requests = self.registry.requests().len();
        if requests > 40 {
            wrong.push(format!("asks {requests} times"));
        }
        (!wrong.is_empty()).then(|| format!("{}: {}", row.name, wrong.join("; ")))
    }

    /// What was sent to whom against `row`.
    fn wrongly_sent(&self, row: &Row) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, origin) in self.origins() {
            let sent = sent_to(origin, &[PASSWORD, MINTED, OTHERS[0], OTHERS[1], OTHERS[2]]);
            let is_sent = |secret: &str| sent[secret] > 0;
            for (secret, may_see) in [(PASSWORD, row.password_at), (MINTED, row.minted_at)] {
                match (is_sent(secret), may_see.contains(name)) {
                    (true, false) => wrong.push(format!("`{secret}` is sent to {name}")),
                    (false, true) => wrong.push(format!("`{secret}` is not sent to {name}")),
                    _ => {}
                }
            }
            if OTHERS.into_iter().any(is_sent) {
                wrong.push(format!("another host's password is sent to {name}"));
            }
            let shown = sent_to(origin, &["authorization"])["authorization"];
            // The token that the registry is shown may be another one.
            if shown > 0 && name != 'R' && !row.password_at.contains(name) {
                wrong.push(format!("{name} is shown something"));
            }
            let requests = origin.requests();
            if row.untouched.contains(name) && !requests.is_empty() {
                wrong.push(format!("{name} is asked: {} times", requests.len()));
            }
        }
        wrong
    }
}
