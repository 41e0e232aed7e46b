"""A small internet in namespaces of its own, with real servers in it: for the demo, the tests and the bench."""
