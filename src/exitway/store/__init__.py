"""Desired state at rest. Only this room knows that it is SQLite.

Its law: what :meth:`~exitway.store.store.Store.commit` has returned is on the disk, whole; what it has not returned is there whole or not at all.
Its values (:mod:`~exitway.store.change`) say nothing of how they are kept.
"""
