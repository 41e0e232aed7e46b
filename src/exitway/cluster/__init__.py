"""Where the parts are joined in a cluster: the replica of the control plane, the agent of a node, the resolver.

Its law: none of them holds state of its own; the Kubernetes API is the store. Equal input gives equal bytes on every replica.
"""
