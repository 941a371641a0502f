//! One image pulled with progress: what is under way is told while it happens, and the result says how to boot it.
//!
//! ```console
//! $ cargo run --release --example pull                       # from a registry in this process
//! $ cargo run --release --example pull -- alpine:3.20        # from the network
//! ```

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example shows what it does, and is its own program"
)]

#[path = "stage/support.rs"]
mod support;

use std::error::Error;
use std::time::SystemTime;

use sandbox_images::oci::reference::Reference;
use sandbox_images::plan::event::Event;
use sandbox_images::project::Session;
use sandbox_images::project::pull::{PullRequest, Pulled, pull_with_progress};
use sandbox_images::registry::settings::Settings;
use sandbox_images::store::Store;

use support::image::Layer;
use support::registry::TestRegistry;
use support::serving::{serve, two_platforms};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let registry = start_registry();
    let named = std::env::args().nth(1);
    let name = named.unwrap_or_else(|| format!("{}/acme/app:1.0", registry.host()));
    let reference: Reference = name.parse()?;
    let directory = tempfile::tempdir()?;
    let store = Store::at(directory.path().join("store"));

    show(&pull(&store, &reference).await?);
    println!("and once more");
    show(&pull(&store, &reference).await?);
    Ok(())
}

async fn pull(store: &Store, reference: &Reference) -> Result<Pulled> {
    let request = PullRequest::new(reference.clone());
    let (mut events, pulling) = pull_with_progress(store.clone(), request, |reporter| {
        Session::telling(Some(Settings::default()), reporter, SystemTime::now())
    });
    while let Some(event) = events.next().await {
        tell(&event);
    }
    Ok(pulling.await?)
}

fn tell(event: &Event) {
    match event {
        Event::Resolved { digest, layers, size_bytes, .. } => {
            println!("  {digest}: {layers} layers, {size_bytes} bytes");
        }
        Event::LayerProgress { diff_id, received_bytes, size_bytes } => {
            println!("  {diff_id}: {received_bytes} of {size_bytes} bytes");
        }
        Event::LayerDone { diff_id, image_bytes, .. } => {
            println!("  {diff_id}: an EROFS image of {image_bytes} bytes");
        }
        Event::Warning { message, .. } => println!("  warning: {message}"),
        Event::Done { success, elapsed_ms, .. } => {
            println!("  done after {elapsed_ms} ms: {success}");
        }
        _ => {}
    }
}

fn show(pulled: &Pulled) {
    let word = if pulled.cached { "was in the store" } else { "is in the store now" };
    println!("{} for {} {word}", pulled.source, pulled.platform);
    println!("  starts {:?} {:?}", pulled.config.entrypoint, pulled.config.cmd);
    println!("  disk {}", pulled.disk.display());
}

/// A registry with an image of two layers for two platforms.
fn start_registry() -> TestRegistry {
    let base = Layer::new("/bin/ 0755\n/bin/sh 0755 random=300000");
    let application = Layer::new("/app/ 0755\n/app/server 0755 random=70000");
    let image = two_platforms(&[&base, &application]);
    let registry = TestRegistry::start();
    serve(&registry, "acme/app", "1.0", &image);
    registry
}
