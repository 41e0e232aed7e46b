"""Build an OCI image archive from Debian packages, PyPI requirements and files: no engine, no registry, no root.

    python -m tests.cluster.kube.image --out app.tar --name localhost/app:dev --deb python3 --requirements FILE --wheel app.whl
    python -m tests.cluster.kube.image --out pause.tar --name localhost/pause:1 --copy pause:/pause --entrypoint /pause

Each kind of input (deb, requirements, wheel, copy) is one layer, so that a changed source file makes a new small layer only.
Layers of packages are kept in --cache under a digest of what was asked for.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import platform
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from tests.cluster.kube.layer import Layer
from tests.cluster.kube.packages import SITE, debs, python_of, wheels


class Archive:
    """An OCI layout (image-spec 1.0) in one tar."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def put(self, path: str, size: int, body: IO[bytes]) -> None:
        """One file."""
        info = tarfile.TarInfo(path)
        info.size = size
        self._tar.addfile(info, body)

    def layer(self, path: Path) -> dict[str, Any]:
        """A layer, and its descriptor."""
        with path.open("rb") as body:
            digest = hashlib.file_digest(body, "sha256").hexdigest()
            body.seek(0)
            self.put(f"blobs/sha256/{digest}", path.stat().st_size, body)
        return _descriptor("layer.v1.tar", digest, path.stat().st_size)

    def blob(self, content: object, kind: str) -> dict[str, Any]:
        """A JSON document, and its descriptor."""
        data = json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        self.put(f"blobs/sha256/{digest}", len(data), io.BytesIO(data))
        return _descriptor(kind, digest, len(data))

    def document(self, path: str, content: object) -> None:
        """A JSON document by name."""
        data = json.dumps(content).encode()
        self.put(path, len(data), io.BytesIO(data))


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": size}


def archive(out: Path, name: str, layers: Sequence[Path], config: dict[str, object]) -> None:
    """Write an image of these layers, with the name where containerd's importer reads it."""
    with tarfile.open(out, "w") as tar:
        image = Archive(tar)
        descriptors = [image.layer(layer) for layer in layers]
        facts = {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in descriptors]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": image.blob(facts, "config.v1+json"),
            "layers": descriptors,
        }
        tag = name.rpartition(":")[2]
        names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
        top = image.blob(manifest, "manifest.v1+json") | {"annotations": names}
        image.document("index.json", {"schemaVersion": 2, "manifests": [top]})
        image.document("oci-layout", {"imageLayoutVersion": "1.0.0"})


def _cached(cache: Path, key: list[str], make: Callable[[Path], None]) -> Path:
    """The layer made for this key, made now unless it is there."""
    ours = [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]
    path = cache / (hashlib.sha256("\0".join([*ours, *key]).encode()).hexdigest()[:24] + ".layer")
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as tmp:
            draft = Path(tmp, "layer")
            make(draft)
            draft.rename(path)
    return path


def _layers(asked: argparse.Namespace, folder: Path) -> Iterator[Path]:
    python = ""
    if asked.deb:
        release = platform.freedesktop_os_release()["PRETTY_NAME"]
        packages = _cached(asked.cache, [release, *asked.deb], lambda out: debs(asked.deb, out))
        python = python_of(packages)
        yield packages
    if asked.requirements:
        key = [python, sys.version, asked.requirements.read_text()]
        yield _cached(asked.cache, key, lambda out: wheels(["-r", str(asked.requirements)], python, out))
    if asked.wheel:
        wheels(["--no-deps", *asked.wheel], python, folder / "wheel")
        yield folder / "wheel"
    if asked.copy or asked.link:
        with Layer(folder / "copy") as layer:
            for copy in asked.copy:
                source, _, destination = copy.rpartition(":")
                layer.copy(Path(source).resolve(strict=True), destination)
            for link in asked.link:
                path, _, target = link.partition(":")
                layer.link(path, target.format(site=SITE.format(python)))
        yield folder / "copy"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    several: dict[str, Any] = {"nargs": "*", "default": []}
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", required=True, help="like localhost/app:dev")
    parser.add_argument("--deb", **several, metavar="PACKAGE", help="Debian packages, with all they depend on")
    parser.add_argument("--requirements", type=Path, help="a file of requirements of PyPI, complete")
    parser.add_argument("--wheel", **several, metavar="FILE", help="wheels, without what they depend on")
    parser.add_argument("--copy", action="append", default=[], metavar="SOURCE:DESTINATION")
    parser.add_argument("--link", action="append", default=[], metavar="PATH:TARGET", help="{site}: where wheels are")
    parser.add_argument("--entrypoint", **several)
    parser.add_argument("--user", default="")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/image-layers")
    asked = parser.parse_args()
    config = {
        "Entrypoint": asked.entrypoint,
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "User": asked.user,
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=asked.out.parent) as tmp:
        draft = Path(tmp, "image.tar")
        layers = list(_layers(asked, Path(tmp)))
        archive(draft, asked.name, layers, {key: value for key, value in config.items() if value})
        draft.rename(asked.out)


if __name__ == "__main__":
    main()
