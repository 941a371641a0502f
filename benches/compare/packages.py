#!/usr/bin/env python3
"""Images of real packages, from the trees that `packages.sh` makes.

    packages.py WORK LAYOUT

    debian       a minimal Debian in one layer
    python       with Python and scientific packages, four layers
    python-zstd  the same, its layers zstd instead of gzip
    node         with Node.js and a tree of npm packages of 40,000 small files
    large        with a layer of two files of 500 and 250 MiB, the larger incompressible
    many40       40 layers that change, hide and link each other's files, over Debian

Byte for byte reproducible from the trees; times are clamped to that of the made images.
"""
import os
import pathlib
import random
import stat
import sys
import tarfile

import corpus

EPOCH = 1_700_000_000
XATTR = "SCHILY.xattr."
OVERLAY = "trusted.overlay."


def tree(root, prefix=""):
    """A directory tree, or the upper directory of an overlay, as entries of a layer."""
    seen = {}
    for folder, folders, files in os.walk(root):
        folders.sort()
        for path in sorted(os.path.join(folder, name) for name in folders + files):
            name = os.path.join(prefix, os.path.relpath(path, root))
            yield from entries_of(path, name, seen)


def entries_of(path, name, seen):
    """The entry of one path, and the marker of a directory that hides the lower one."""
    status = os.lstat(path)
    folder, base = os.path.split(name)
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        yield corpus.entry(os.path.join(folder, ".wh." + base))
        return
    attributes = {key: os.getxattr(path, key, follow_symlinks=False)
                  for key in os.listxattr(path, follow_symlinks=False)}
    info = info_of(path, name, status, seen)
    info.pax_headers = {XATTR + key: value.decode("utf-8", "surrogateescape")
                        for key, value in sorted(attributes.items()) if not key.startswith(OVERLAY)}
    if info.isreg():
        with open(path, "rb") as file:
            yield info, file
    else:
        yield info, b""
    if attributes.get(OVERLAY + "opaque") == b"y":
        yield corpus.entry(os.path.join(name, ".wh..wh..opq"))


def info_of(path, name, status, seen):
    """The header of an entry. A second name of a file is a hard link to the first."""
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    info.mtime = min(int(status.st_mtime), EPOCH)
    first = seen.setdefault((status.st_dev, status.st_ino), name)
    if first != name and not stat.S_ISDIR(status.st_mode):
        info.type, info.linkname = tarfile.LNKTYPE, first
        return info
    kinds = {stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE, stat.S_IFCHR: tarfile.CHRTYPE,
             stat.S_IFBLK: tarfile.BLKTYPE, stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFREG: tarfile.REGTYPE}
    info.type = kinds[stat.S_IFMT(status.st_mode)]
    info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    if info.issym():
        info.linkname = os.readlink(path)
    if info.isreg():
        info.size = status.st_size
    return info


def application():
    """The small top layer that every application has."""
    yield corpus.directory("app")
    yield corpus.entry("app/main.py", data=b"print('hello')\n", mode=0o755)
    yield corpus.directory("app/static")
    for number in range(120):
        data = corpus.text(random.Random(number), 4000 + 97 * number)
        yield corpus.entry(f"app/static/{number:03}.js", data=data)


def large(work):
    """Two large files, made in `work` so that they are streamed and not held."""
    folder = work / "large"
    folder.mkdir(exist_ok=True)
    rnd = random.Random("large")
    block = corpus.text(rnd, 1 << 20)
    for name, mib in (("model.bin", 500), ("corpus.txt", 250)):
        if not (folder / name).exists():
            with open(folder / name, "wb") as file:
                for number in range(mib):
                    turned = block[number * 512:] + block[:number * 512]
                    file.write(rnd.randbytes(1 << 20) if name == "model.bin" else turned)
    return tree(folder, "models")


def make(work, path):
    """Writes the images of the trees in `work` to the OCI layout at `path`."""
    layout = corpus.Layout(path)
    site = "usr/local/lib/python3.11/dist-packages"
    debian = layout.layer(tree(work / "base"))
    app = layout.layer(application())
    layout.image("debian", [debian])
    layout.image("python", [debian, layout.layer(tree(work / "python-up")),
                            layout.layer(tree(work / "site-packages", site)), app])
    parts = [tree(work / "base"), tree(work / "python-up"), tree(work / "site-packages", site), application()]
    layout.image("python-zstd", [layout.layer(part, "zstd") for part in parts])
    layout.image("node", [debian, layout.layer(tree(work / "node-up")), layout.layer(tree(work / "npm", "app")), app])
    layout.image("large", [debian, layout.layer(large(work))])
    layout.image("many40", [debian] + [layout.layer(entries) for entries in corpus.many_layers(39, 400)])
    layout.close()


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]), sys.argv[2])
