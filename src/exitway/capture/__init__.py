"""Leading a workload's packets to the proxy, and dropping the rest.

``ruleset.py`` is a spec (text, deterministic); ``sandbox.py`` and ``kernel.py`` make it so. Only this room asks the kernel for namespaces.
"""
