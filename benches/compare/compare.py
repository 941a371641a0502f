#!/usr/bin/env python3
"""Compares cold and warm syncs with other programs, on one registry, in one run, and prints tables in Markdown.

    compare.py                         the made images of corpus.py
    compare.py --packages WORK         images of real packages, made of the trees of packages.sh
    compare.py --layout DIRECTORY      every named image of an OCI layout
    compare.py --sharing --links --growth --no-images
                                       1, 10 and 50 images that share layers, and warm syncs; a slow and a lossy link;
                                       images that grow
    compare.py --tool name='command'   one more program; {reference}, {directory} and {name} stand for the
                                       image, an empty directory and the image's name

Needs python3.11, Debian's `docker-registry`, cargo and a C compiler; `zstd` for `--packages`; `curl` for the bare
transfer; `skopeo` and `umoci` for `--others`, which also runs `mkfs.erofs` where it reads tars. No root. The first call
builds this project, the floor in `floor/` and, unless `--no-peer` is given, the program in `peer/`.

In a round the programs take turns in a random order, each with an empty directory, so that a slow minute of the machine
hits all; round 0 fills the page cache and is not counted. Ratios within one run are what counts: seconds depend on the
machine. Of each run: wall time; user and system time of the program and its children; the largest resident set of one
process, which cannot be less than the 22 MiB or so of this one that started it; bytes that it wrote, counted when pages
are dirtied; the size of what is left. `warm` is the same command once more, of programs that look at what is there.
`without fsync` is this project with calls of `fsync` that do nothing: the difference is what durability costs.
"""
import argparse
import contextlib
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile

import bars
from growth import growth
from link import link
from measure import in_turn, measure, ratio, remove_emptied, table
from registry import Pusher, images_of, registry

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
SLOW = ("--round-trip-ms", "50", "--mbit", "100")
LOSSY = ("--round-trip-ms", "50", "--mbit", "100", "--stall-percent", "0.2", "--cut-mib", "24")
LATE = ("--round-trip-ms", "50")


def cargo(directory, binary, target):
    """Builds a program of a package, and answers where it is."""
    command = ["cargo", "build", "--release", "--quiet", "--bin", binary, "--target-dir", target]
    subprocess.run(command, cwd=directory, check=True)
    return pathlib.Path(target) / "release" / binary


