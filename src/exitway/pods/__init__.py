"""What a pod is to Exitway: its workload, its placement, what would defeat the boundary, and what is put into it.

Its law: pure. Pods are JSON, in and out; injecting twice changes nothing.
"""
