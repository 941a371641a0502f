//! A program with a project of its own: it locks what its user names, keeps the store in sync, and asks where the
//! disk is. What it needs of a machine (store, registries, time) it passes in.
//!
//! ```console
//! $ cargo run --release --example embed
//! ```

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example shows what it does, and is its own program"
)]

#[path = "stage/support.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::plan::selection::{SelectionRequest, select};
use sandbox_images::project::files::Inputs;
use sandbox_images::project::{Project, Session};
use sandbox_images::registry::Registry;
use sandbox_images::registry::settings::Settings;
use sandbox_images::store::Store;

use support::image::{Family, Image, Layer};
use support::registry::TestRegistry;
use support::serving::serve;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Where this program's sandboxes boot from.
struct Images {
    project: Project,
    session: Session,
}

impl Images {
    /// Makes the lock say what `sandbox-images.toml` wants, with the least change.
    async fn lock(&self) -> Result<()> {
        let relocked = self.project.lock(&self.inputs()?, &self.session).await;
        if let Some((image, error)) = relocked.failures.into_iter().next() {
            return Err(format!("{image}: {error}").into());
        }
        self.project.write_lock(&relocked.lock.render())?;
        Ok(())
    }

    /// Makes the store hold what the lock says, and answers the disk of the image `name`.
    async fn disk(&self, name: &str) -> Result<PathBuf> {
        let inputs = self.inputs()?;
        let host = Platform::host_linux();
        let request = SelectionRequest::default_for(host.clone());
        let selection = select(Some(&inputs.image_set), &inputs.lock, &request)?;
        let synced =
            self.project.sync(&inputs.lock, &selection, Some(&inputs), &self.session).await;
        if let Some((image, error)) = synced.failures.into_iter().next() {
            return Err(format!("{image}: {error}").into());
        }
        let image = inputs.lock.image(name).ok_or("the image is not locked")?;
        let locked = image.platforms.get(&host).ok_or("the image is not for this machine")?;
        Ok(self.project.store().path_of(Artifact::Disk(locked.chain_id())))
    }

    fn inputs(&self) -> Result<Inputs> {
        Inputs::parse(&self.project.texts()?).map_err(|problems| format!("{problems:?}").into())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let registry = start_registry();
    let directory = tempfile::tempdir()?;
    let text = format!(
        "[defaults]\nplatforms = [\"{}\"]\n\n[images]\nsandbox = \"{}/acme/sandbox:1\"\n",
        Platform::host_linux(),
        registry.host()
    );
    fs::write(directory.path().join("sandbox-images.toml"), text)?;

    let store = Store::at(directory.path().join("store"));
    let client = Registry::new(Settings::default());
    let images = Images {
        project: Project::new(directory.path(), store),
        session: Session::new(Some(client), SystemTime::now()),
    };
    images.lock().await?;
    println!("a sandbox boots from {}", images.disk("sandbox").await?.display());
    Ok(())
}

/// A registry with an image for this machine.
fn start_registry() -> TestRegistry {
    let layer = Layer::new("/init 0755 random=70000");
    let image = Image::single(Family::Oci, &Platform::host_linux().to_string(), &[&layer]);
    let registry = TestRegistry::start();
    serve(&registry, "acme/sandbox", "1", &image);
    registry
}
