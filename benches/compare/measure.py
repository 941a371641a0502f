"""Programs run in turn, and what they cost."""
import dataclasses
import os
import shutil
import statistics
import subprocess
import time

COLUMNS = {"wall": "wall s", "cpu": "CPU s", "rss_mib": "peak MiB", "written_mb": "written MB", "size_mb": "size MB",
           "warm": "warm s"}


@dataclasses.dataclass
class Run:
    """What one cold run cost, and `warm` the same command once more."""
    wall: float
    cpu: float
    rss_mib: float
    written_mb: float
    size_mb: float = 0
    warm: float = 0


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


def cold_and_warm(command, directory, warm=True):
    """Runs `command`, in which `{directory}` is an empty directory, and once more on what that left."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    os.sync()
    filled = command.replace("{directory}", str(directory))
    run = measure(filled)
    if run:
        size = subprocess.check_output(["du", "-s", "-B1", directory], text=True)
        run.size_mb = int(size.split()[0]) / 1e6
        again = measure(filled) if warm else None
        run.warm = again.wall if again else 0
    shutil.rmtree(directory)
    return run


def in_turn(tools, rounds, directory, warm=True):
    """The runs of each tool. In a round the tools take turns; round 0 fills the page cache and is not counted. A tool
    that fails once has no runs."""
    runs = {tool: [] for tool in tools}
    for number in range(rounds + 1):
        for tool, command in tools.items():
            if runs[tool] is None:
                continue
            run = cold_and_warm(command, directory, warm)
            if run is None:
                runs[tool] = None
            elif number > 0:
                runs[tool].append(run)
    return runs


def median(runs, key):
    return statistics.median(getattr(run, key) for run in runs)


def ratio(ours, theirs, key):
    """The median over the rounds of ours to theirs."""
    pairs = [(getattr(mine, key), getattr(its, key)) for mine, its in zip(ours, theirs)]
    return statistics.median(mine / its for mine, its in pairs if its) if any(its for _, its in pairs) else None


def figure(value, key):
    digits = 0 if key.endswith(("mb", "mib")) else 3 if key == "warm" else 2
    return f"{value:.{digits}f}"


def table(title, runs, warm=True):
    """A Markdown table of medians; the ratios are the first tool's to the row's."""
    columns = {key: name for key, name in COLUMNS.items() if warm or key != "warm"}
    lines = [f"\n### {title}\n", f"| | {' | '.join(columns.values())} | our wall / its | our CPU / its |",
             "|---" * (len(columns) + 3) + "|"]
    ours = next(iter(runs.values()))
    for tool, theirs in runs.items():
        if not theirs or not ours:
            lines.append(f"| {tool} | failed" + " | " * (len(columns) + 1) + " |")
            continue
        cells = [figure(median(theirs, key), key) for key in columns]
        ratios = [ratio(ours, theirs, key) for key in ("wall", "cpu")]
        cells += [f"{value:.2f}" if value else "" for value in ratios]
        lines.append(f"| {tool} | {' | '.join(cells)} |")
    print("\n".join(lines), flush=True)
