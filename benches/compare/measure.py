"""Programs run in turn, and what they cost."""
import dataclasses
import os
import random
import statistics
import subprocess
import time
import uuid

COLUMNS = {"wall": "wall s", "cpu": "CPU s", "rss_mib": "peak MiB", "written_mb": "written MB", "size_mb": "size MB",
           "warm": "warm s"}
# What a run touches beside what it writes.
MEMORY_MB = 150


@dataclasses.dataclass
class Run:
    """What one cold run cost, and `warm` the same command once more."""
    wall: float
    cpu: float
    rss_mib: float
    written_mb: float
    size_mb: float = 0
    warm: float | None = None


def measure(command):
    """What a shell command costs, or `None` if it fails."""
    start = time.monotonic()
    process = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        return None
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, usage.ru_oublock * 512 / 1e6)


def cold_and_warm(command, directory, warm=True, fill=None, touched_mb=0):
    """Runs `command`, in which `{directory}` is a directory, empty or with what `fill` puts there, and once more on
    what that left. It will touch about so much memory."""
    put_away(directory)
    directory.mkdir(parents=True)
    if fill:
        fill(directory)
    settle(touched_mb)
    filled = command.replace("{directory}", str(directory))
    run = measure(filled)
    if run:
        size = subprocess.check_output(["du", "-s", "-B1", directory], text=True)
        run.size_mb = int(size.split()[0]) / 1e6
        again = measure(filled) if warm else None
        run.warm = again.wall if again else None
    put_away(directory)
    return run


def put_away(directory):
    """Cuts all files in it to nothing and moves it beside itself: ext4 without a journal looks at each inode that was
    deleted within the last minute before it gives one away, so a run after one that is deleted would seem the dearer.
    By programs of their own, which do not grow this one: what a large process starts counts as large."""
    if directory.exists():
        writable, empty = (["-exec", *command, "{}", "+"] for command in (["chmod", "u+w"], ["truncate", "-s", "0"]))
        # What has other names is of a store that other runs are given too.
        for what in (["-type", "d", *writable], ["-type", "f", "-links", "1", *writable, *empty]):
            subprocess.run(["find", directory, *what], check=True)
        directory.rename(directory.with_name(f"emptied-{uuid.uuid4()}"))


def remove_emptied(directory):
    """What was put away in it."""
    subprocess.run(["rm", "-rf", *directory.glob("emptied-*")], check=True)


def settle(touched_mb):
    """Leaves nothing to write, and touches as much memory as the next run will: on a virtual machine, the first touch
    of what its host has taken back costs a multiple, and a run after one that freed little would seem the dearer."""
    os.sync()
    touch = ["dd", "if=/dev/zero", "of=/dev/null", f"bs={touched_mb + MEMORY_MB:.0f}M", "count=1"]
    subprocess.run(touch, stderr=subprocess.DEVNULL, check=True)


def in_turn(tools, rounds, directory, once=(), fill=None):
    """The runs of each tool; of those in `once` no warm ones. In a round the tools take turns, in an order that
    changes, as a run's predecessor has a hand in its cost; round 0 fills the page cache and is not counted. A tool that
    fails once has no runs."""
    runs, order, touched_mb = {tool: [] for tool in tools}, random.Random(rounds), {}
    for number in range(rounds + 1):
        for tool in order.sample(list(tools), len(tools)):
            if runs[tool] is None:
                continue
            run = cold_and_warm(tools[tool], directory, tool not in once, fill, touched_mb.get(tool, 0))
            if run is None:
                runs[tool] = None
                continue
            touched_mb[tool] = run.written_mb
            if number > 0:
                runs[tool].append(run)
    return runs


def median(runs, key):
    """Of the runs that have it, if any does."""
    values = [value for run in runs if (value := getattr(run, key)) is not None]
    return statistics.median(values) if values else None


def ratio(ours, theirs, key):
    """The median over the rounds of ours to theirs."""
    pairs = [(getattr(mine, key), getattr(its, key)) for mine, its in zip(ours, theirs)]
    return statistics.median(mine / its for mine, its in pairs if its) if any(its for _, its in pairs) else None


def figure(value, key):
    if value is None:
        return ""
    digits = 0 if key.endswith(("mb", "mib")) else 3 if key == "warm" else 2
    return f"{value:.{digits}f}"


def table(title, runs):
    """A Markdown table of medians; the ratios are the first tool's to the row's."""
    known = [run for tool in runs.values() if tool for run in tool]
    columns = {key: name for key, name in COLUMNS.items() if median(known, key) is not None}
    lines = [f"\n### {title}\n", f"| | {' | '.join(columns.values())} | our wall / its | our CPU / its |",
             "|---" * (len(columns) + 3) + "|"]
    ours = next(iter(runs.values()))
    for tool, theirs in runs.items():
        if not theirs or not ours:
            lines.append(f"| {tool} | failed |")
            continue
        cells = [figure(median(theirs, key), key) for key in columns]
        ratios = [ratio(ours, theirs, key) for key in ("wall", "cpu")]
        cells += [f"{value:.2f}" if value else "" for value in ratios]
        lines.append(f"| {tool} | {' | '.join(cells)} |")
    print("\n".join(lines), flush=True)
