"""How Envoy is told: the delta xDS protocol. ``stream.py`` is one stream without I/O, ``server.py`` its gRPC shell."""
