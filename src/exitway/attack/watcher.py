"""What witnesses have in common: facts that threads note, and a thread that watches until it is stopped."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self


class Notes:
    """Facts, noted by any thread."""

    def __init__(self) -> None:
        self._facts: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def note(self, fact: dict[str, Any]) -> None:
        """One more."""
        with self._lock:
            self._facts.append(fact)

    def facts(self) -> list[dict[str, Any]]:
        """What has been noted since the last time it was asked."""
        with self._lock:
            facts, self._facts = self._facts, []
        return facts


class Watcher(Notes, ABC):
    """Watches from the beginning to the end of a ``with`` block."""

    def __init__(self) -> None:
        super().__init__()
        self._stop, self._stopping = os.pipe()
        """The first can be read from when it is to stop."""
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._stopping)
        self._thread.join()
        self._close()
        os.close(self._stop)

    @abstractmethod
    def _watch(self) -> None:
        """In the thread, until it is stopped."""

    @abstractmethod
    def _close(self) -> None:
        """Afterwards."""
