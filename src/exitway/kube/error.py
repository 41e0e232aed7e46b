"""Everything that goes wrong between us and the Kubernetes API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self


class KubeError(Exception):
    """The API server said no (``code`` 400 and above, ``status`` its Status object), or did not answer (``code`` 0)."""

    def __init__(self, code: int, reason: str, message: str, status: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.status: Mapping[str, Any] = status or {}

    @property
    def retry_after_seconds(self) -> float:
        """What the server asks us to wait; 0 if it asks nothing."""
        details = self.status.get("details") or {}
        return float(details.get("retryAfterSeconds") or 0)

    @classmethod
    def of(cls, status: Any, code: int = 500) -> Self:
        """From a Status object; ``code`` is for one that does not say."""
        known = status if isinstance(status, dict) else {}
        message = known.get("message") or f"the API server answered with HTTP status {code}"
        return cls(int(known.get("code") or code), str(known.get("reason") or ""), str(message), known)
