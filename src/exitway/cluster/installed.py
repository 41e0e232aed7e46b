"""What an installation in a cluster puts into pods, as somebody sees it who has no part in it (``exitway inject``)."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from exitway.cluster.injection import Injector
from exitway.cluster.settings import ClusterSettings
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.pods.installation import Installation
from exitway.resources.problem import Problem, Problems

FOUND_SECONDS = 15.0


async def installation(kube: Kube, namespace: str, release: str) -> Installation:
    """It is read from the Deployment of the control plane, its services and its webhooks. Raises Problems if it is not there."""
    hooks = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{release}"
    try:
        deployment = await kube.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{release}")
        configuration = await kube.request("GET", hooks)
    except KubeError as error:
        hint = "--installation-namespace and --release say where Exitway is; --installation takes a description of it"
        message = f"the installation {namespace}/{release} cannot be read: {error.message}"
        raise Problems([Problem("EXW1128", message, hint)]) from None
    bundle = base64.b64decode(configuration["webhooks"][0]["clientConfig"].get("caBundle") or "")
    injector = Injector(kube, _settings(deployment, namespace), lambda: bundle)
    following = asyncio.create_task(injector.run())
    try:
        async with asyncio.timeout(FOUND_SECONDS):
            while injector.unready or not (found := injector.installation()):  # noqa: ASYNC110 - of several things, once
                await asyncio.sleep(0.02)
            return found
    except TimeoutError:
        message = f"the installation {namespace}/{release} is not complete: {injector.unready}"
        raise Problems([Problem("EXW1128", message, "look at the pods of its control plane")]) from None
    finally:
        following.cancel()
        await asyncio.wait([following])


def _settings(deployment: Any, namespace: str) -> ClusterSettings:
    (container, *_) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container.get("env") or () if "value" in one}
    named = {"EXITWAY_POD_NAME": "none", "EXITWAY_POD_NAMESPACE": namespace}
    return ClusterSettings.from_environment({**environment, **named})
