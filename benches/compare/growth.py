"""Syncs that grow in one respect each, and what each step more costs: a slope over what was measured."""
import hashlib
import json
import statistics
import subprocess
import sys
from pathlib import Path

import bars
import corpus
from measure import figure, median, put_away
from registry import Pusher, images_of

COLUMNS = {"wall": "wall s", "cpu": "CPU s", "rss_mib": "peak MiB", "warm": "warm s"}
GC = "gc --dry-run"
STORED = (0, 5_000, 20_000)


def growth(bench, layout):
    """Bytes, files, layers, images, and what a store holds already."""
    pusher, images = Pusher(layout, bench.host), images_of(layout)
    for name, descriptor in images.items():
        pusher.image(name, descriptor)
    for what, (unit, step, counts) in corpus.GROWING.items():
        runs = {count: bench.run(alone(bench, f"{what}-{count}")) for count in counts}
        show(what, unit, step, runs)
    references = [bench.reference(name) for name in images if name.startswith("image-")]
    runs = {}
    for count in corpus.GROWING_IMAGES:
        bench.project(f"images-{count}", references[:count])
        runs[count] = bench.run({bars.OURS: bench.sync(f"images-{count}")})
    show("images on one base", "images", 1, runs)
    stored(bench, references[0])


def alone(bench, name):
    """Ours and the floor for one image."""
    reference = bench.reference(name)
    bench.project(name, [reference])
    return {bars.OURS: bench.sync(name), bars.FLOOR: f"{bench.floor} {reference} {{directory}}"}


def stored(bench, reference):
    """A small image into stores that hold other artifacts already, and `gc` looking at all of them."""
    project = bench.project("stored", [reference])
    tools = {bars.OURS: bench.sync("stored"), GC: f"{bench.program(project)} --store {{directory}}/store {GC}"}
    runs = {}
    for count in STORED:
        model = bench.work / f"stored-{count}"
        # A program of its own: what a large process starts counts as large.
        subprocess.run([sys.executable, __file__, model, str(count)], check=True)
        copy = ["cp", "-al", model]
        runs[count] = bench.run(tools, fill=lambda directory: subprocess.run([*copy, directory / "store"], check=True))
        put_away(model)
    show("what the store holds already", "artifacts", 10_000, runs)


def fill(store, count):
    """A store of so many small blobs, with their records."""
    blobs, records = store / "v1/blobs/sha256", store / "v1/f1/records/blob"
    for directory in (blobs, records):
        directory.mkdir(parents=True)
    for number in range(count):
        data = b"%d\n" % number
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        (records / f"{digest}.json").write_bytes(record(len(data), digest))


def record(size, digest):
    """What says that an artifact is there; its sum is that of itself with an empty sum."""
    fields = {"version": 1, "size": size, "digest": f"sha256:{digest}", "builder": "0.1.0", "sum": ""}

    def line():
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"

    fields["sum"] = hashlib.sha256(line()).hexdigest()
    return line()


def show(what, unit, step, runs):
    """A table of medians, a row for each count, and last the slope: what `step` more cost."""
    columns = {(bars.OURS, key): name for key, name in COLUMNS.items()}
    tools = next(iter(runs.values()))
    columns |= {(tool, key): f"{tool} {COLUMNS[key]}" for tool in tools if tool != bars.OURS for key in ("wall", "cpu")}
    if not all(of_tool for tools in runs.values() for of_tool in tools.values()):
        print(f"\n### Growth: {what}\n\nfailed", flush=True)
        return
    head = f"| {unit} | {' | '.join(columns.values())} |"
    lines = [f"\n### Growth: {what}\n", head, "|---" * (len(columns) + 1) + "|"]
    values = {column: [median(tools[column[0]], column[1]) for tools in runs.values()] for column in columns}
    for row, count in enumerate(runs):
        cells = [figure(values[column][row], column[1]) for column in columns]
        lines.append(f"| {count:,} | {' | '.join(cells)} |")
    slopes = [statistics.linear_regression(list(runs), values[column]).slope * step for column in columns]
    lines.append(f"| **each {step:,} more** | {' | '.join(f'{slope:.2g}' for slope in slopes)} |")
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]))
