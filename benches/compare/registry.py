"""A registry on a free port of this machine, and the images of an OCI layout pushed to it as they lie there."""
import contextlib
import http.client
import json
import socket
import subprocess
import time

NAMED = "org.opencontainers.image.ref.name"


def free_port():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        return free.getsockname()[1]


@contextlib.contextmanager
def registry(work):
    """Debian's `docker-registry` with a storage in `work`, as `host:port`."""
    host = f"127.0.0.1:{free_port()}"
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
    """Returns when `host` answers as a registry does."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection(host)) as connection:
            connection.request("GET", "/v2/")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"the registry on {host} does not answer")


def images_of(layout):
    """The named images of a layout: their descriptors by name."""
    index = json.loads((layout / "index.json").read_text())
    return {manifest["annotations"][NAMED]: manifest for manifest in index["manifests"]}


class Pusher:
    """Pushes the images of a layout, not one byte converted."""

    def __init__(self, layout, host):
        self.layout, self.connection = layout, http.client.HTTPConnection(host)
        self.holders = {}

    def call(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        answer.read()
        return answer

    def path_of(self, descriptor):
        return self.layout / "blobs" / descriptor["digest"].replace(":", "/")

    def blob(self, name, descriptor):
        digest = descriptor["digest"]
        if self.call("HEAD", f"/v2/{name}/blobs/{digest}").status == 200:
            return
        holder = self.holders.get(digest)
        mount = f"?mount={digest}&from={holder}" if holder else ""
        answer = self.call("POST", f"/v2/{name}/blobs/uploads/{mount}")
        if answer.status == 202:
            to = answer.getheader("Location")
            to += ("&" if "?" in to else "?") + "digest=" + digest
            with open(self.path_of(descriptor), "rb") as file:
                headers = {"Content-Length": str(descriptor["size"]), "Content-Type": "application/octet-stream"}
                answer = self.call("PUT", to, file, headers)
        self.check(answer, descriptor)
        self.holders[digest] = name

    def image(self, name, descriptor, tag="latest"):
        """Pushes what `descriptor` describes, with all that it refers to, as `name:tag`."""
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
