"""The one place where the parts are joined: the store's rules and the running workloads become what Envoy is told."""
