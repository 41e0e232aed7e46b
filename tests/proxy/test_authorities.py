"""Files that rules name are somebody else's choice."""

import os
import threading
from pathlib import Path

import certifi
import pytest

from exitway.proxy.authorities import AuthorityFiles, read_authorities


def test_what_is_no_file_is_not_even_opened(tmp_path):
    """To open a device does something: /dev/watchdog starts the machine anew."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    opened = threading.Event()

    def write():
        os.close(os.open(path, os.O_WRONLY))  # waits for a reader
        opened.set()

    threading.Thread(target=write, daemon=True).start()
    with pytest.raises(ValueError, match="not a file"):
        read_authorities(str(path))
    assert not opened.wait(0.2)
    os.close(os.open(path, os.O_RDONLY))
    assert opened.wait(5)


@pytest.mark.parametrize(("path", "read"), [
    ("allowed/ca.pem", True),
    ("allowed/../allowed/ca.pem", True),
    ("allowed/../elsewhere/ca.pem", False),
    ("elsewhere/ca.pem", False),
    ("allowed-too/ca.pem", False),
    ("allowed/link.pem", False),
])  # fmt: skip
def test_only_one_directory_is_looked_into(tmp_path, path, read):
    certificate = Path(certifi.where()).read_text()
    for directory in ("allowed", "allowed-too", "elsewhere"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "ca.pem").write_text(certificate)
    (tmp_path / "allowed/link.pem").symlink_to(tmp_path / "elsewhere/ca.pem")
    files = AuthorityFiles(str(tmp_path / "allowed"))
    assert (files.of(str(tmp_path / path)) is not None) == read
    assert not files.changed()
