"""Desired state at rest. Only this room knows that it is SQLite."""