class Bench:
    """The programs, the registry, and a directory for all that is made."""

    def __init__(self, args, host):
        self.args, self.work, self.host = args, args.work, host
        target = os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")
        self.ours = args.binary or cargo(PROJECT, "sandbox-images", target)
        self.floor = args.floor or cargo(HERE / "floor", "pull-floor", HERE / "floor/target")
        self.peer = None
        if not args.no_peer:
            self.peer = args.peer or cargo(HERE / "peer", "peer-pull", HERE / "peer/target")
        self.nosync = self.work / "nosync"
        subprocess.run(["cc", "-O2", "-o", self.nosync, HERE / "nosync.c"], check=True)
        self.bars = bars.Bars()

    def program(self, project):
        """Ours, told as the others are that the registry speaks plain HTTP."""
        return f"{self.ours} -q -C {project} --config {project}/config.toml"

    def sync(self, name):
        return f"{self.program(self.work / 'locks' / name)} --store {{directory}}/store sync --from-lock"

    def project(self, name, references):
        """A project that has locked these images."""
        project = self.work / "locks" / name
        shutil.rmtree(project, ignore_errors=True)
        project.mkdir(parents=True)
        images = "".join(f'i{number:03} = "{reference}"\n' for number, reference in enumerate(references))
        text = f'manifest-version = 1\n\n[defaults]\nplatforms = ["linux/amd64"]\n\n[images]\n{images}'
        (project / "sandbox-images.toml").write_text(text)
        hosts = sorted({reference.split("/")[0] for reference in references})
        plain = "".join(f'[registries."{host}"]\ninsecure = "http"\n' for host in hosts)
        (project / "config.toml").write_text(plain)
        self.lock(project)
        return project

    def lock(self, project):
        store = self.work / "lock-store"
        shutil.rmtree(store, ignore_errors=True)
        cost = measure(f"{self.program(project)} --store {store} lock")
        if cost is None:
            raise SystemExit(f"{project} cannot be locked")
        return cost

    def tools(self, name, references):
        """The programs that pull these images, ours first."""
        self.project(name, references)

        def each(command):
            return " && ".join(command.replace("{reference}", reference) for reference in references)

        tools = {bars.OURS: self.sync(name)}
        if self.peer:
            tools[bars.PEER] = each(f"{self.peer} {{reference}} {{directory}}/cache")
        tools |= {tool: each(command) for tool, command in self.others().items()}
        tools[bars.FLOOR] = each(f"{self.floor} {{reference}} {{directory}}")
        tools[bars.CURL] = each(f"{HERE}/transfer.sh {{reference}} {{directory}}")
        tools[bars.NOSYNC] = f"{self.nosync} {self.sync(name)}"
        added = (tool.split("=", 1) for tool in self.args.tool)
        return tools | {tool: each(command.replace("{name}", name)) for tool, command in added}

    def others(self):
        """Programs that many machines have."""
        if not self.args.others:
            return {}
        copy = "skopeo copy -q --src-tls-verify=false docker://{reference} oci:{directory}/oci:latest"
        others = {"skopeo": copy, "skopeo + umoci":
                  copy + " && umoci unpack --image {directory}/oci:latest {directory}/bundle >/dev/null 2>&1"}
        mkfs = os.environ.get("MKFS_EROFS", "mkfs.erofs")
        if shutil.which(mkfs) and "--tar" in subprocess.run([mkfs, "--help"], capture_output=True, text=True).stdout:
            others["skopeo + mkfs.erofs"] = copy + f" && {HERE}/mkfs.sh {{directory}}/oci {{directory}}/out"
        return others

    def push(self, layout):
        """Pushes the images of a layout that are wanted, and answers their names."""
        images = images_of(layout)
        wanted = self.args.image or list(images)
        pusher = Pusher(layout, self.host)
        for name in wanted:
            if name not in images:
                raise SystemExit(f"{layout} has no image {name}; it has {', '.join(images)}")
            pusher.image(name, images[name])
        return wanted

    def reference(self, name, host=None):
        return f"{host or self.host}/{name}:latest"

    def run(self, tools, warm=True, fill=None):
        """Once more on what is there already means something only to programs that look."""
        once = (bars.FLOOR, bars.CURL) if warm else tools
        return in_turn(tools, self.args.runs, self.work / "run", once, fill)

    def images(self, layout):
        """Each image alone."""
        for name in self.push(layout):
            runs = self.run(self.tools(name, [self.reference(name)]))
            table(name, runs)
            self.bars.image(name, runs)

    def sharing(self, layout):
        """1, 10 and 50 images on one base; the 50 against as many with the same blobs, of which they share none, and
        against one image of all their layers; then syncs with no work."""
        pusher, images = Pusher(layout, self.host), images_of(layout)
        names = [name for name in images if name.startswith("shared-")]
        alone = [name.replace("shared", "alone") for name in names]
        for name in [*names, *alone, "distinct"]:
            pusher.image(name, images[name])
        references = [self.reference(name) for name in names]
        for count in (1, 10, len(names)):
            tools = self.tools(f"sharing-{count}", references[:count])
            # The others fetch a base as often as it is named.
            runs = self.run({tool: tools[tool] for tool in (bars.OURS, bars.PEER) if tool in tools})
            table(f"{count} on one base", runs)
        self.project("alone", [self.reference(name) for name in alone])
        self.project("distinct", [self.reference("distinct")])
        commands = {"50 images on one base": self.sync(f"sharing-{len(names)}"),
                    "the same blobs, each in one of 50": self.sync("alone"),
                    "the same layers in one image": self.sync("distinct")}
        runs = self.run(commands, warm=False)
        table("what sharing costs", runs)
        shared, distinct, _ = runs.values()
        self.bars.at_most("50 images to their distinct blobs alone", ratio(shared, distinct, "wall"), bars.SHARED_MAX)
        self.warm(references)
        self.tags(names)

    def warm(self, references):
        """Syncs of 1 and 100 images that are there, beside `true`."""
        print("\n### Syncs with nothing to do\n\n| images | wall ms | CPU ms | `true` ms |\n|---|---|---|---|")
        for count, wanted in ((1, references[:1]), (100, references * 2)):
            self.project(f"warm-{count}", wanted)
            command = self.sync(f"warm-{count}").replace("{directory}", str(self.work / "warm"))
            measure(command)
            runs = [(measure(command), measure("true")) for _ in range(25)]
            wall, cpu, true = (min(values) * 1000 for values in zip(*((a.wall, a.cpu, b.wall) for a, b in runs)))
            print(f"| {count} | {wall:.1f} | {cpu:.1f} | {true:.1f} |", flush=True)
            self.bars.at_most(f"warm sync of {count}", wall / 1000, bars.WARM_S_MAX[count], " s")
        shutil.rmtree(self.work / "warm", ignore_errors=True)

    def tags(self, names):
        """Locks 50 tags over a link with a round trip of 50 ms."""
        with link(self.host, *LATE) as host:
            project = self.project("tags", [self.reference(name, host) for name in names])
            walls = []
            for _ in range(self.args.runs):
                (project / "sandbox-images.lock").unlink()
                walls.append(self.lock(project).wall)
        what = f"`lock` of {len(names)} tags over 50 ms"
        print(f"\n{what}: {statistics.median(walls):.2f} s")
        self.bars.at_most(what, statistics.median(walls), bars.LOCK_S_MAX, " s")

    def links(self, layout):
        """The first image over a slow and over a lossy link."""
        name = self.push(layout)[0]
        for title, options in (("50 ms and 100 Mbit/s", SLOW), ("50 ms, 100 Mbit/s, stalls and cuts", LOSSY)):
            with link(self.host, *options) as host:
                tools = self.tools(f"{name}-link", [self.reference(name, host)])
                del tools[bars.NOSYNC]
                table(f"{name} over {title}", self.run(tools, warm=False))


