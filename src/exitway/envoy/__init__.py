"""How Envoy says it. Pure: a policy in, Envoy's own JSON (and from it protobuf) out.

Builders are named by what they make. What depends on a rule's names (``route.py``, ``matcher.py``) stays apart from what depends on a
workload (``listener.py``), so that a change of rules moves only the former.
"""
