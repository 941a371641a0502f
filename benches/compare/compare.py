#!/usr/bin/env python3
"""Compares cold and warm syncs with other programs, on one registry, in one run.

    compare.py                         the made images of corpus.py
    compare.py --layout DIRECTORY      every named image of an OCI layout
    compare.py --tool name='command'   one more program; {reference}, {directory} and {name} stand for the
                                       image, an empty directory and the image's name

Needs python3.11, Debian's `docker-registry` and cargo; `curl` for the bare transfer; `skopeo` and `umoci` for
`--umoci`. No root. The first call builds this project and, unless `--no-peer` is given, the program in `peer/`.

In a round the programs take turns, each with an empty directory, so that a slow minute of the machine hits all;
round 0 fills the page cache and is not counted. Ratios within one run are what counts: seconds depend on the
machine. Of each run: wall time; user and system time of the program and its children; the largest resident set of
one process, which cannot be less than the 22 MiB or so of this one that started it; bytes that it wrote; the size of
what is left. `warm` is the same command once more.
"""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import corpus

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
COLUMNS = {"wall": "wall s", "cpu": "CPU s", "rss_mib": "peak MiB", "written_mb": "written MB", "size_mb": "size MB",
           "warm": "warm s"}


@contextlib.contextmanager
def registry(work):
    """A registry of its own on a free port, as `host:port`."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        host = "127.0.0.1:%d" % free.getsockname()[1]
    config = work / "registry.yml"
    config.write_text(f"""
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {work}/registry, maxthreads: 100}}}}
http: {{addr: "{host}"}}
validation: {{manifests: {{urls: {{allow: ["^https?://"]}}}}}}
""")
    process = subprocess.Popen(["docker-registry", "serve", config], stderr=subprocess.DEVNULL)
    try:
        wait_for(host)
        yield host
    finally:
        process.terminate()
        process.wait()


def wait_for(host):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection(host)) as connection:
            connection.request("GET", "/v2/")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"the registry on {host} does not answer")


class Pusher:
    """Pushes the images of a layout as they lie there, not one byte converted."""

    def __init__(self, layout, host):
        self.layout, self.connection = layout, http.client.HTTPConnection(host)

    def call(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        answer.read()
        return answer

    def path_of(self, descriptor):
        return self.layout / "blobs" / descriptor["digest"].replace(":", "/")

    def blob(self, name, descriptor):
        if self.call("HEAD", f"/v2/{name}/blobs/{descriptor['digest']}").status == 200:
            return
        to = self.call("POST", f"/v2/{name}/blobs/uploads/").getheader("Location")
        to += ("&" if "?" in to else "?") + "digest=" + descriptor["digest"]
        with open(self.path_of(descriptor), "rb") as file:
            headers = {"Content-Length": str(descriptor["size"]), "Content-Type": "application/octet-stream"}
            self.check(self.call("PUT", to, file, headers), descriptor)

    def image(self, name, descriptor, tag="latest"):
        body = self.path_of(descriptor).read_bytes()
        manifest = json.loads(body)
        for child in manifest.get("manifests", []):
            self.image(name, child, child["digest"])
        for blob in [manifest[key] for key in ("config",) if key in manifest] + manifest.get("layers", []):
            self.blob(name, blob)
        answer = self.call("PUT", f"/v2/{name}/manifests/{tag}", body, {"Content-Type": descriptor["mediaType"]})
        self.check(answer, descriptor)

    def check(self, answer, descriptor):
        if answer.status != 201:
            raise SystemExit(f"pushing {descriptor['digest']} ended with HTTP {answer.status}")


def images_of(layout):
    index = json.loads((layout / "index.json").read_text())
    named = "org.opencontainers.image.ref.name"
    return {manifest["annotations"][named]: manifest for manifest in index["manifests"]}


def build(args):
    """The programs, built if need be, as commands."""
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "sandbox-images"], cwd=PROJECT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
    ours = target / "release/sandbox-images"
    tools = {"sandbox-images": f"{ours} -q -C {args.work}/locks/{{name}} --store {{directory}}/store sync --from-lock"}
    if not args.no_peer:
        peer = HERE / "peer"
        subprocess.run(["cargo", "build", "--release", "--quiet", "--target-dir", "target"], cwd=peer, check=True)
        tools["microsandbox-image"] = f"{peer}/target/release/peer-pull {{reference}} {{directory}}/cache"
    if args.umoci:
        tools["skopeo + umoci"] = (
            "skopeo copy -q --src-tls-verify=false docker://{reference} oci:{directory}/oci:latest && "
            "umoci unpack --image {directory}/oci:latest {directory}/bundle >/dev/null 2>&1")
    tools["curl"] = f"{HERE}/transfer.sh {{reference}} {{directory}}"
    return tools | dict(tool.split("=", 1) for tool in args.tool), ours


def lock(ours, work, name, reference):
    """Locks one image in a project of its own."""
    project = work / "locks" / name
    project.mkdir(parents=True, exist_ok=True)
    (project / "sandbox-images.toml").write_text(
        f'manifest-version = 1\n\n[defaults]\nplatforms = ["linux/amd64"]\n\n[images]\nimage = "{reference}"\n')
    subprocess.run([ours, "-q", "-C", project, "lock"], check=True)


def measure(command):
    start = time.monotonic()
    process = subprocess.Popen(["/bin/sh", "-c", command])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"`{command}` ended with {process.returncode}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss_mib": usage.ru_maxrss / 1024,
            "written_mb": usage.ru_oublock * 512 / 1e6}


def size_mb(path):
    return int(subprocess.check_output(["du", "-s", "-B1", path], text=True).split()[0]) / 1e6


def one_run(command, name, reference, work):
    directory = work / "run"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    os.sync()
    filled = command.format(reference=reference, directory=directory, name=name)
    row = measure(filled)
    row["size_mb"] = size_mb(directory)
    row["warm"] = measure(filled)["wall"]
    return row


def compare(tools, name, reference, args):
    rows = {tool: [] for tool in tools}
    for round_number in range(args.runs + 1):
        for tool, command in tools.items():
            row = one_run(command, name, reference, args.work)
            if round_number > 0:
                rows[tool].append(row)
                if args.json:
                    with open(args.json, "a") as file:
                        print(json.dumps({"image": name, "tool": tool, "round": round_number} | row), file=file)
    return rows


def show(name, rows):
    """A table of medians; ratios are ours to theirs, the median over the rounds."""
    print(f"\n### {name}\n\n| | {' | '.join(COLUMNS.values())} | our wall / its | our CPU / its |")
    print("|---" * (len(COLUMNS) + 3) + "|")
    ours = next(iter(rows.values()))
    for tool, theirs in rows.items():
        medians = [statistics.median(row[key] for row in theirs) for key in COLUMNS]
        ratios = [statistics.median(mine[key] / row[key] for mine, row in zip(ours, theirs)) for key in ("wall", "cpu")]
        figures = [f"{value:.{0 if key.endswith(('mb', 'mib')) else 3 if key == 'warm' else 2}f}"
                   for key, value in zip(COLUMNS, medians)]
        print(f"| {tool} | {' | '.join(figures)} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", type=pathlib.Path, help="an OCI layout with named images")
    parser.add_argument("--image", action="append", help="only this one; may be repeated")
    parser.add_argument("--work", type=pathlib.Path, help="kept; else a temporary directory")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--umoci", action="store_true")
    parser.add_argument("--tool", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--json", type=pathlib.Path, help="append each run to this file")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if args.work is None:
            args.work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-")))
        args.work = args.work.resolve()
        args.work.mkdir(parents=True, exist_ok=True)
        tools, ours = build(args)
        layout = args.layout or args.work / "corpus"
        if args.layout is None:
            corpus.make(layout)
        images = images_of(layout)
        unknown = set(args.image or []) - set(images)
        if unknown:
            parser.error(f"{layout} has no image {', '.join(sorted(unknown))}; it has {', '.join(images)}")
        host = stack.enter_context(registry(args.work))
        for name in args.image or images:
            Pusher(layout, host).image(name, images[name])
            reference = f"{host}/{name}:latest"
            lock(ours, args.work, name, reference)
            show(name, compare(tools, name, reference, args))


if __name__ == "__main__":
    sys.exit(main())
