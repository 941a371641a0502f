"""Lists archives with Python's `tarfile`, for comparison.

The file that is named as argument holds archives one behind the other, each behind its length in 8 bytes.
The answer is one JSON array: of each archive its entries, up to where `tarfile` stops, and whether it
stopped with an error. Names and values are in hex, as they need not be UTF-8.
"""

import hashlib
import io
import json
import sys
import tarfile

XATTR = "SCHILY.xattr."
KINDS = {
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "char device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "fifo",
}


def raw(text):
    return text.encode("utf-8", "surrogateescape")


def nanoseconds(text):
    """A PAX time, exactly: `tarfile` itself makes a float of it. What is beyond nine digits is cut."""
    whole, _, fraction = text.partition(".")
    part = int((fraction + "0" * 9)[:9])
    return int(whole) * 10**9 + (-part if whole.startswith("-") else part)


def facts(archive, entry):
    kind = KINDS.get(entry.type, "file")
    time = entry.pax_headers.get("mtime")
    xattrs = {
        key.removeprefix(XATTR): value
        for key, value in entry.pax_headers.items()
        if key.startswith(XATTR)
    }
    return {
        "path": raw(entry.name).hex(),
        "kind": kind,
        "link": raw(entry.linkname).hex() if kind in ("symlink", "hard link") else "",
        "size": entry.size if kind == "file" else 0,
        "device": [entry.devmajor, entry.devminor] if kind.endswith("device") else [0, 0],
        "mode": entry.mode & 0o7777,
        "uid": entry.uid,
        "gid": entry.gid,
        "nanoseconds": str(nanoseconds(time) if time else entry.mtime * 10**9),
        "xattrs": {raw(name).hex(): raw(value).hex() for name, value in xattrs.items()},
        "sha256": content(archive, entry) if kind == "file" else "",
    }


def content(archive, entry):
    with archive.extractfile(entry) as file:
        return hashlib.sha256(file.read()).hexdigest()


def listing(data):
    entries = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8") as archive:
            for entry in archive:
                entries.append(facts(archive, entry))
    except Exception as error:  # Whatever it says, it stopped here.
        return {"entries": entries, "error": f"{type(error).__name__}: {error}"}
    return {"entries": entries, "error": None}


def archives(path):
    with open(path, "rb") as file:
        while length := file.read(8):
            yield file.read(int.from_bytes(length, "big"))


json.dump([listing(data) for data in archives(sys.argv[1])], sys.stdout)
