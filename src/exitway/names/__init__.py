"""The words everything else is said in: hosts, ports, protocols, workloads, calls. Pure; imports nothing from Exitway."""
