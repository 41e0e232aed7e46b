"""The Kubernetes API as a client sees it: requests, and lists that are kept up to date.

Its law: it knows nothing of Exitway's kinds. What it has once heard stays in force while the API server is away.
"""
