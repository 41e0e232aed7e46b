"""Credentials that a program gives (kubeconfig, ``users[].user.exec``), in the version that lightkube does not know: ``v1``.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
Only tokens; a program that gives client certificates is refused with a sentence.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
from lightkube.config.client_adapter import user_auth
from lightkube.config.models import User, UserExec

from exitway.kube.error import KubeError
from exitway.resources.problem import quoted


def authentication(user: User | None) -> httpx2.Auth | None:
    """How requests say who asks; nothing where a client certificate does."""
    return ProgramAuth(user.exec) if user and user.exec else user_auth(user) if user else None


class ProgramAuth(httpx2.Auth):
    """Runs the program for a token, and again when the token is refused."""

    def __init__(self, program: UserExec) -> None:
        self._program = program
        self._token = ""

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """The flow of httpx2."""
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
            if (yield request).status_code != 401:
                return
        self._token = await self._ask()
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    async def _ask(self) -> str:
        program = self._program
        info = {"apiVersion": program.apiVersion, "kind": "ExecCredential", "spec": {"interactive": False}}
        environment = {**os.environ, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        environment.update({variable.name: variable.value for variable in program.env or []})
        try:
            process = await asyncio.create_subprocess_exec(
                program.command,
                *(program.args or []),
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise self._failed((error.strerror or str(error)).lower()) from error
        output, complaint = await process.communicate()
        if process.returncode:
            raise self._failed(
                f"it ended with {process.returncode}: {complaint.decode(errors='replace').strip()[-300:]}"
            )
        return self._token_in(output)

    def _token_in(self, output: bytes) -> str:
        try:
            status: dict[str, Any] = json.loads(output)["status"]
        except (ValueError, KeyError, TypeError):
            raise self._failed("it printed no ExecCredential with a status") from None
        if not isinstance(status.get("token"), str):
            raise self._failed("it gave no token (client certificates are not supported)")
        return str(status["token"])

    def _failed(self, why: str) -> KubeError:
        message = f"the program {quoted(self._program.command)} gave no credentials: {why}"
        return KubeError(401, "Unauthorized", f"{message}. {self._program.installHint or ''}".strip())
