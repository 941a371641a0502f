#!/usr/bin/env python3
"""Images that are made, not fetched: always the same bytes, and each the hard case of something.

    corpus.py images|sharing|growing LAYOUT

    large-files  one layer of a few large files, half of them incompressible: the work inside one layer
    small-files  40,000 files of 0 to 12 KiB, every tenth a copy of another: work for each file
    one-folder   80,000 empty and tiny files in one directory: work for each name
    many-layers  40 layers that change, hide and link each other's files: work for each layer, and the merge

    shared-00 …  50 images on one base of 96 MiB, each with a layer of 2 MiB of its own: what sharing saves
    alone-00 …   the same layers, each in one image: what sharing costs
    distinct     one image with the layers of all 50: their distinct bytes alone

    bytes-64, files-10000, layers-10 and so on grow in one respect each
    image-00 …   small images on one base of 4 MiB, each with 128 KiB of its own

Every image is one manifest for linux/amd64, in one OCI layout. Images of real packages are in `packages.py`.
"""
import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+"

SHARING_IMAGES = 50

# What grows: its unit, how much more of it a slope is of, and the counts.
GROWING = {"bytes": ("MiB of tar", 1024, (64, 256, 512)),
           "files": ("files of 0 to 1 KiB", 10_000, (10_000, 40_000, 120_000)),
           "layers": ("layers of 20 files", 1, (10, 40, 100))}
GROWING_IMAGES = (1, 10, 50)