def made(layout, program, *arguments):
    """A layout, written by a program of its own unless it is there: what a large process starts counts as large."""
    if not (layout / "index.json").exists():
        subprocess.run([sys.executable, HERE / program, *arguments, layout], check=True)
    return layout


def layout_of(args):
    if args.layout:
        return args.layout
    if args.packages:
        return made(args.work / "packages", "packages.py", args.packages)
    return made(args.work / "images", "corpus.py", "images")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=pathlib.Path, metavar="WORK", help="images of the trees of packages.sh")
    parser.add_argument("--layout", type=pathlib.Path, help="an OCI layout with named images")
    parser.add_argument("--image", action="append", help="only this one; may be repeated")
    parser.add_argument("--work", type=pathlib.Path, help="kept; else a temporary directory")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-images", action="store_true", help="not each image alone")
    parser.add_argument("--sharing", action="store_true")
    parser.add_argument("--links", action="store_true")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--others", action="store_true", help="also skopeo, umoci and mkfs.erofs")
    parser.add_argument("--tool", action="append", default=[], metavar="NAME=COMMAND")
    for program in ("binary", "peer", "floor"):
        parser.add_argument(f"--{program}", type=pathlib.Path, help="this one, built elsewhere")
    return parser.parse_args()


def main():
    args = arguments()
    with contextlib.ExitStack() as stack:
        if args.work is None:
            args.work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-")))
        args.work = args.work.resolve()
        args.work.mkdir(parents=True, exist_ok=True)
        stack.callback(remove_emptied, args.work)
        bench = Bench(args, stack.enter_context(registry(args.work)))
        print("`" + shlex.join(["compare.py", *sys.argv[1:]]) + f"`: medians of {args.runs}")
        if not args.no_images:
            bench.images(layout_of(args))
        if args.sharing:
            bench.sharing(made(args.work / "sharing", "corpus.py", "sharing"))
        if args.links:
            bench.links(layout_of(args))
        if args.growth:
            growth(bench, made(args.work / "growing", "corpus.py", "growing"))
        bench.bars.show()


if __name__ == "__main__":
    sys.exit(main())
