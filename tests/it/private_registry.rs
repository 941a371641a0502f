//! The CNCF distribution registry with a password and TLS of an authority of its own, through the library.

use std::fs;
use std::time::SystemTime;

use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::selection::{SelectionRequest, select};
use sandbox_images::project::files::Inputs;
use sandbox_images::project::{Project as Library, Session};
use sandbox_images::registry::Registry;
use sandbox_images::registry::endpoint::Scheme;
use sandbox_images::registry::settings::{RegistryRule, Settings};
use sandbox_images::store::Store;

use crate::support::docker_registry::{DockerRegistry, PASSWORD, USER};
use crate::support::fixture::{project_naming, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::needs::needs;
use crate::support::project::Project;

/// The registry, an image in it, and a project that names the image `app`.
struct Scene {
    registry: DockerRegistry,
    image: Image,
    project: Project,
}

impl Scene {
    /// Nothing where the programs are missing.
    fn set() -> Option<Self> {
        if !needs(&["docker-registry", "skopeo"]) {
            return None;
        }
        let base = Layer::new("/etc/motd 0644 hello\n/lib 0644 random=100000");
        let image = two_platforms(&[&base, &Layer::new("/app 0755 data")]);
        let layout = tempfile::tempdir().expect("a temporary directory is made");
        image.write_layout(layout.path(), "v1").expect("a layout is written");
        let registry = DockerRegistry::start_private();
        registry.push(layout.path(), "v1", "team/app:1");
        let source = format!("{}/team/app:1", registry.address());
        let project = project_naming(&[("app", &source)]);
        Some(Self { registry, image, project })
    }

    /// A session that trusts the registry's authority or not, with a `config.json` of Docker's.
    fn session(&self, trusts: bool, entry: &str) -> Session {
        let path = self.project.directory().join("config.json");
        let json = format!(r#"{{"auths":{{"https://{}/v1/":{entry}}}}}"#, self.registry.address());
        fs::write(&path, json).expect("a file is written");
        let ca_pem = trusts.then(|| self.registry.ca_pem().as_bytes().to_vec());
        let scheme = Some(Scheme::Https);
        let rule = RegistryRule { scheme, ca_pem, ..RegistryRule::default() };
        let mut settings = Settings { credential_files: vec![path], ..Settings::default() };
        settings.registries.insert(self.registry.address().to_owned(), rule);
        Session::new(Some(Registry::new(settings)), SystemTime::now())
    }

    fn library(&self) -> Library {
        Library::new(self.project.directory(), Store::at(self.project.store()))
    }

    fn inputs(&self) -> Inputs {
        let texts = self.library().texts().expect("both files can be read");
        Inputs::parse(&texts).expect("both files are right")
    }

    /// Locks; the failure's text where that fails.
    async fn lock(&self, session: &Session) -> Result<(), String> {
        let relocked = self.library().lock(&self.inputs(), session).await;
        if let Some((_, error)) = relocked.failures.into_iter().next() {
            return Err(sandbox_images::words::with_causes(&error));
        }
        self.library().write_lock(&relocked.lock.render()).expect("the lock is written");
        Ok(())
    }
}

fn login(password: &str) -> String {
    format!(r#"{{"username":"{USER}","password":"{password}"}}"#)
}

#[tokio::test]
async fn a_private_image_is_locked_and_synced() {
    let Some(scene) = Scene::set() else { return };
    let session = scene.session(true, &login(PASSWORD));

    scene.lock(&session).await.unwrap();
    let lock = scene.project.lock_text();
    assert!(lock.contains(&scene.image.root.digest), "{lock}");
    assert!(!lock.contains(PASSWORD));

    let inputs = scene.inputs();
    let request = SelectionRequest::default_for(Platform::host_linux());
    let selection = select(Some(&inputs.image_set), &inputs.lock, &request).unwrap();
    let synced = scene.library().sync(&inputs.lock, &selection, Some(&inputs), &session).await;
    assert!(synced.is_complete(), "{:?}", synced.failures);
    assert_eq!(scene.project.stored("layers").len(), 2);
    scene.project.run(&["verify"]).exits(0);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_shown() {
    let Some(scene) = Scene::set() else { return };
    for entry in [login("secret-that-is-wrong"), "{}".to_owned()] {
        let refused = scene.lock(&scene.session(true, &entry)).await.unwrap_err();
        assert!(refused.contains("denies access to `team/app`"), "{refused}");
        assert!(!refused.contains("secret-that-is-wrong"), "{refused}");
    }
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_ends_it() {
    let Some(scene) = Scene::set() else { return };
    let refused = scene.lock(&scene.session(false, &login(PASSWORD))).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    assert!(!refused.contains(PASSWORD), "{refused}");
}
