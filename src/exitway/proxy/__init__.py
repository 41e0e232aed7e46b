"""The Envoy process: which binary, how it is started, watched, adopted and ended."""
