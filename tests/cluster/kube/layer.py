"""Layers of an image: uncompressed tars whose bytes depend on their content alone, so that equal layers are stored once."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Self

MERGED = ("bin", "sbin", "lib", "lib64")
"""Folders that are links into /usr on a merged-/usr system."""
UNWANTED = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/lintian/", "usr/share/info/")


class Layer:
    """One layer, written file by file. The first of a name stays."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  closed by __exit__
        self._seen: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def add(self, info: tarfile.TarInfo, body: IO[bytes] | None = None) -> None:
        """A member of another tar, and the folders that it stands in."""
        info.name = _merged(str(PurePosixPath("/") / info.name).lstrip("/"))
        if not info.name or info.name in self._seen or info.name.startswith(UNWANTED):
            return
        for parent in list(PurePosixPath(info.name).parents)[-2::-1]:
            self.folder(str(parent))
        self._write(info, body)

    def folder(self, name: str, mode: int = 0o755) -> None:
        """A folder, unless it is there."""
        if name not in self._seen:
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, mode
            self._write(info)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
        self.add(info)

    def text(self, name: str, text: str, mode: int = 0o644) -> None:
        """A file that is made here."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(text.encode()), mode
        self.add(info, io.BytesIO(text.encode()))

    def copy(self, source: Path, name: str) -> None:
        """A file of this machine, or a folder with all that is in it."""
        with tarfile.open(fileobj=io.BytesIO(), mode="w") as scratch:
            for path in _files(source):
                info = scratch.gettarinfo(path, str(PurePosixPath(name) / path.relative_to(source)))
                info.uid = info.gid = 0
                if info.issym():
                    self.add(info)
                    continue
                info.type, info.size = tarfile.REGTYPE, path.stat().st_size  # a hard link is a file like any
                with path.open("rb") as body:
                    self.add(info, body)

    def _write(self, info: tarfile.TarInfo, body: IO[bytes] | None = None) -> None:
        self._seen.add(info.name)
        info.mtime = 0
        info.uname = info.gname = ""
        if info.islnk():
            info.linkname = _merged(info.linkname.lstrip("./"))
        info.pax_headers = {}
        self._tar.addfile(info, body)


def _merged(name: str) -> str:
    head = name.split("/", 1)[0]
    return f"usr/{name}" if head in MERGED and name != head else name


def _files(source: Path) -> Iterator[Path]:
    paths = sorted(source.rglob("*")) if source.is_dir() else [source]
    yield from (path for path in paths if path.is_symlink() or not path.is_dir())
