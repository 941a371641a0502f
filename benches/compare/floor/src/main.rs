//! The floor of a checked pull: every layer is fetched, hashed, inflated, hashed again and written once, as the
//! tar that it is. No tar is read, no file system is built, nothing is made durable. Two layers at a time, each
//! inflated beside its transfer.
//!
//! usage: `pull-floor HOST/NAME:TAG DIRECTORY`, over plain HTTP, of a single manifest

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use flate2::bufread::MultiGzDecoder;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Client;
use sha2::{Digest as _, Sha256};

type Failure = Box<dyn Error + Send + Sync>;

const LAYERS_AT_ONCE: usize = 2;
const BUFFER_BYTES: usize = 256 << 10;
const CHUNKS_AHEAD: usize = 64;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, reference, directory] = arguments.as_slice() else {
        return Err("usage: pull-floor HOST/NAME:TAG DIRECTORY".into());
    };
    let (host, rest) = reference.split_once('/').ok_or("the reference has no host")?;
    let (name, tag) = rest.split_once(':').ok_or("the reference has no tag")?;
    let (client, base) = (Client::new(), format!("http://{host}/v2/{name}"));
    let layers = layers(&client, &base, tag).await?;
    stream::iter(layers)
        .map(Ok)
        .try_for_each_concurrent(LAYERS_AT_ONCE, |digest| {
            pull(&client, &base, digest, Path::new(directory))
        })
        .await
}

/// The digests of the layers, each once.
async fn layers(client: &Client, base: &str, tag: &str) -> Result<Vec<String>, Failure> {
    let request = client.get(format!("{base}/manifests/{tag}")).header("Accept", ACCEPTED);
    let body = request.send().await?.error_for_status()?.bytes().await?;
    let manifest: serde_json::Value = serde_json::from_slice(&body)?;
    let layers = manifest["layers"].as_array().ok_or("the manifest has no layers")?;
    let mut digests: Vec<String> =
        layers.iter().filter_map(|layer| layer["digest"].as_str().map(str::to_owned)).collect();
    digests.sort();
    digests.dedup();
    Ok(digests)
}

async fn pull(
    client: &Client,
    base: &str,
    digest: String,
    directory: &Path,
) -> Result<(), Failure> {
    let (sender, receiver) = sync_channel::<Vec<u8>>(CHUNKS_AHEAD);
    let file = directory.join(digest.replace(':', "-"));
    let unpacking = tokio::task::spawn_blocking(move || unpack(receiver, file));
    let response = client.get(format!("{base}/blobs/{digest}")).send().await?;
    let mut body = response.error_for_status()?.bytes_stream();
    let mut packed = Sha256::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        packed.update(&chunk);
        tokio::task::block_in_place(|| sender.send(chunk.to_vec()))?;
    }
    drop(sender);
    let actual = format!("sha256:{}", hex(&packed.finalize()));
    if actual != digest {
        return Err(format!("`{digest}` has the digest `{actual}`").into());
    }
    println!("{digest} {}", unpacking.await??);
    Ok(())
}

/// Inflates what comes, unless it is a plain tar, into `file`, and answers the diff_id.
fn unpack(chunks: Receiver<Vec<u8>>, file: PathBuf) -> Result<String, Failure> {
    let mut blob = Chunks { chunks, current: Vec::new(), used: 0 };
    let mut magic = [0; 4];
    blob.read_exact(&mut magic)?;
    let blob = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(magic).chain(blob));
    let mut plain: Box<dyn Read> = if magic == ZSTD_MAGIC {
        Box::new(zstd::stream::read::Decoder::with_buffer(blob)?)
    } else if magic.starts_with(&GZIP_MAGIC) {
        Box::new(MultiGzDecoder::new(blob))
    } else {
        Box::new(blob)
    };
    let mut file = File::create(file)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        let count = plain.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count])?;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the chunks that another thread sends.
struct Chunks {
    chunks: Receiver<Vec<u8>>,
    current: Vec<u8>,
    used: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.used == self.current.len() {
            let Ok(next) = self.chunks.recv() else {
                return Ok(0);
            };
            (self.current, self.used) = (next, 0);
        }
        let count = buffer.len().min(self.current.len() - self.used);
        buffer[..count].copy_from_slice(&self.current[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}
