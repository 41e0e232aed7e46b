"""Names inside a workload: every name gets a synthetic address, and no query leaves the machine."""
