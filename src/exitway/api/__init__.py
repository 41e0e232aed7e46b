"""The door: a Kubernetes-shaped API over the store, on a Unix socket (and on TCP with a token, when asked for)."""
