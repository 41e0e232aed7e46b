"""Files that rules name are somebody else's choice."""

import os
import threading

import pytest

from exitway.proxy.authorities import read_authorities


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
