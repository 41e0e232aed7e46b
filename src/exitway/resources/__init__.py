"""What people write. One file per kind, wire names, strict and frozen. Pure: text in, resources or problems out.

A kind's own name stays in this room: what a resource *means* leaves it as an :class:`~exitway.resources.intent.Intent`.
"""
