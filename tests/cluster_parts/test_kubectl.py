"""What kubectl has begun ends with it."""

import asyncio
from contextlib import aclosing

import pytest

from exitway.cluster.kubectl import Failed, Kubectl
from exitway.processes import Process

PLUGIN = """\
#!/bin/sh
sleep 60 >/dev/null &
echo $!
"""
"""It has the stderr of its kubectl, as plugins for credentials do."""


@pytest.mark.parametrize("ends", [False, True])
def test_a_plugin_that_does_not_end_keeps_nobody_waiting(tmp_path, monkeypatch, ends):
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(PLUGIN + ("echo no >&2; exit 3" if ends else "wait"))
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    async def asked():
        async with asyncio.timeout(10):
            async with aclosing(Kubectl().lines("shop", "w", "agent", ["true"])) as lines:
                plugin = Process.of(int(await anext(lines)))
                assert plugin
                if ends:
                    with pytest.raises(Failed, match=r"^no$"):
                        await anext(lines)
            await plugin.ended()

    asyncio.run(asked())
