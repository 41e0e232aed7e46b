"""A small internet in namespaces of its own, with real servers in it: for the demo, the tests and the bench.

The **host** side is where commands run: its network namespace has one cable to the **world**, a DNS server that only knows the lab's names,
and a fresh ``/run``. The world answers at *every* address: what does not arrive there was stopped on the way, not missing at its end. All of
it lives in private network, mount and PID namespaces and vanishes with its first process; the machine's own network is never touched.

``zone.py`` names the world, ``world.py`` is its process, ``launch.py`` builds it round a command, ``lab.py`` is how a test sees it, ``story.py``
is what ``exitway demo`` plays.
"""
