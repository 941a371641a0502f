"""The bars that this project sets itself, as ratios within one run, and which of them hold."""
from measure import median, ratio

OURS, PEER, FLOOR, NOSYNC = "sandbox-images", "microsandbox-image", "floor", "without fsync"
CURL = "curl"

FLOOR_MAX = {"wall": 1.2, "cpu": 1.2}
# How often as fast as the peer.
FASTER_MIN = {"debian": 2.0, "node": 2.0, "large": 2.6, "python": 1.4, "many40": 1.4, "python-zstd": 1.0}
PEER_CPU_MAX = 0.6
PEER_WRITTEN_MAX = 0.6
PEER_SIZE_MAX = {"node": 0.95}
RSS_MIB_MAX = 64
SYNC_SHARE_MAX = {"large": 0.15}
WARM_S_MAX = {1: 0.010, 100: 0.020}
LOCK_S_MAX = 1.5
SHARED_MAX = 1.15


class Bars:
    """Collects what was measured against what should be."""

    def __init__(self):
        self.lines = []

    def at_most(self, what, actual, limit, unit=""):
        if actual is not None:
            holds = "holds" if actual <= limit else "**fails**"
            self.lines.append(f"| {what} | {actual:.3g}{unit} | at most {limit:g}{unit} | {holds} |")

    def at_least(self, what, actual, limit):
        if actual is not None:
            holds = "holds" if actual >= limit else "**fails**"
            self.lines.append(f"| {what} | {actual:.3g} | at least {limit:g} | {holds} |")

    def image(self, name, runs):
        """Judges the cold syncs of one image, if the bars name it."""
        ours = runs.get(OURS)
        if not ours or name not in FASTER_MIN:
            return
        self.at_most(f"{name}: peak memory", median(ours, "rss_mib"), RSS_MIB_MAX, " MiB")
        if floor := runs.get(FLOOR):
            for key, limit in FLOOR_MAX.items():
                self.at_most(f"{name}: {key} to that of the floor", ratio(ours, floor, key), limit)
        if peer := runs.get(PEER):
            self.at_least(f"{name}: times as fast as the peer", ratio(peer, ours, "wall"), FASTER_MIN[name])
            self.at_most(f"{name}: CPU to the peer's", ratio(ours, peer, "cpu"), PEER_CPU_MAX)
            self.at_most(f"{name}: bytes written to the peer's", ratio(ours, peer, "written_mb"), PEER_WRITTEN_MAX)
            size_max = PEER_SIZE_MAX.get(name, 1.0)
            self.at_most(f"{name}: size to the peer's", ratio(ours, peer, "size_mb"), size_max)
        if (nosync := runs.get(NOSYNC)) and name in SYNC_SHARE_MAX:
            share = 1 - ratio(nosync, ours, "wall")
            self.at_most(f"{name}: share of durability in the wall time", share, SYNC_SHARE_MAX[name])

    def show(self):
        if self.lines:
            print("\n### Bars\n\n| bar | measured | should be | |\n|---|---|---|---|\n" + "\n".join(self.lines))