class Layout:
    """An OCI layout that is written."""

    def __init__(self, path):
        self.path = path
        self.manifests = []
        os.makedirs(f"{path}/blobs/sha256", exist_ok=True)

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{self.path}/blobs/sha256/{digest}", "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def layer(self, entries, compression="gzip", level=6):
        """A layer of pairs of TarInfo and bytes or an open file: its descriptor and its diff_id."""
        name = f"{self.path}/layer.tmp"
        plain = hashlib.sha256()
        with open(name, "wb") as file, packing(file, compression, level) as packed:
            tee = Tee(packed, plain)
            with tarfile.open(fileobj=tee, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                for info, data in entries:
                    tar.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else data)
        with open(name, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = os.path.getsize(name)
        os.rename(name, f"{self.path}/blobs/sha256/{digest}")
        return {"mediaType": LAYER + compression, "digest": f"sha256:{digest}", "size": size}, plain.hexdigest()

    def image(self, name, layers):
        config = {"architecture": "amd64", "os": "linux", "config": {},
                  "rootfs": {"type": "layers", "diff_ids": [f"sha256:{plain}" for _, plain in layers]}}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": self.blob(json.dumps(config).encode(), CONFIG),
                    "layers": [descriptor for descriptor, _ in layers]}
        descriptor = self.blob(json.dumps(manifest).encode(), MANIFEST)
        descriptor["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.manifests.append(descriptor)

    def close(self):
        with open(f"{self.path}/oci-layout", "w") as file:
            json.dump({"imageLayoutVersion": "1.0.0"}, file)
        with open(f"{self.path}/index.json", "w") as file:
            json.dump({"schemaVersion": 2, "manifests": self.manifests}, file)


@contextlib.contextmanager
def packing(file, compression, level):
    """What is written here arrives in `file` compressed."""
    if compression == "gzip":
        with gzip.GzipFile("", "wb", level, file, mtime=0) as packed:
            yield packed
        return
    zstd = subprocess.Popen(["zstd", "-q", "-3", "-T1", "-c"], stdin=subprocess.PIPE, stdout=file)
    yield zstd.stdin
    zstd.stdin.close()
    if zstd.wait() != 0:
        raise SystemExit("`zstd` failed")


class Tee:
    """Hashes what is written."""

    def __init__(self, file, digest):
        self.file, self.digest = file, digest

    def write(self, data):
        self.digest.update(data)
        return self.file.write(data)


def entry(name, kind=tarfile.REGTYPE, data=b"", mode=0o644, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, link, len(data)
    info.mtime = 1_700_000_000
    return info, data


def directory(name):
    return entry(name, tarfile.DIRTYPE, mode=0o755)


def text(rnd, size):
    """Compresses about as well as sources do."""
    words = [bytes(rnd.choices(b"abcdefghijklmnopqrstuvwxyz", k=rnd.randrange(2, 10))) for _ in range(4000)]
    out = bytearray()
    while len(out) < size:
        out += b" ".join(rnd.choices(words, k=2000)) + b"\n"
    return bytes(out[:size])


def large(mib):
    rnd = random.Random("large")
    block = text(rnd, 1 << 20)
    yield directory("models")
    for part in range(max(1, mib // 64)):
        yield entry(f"models/weights-{part}.bin", data=rnd.randbytes(32 << 20))
        turned = [block[at * 512:] + block[:at * 512] for at in range(part, part + 32)]
        yield entry(f"models/corpus-{part}.txt", data=b"".join(turned))


def small_files(count, largest=12288):
    rnd = random.Random("small files")
    source = text(rnd, 4 << 20)
    data = b""
    for number in range(count):
        if number % 40 == 0:
            folder = f"app/modules/m{number // 40:05}"
            yield directory(folder)
        if number % 10:
            start = rnd.randrange(len(source) - largest)
            data = source[start:start + int(largest * rnd.random() ** 2)]
        yield entry(f"{folder}/f{number:06}.js", data=data)


def one_folder(count):
    yield directory("names")
    for number in range(count):
        yield entry(f"names/{number:06}", data=b"%d" % number if number % 2 else b"")


def many_layers(layers, files):
    rnd = random.Random("many layers")
    for layer in range(layers):
        top = f"srv/l{layer:02}"
        entries = [directory("srv"), directory(top)]
        entries += [entry(f"{top}/f{file:04}", data=rnd.randbytes(rnd.randrange(9000))) for file in range(files)]
        entries += [entry(f"{top}/hard", tarfile.LNKTYPE, link=f"{top}/f0000"),
                    entry("srv/changed", data=b"version %d" % layer)]
        if layer > 2:
            entries.append(entry(f"srv/l{layer - 2:02}/.wh.f0001"))
        if layer % 9 == 8:
            entries += [directory(f"srv/l{layer - 5:02}"), entry(f"srv/l{layer - 5:02}/.wh..wh..opq")]
        yield entries


def base(mib):
    rnd = random.Random("base")
    source = text(rnd, 1 << 20)
    yield directory("usr")
    for number in range(mib):
        turned = source[number * 512:] + source[:number * 512]
        yield entry(f"usr/part-{number:03}", data=rnd.randbytes(1 << 19) + turned[:1 << 19])


def own(number, parts=64):
    rnd = random.Random(number)
    yield directory("app")
    for part in range(parts):
        yield entry(f"app/own-{number:02}-{part:02}", data=rnd.randbytes(32 << 10))


def sharing(layout):
    """The images `shared-00` to `shared-49`; `alone-00` to `alone-49`, whose blobs are as many and as large, each in
    one image; and `distinct`."""
    below = [layout.layer(base(96))]
    above = [layout.layer(own(number)) for number in range(SHARING_IMAGES)]
    for number, layer in enumerate(above):
        layout.image(f"shared-{number:02}", below + [layer])
        layout.image(f"alone-{number:02}", [*(below if number == 0 else []), layer])
    layout.image("distinct", below + above)


def images(layout, large_mib=768):
    layout.image("large-files", [layout.layer(large(large_mib))])
    layout.image("small-files", [layout.layer(small_files(40_000))])
    layout.image("one-folder", [layout.layer(one_folder(80_000))])
    layout.image("many-layers", [layout.layer(entries) for entries in many_layers(40, 400)])


def growing(layout):
    """An image for each count of `GROWING`, and the small ones; packed fast, which costs who unpacks no more."""
    def layer(entries):
        return layout.layer(entries, level=1)

    make = {"bytes": lambda count: [layer(large(count))],
            "files": lambda count: [layer(small_files(count, 1024))],
            "layers": lambda count: [layer(entries) for entries in many_layers(count, 20)]}
    for what, (_, _, counts) in GROWING.items():
        for count in counts:
            layout.image(f"{what}-{count}", make[what](count))
    below = [layer(base(4))]
    for number in range(GROWING_IMAGES[-1]):
        layout.image(f"image-{number:02}", below + [layer(own(number, 4))])


if __name__ == "__main__":
    kinds = {"images": images, "sharing": sharing, "growing": growing}
    made = Layout(sys.argv[2])
    kinds[sys.argv[1]](made)
    made.close()
