"""The commands. Thin: they parse arguments, talk to the server over its socket, and print.

stdout is data, stderr is talk. A command is imported only when it is called (:mod:`exitway.cli.main`), and imports no
more than click, the standard library and, to read or write YAML, PyYAML: the start of a command is part of its work.
"""
