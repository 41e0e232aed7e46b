"""What a program can try against the boundary: a table of the known ways round egress controls, each with an attempt that takes it.

Imports nothing of Exitway: an attempt knows no more than any program, and runs with the standard library, inside a sealed workload as outside
one. What a client sees proves little, so witnesses outside decide (``witness.py``, or the lab's), by one rule (``judge.py``): nothing that is
not allowed may have arrived. ``catalogue.py`` is the table, ``attempts/`` what is tried, ``inside.py`` the process that tries.
"""
