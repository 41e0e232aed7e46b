"""The commands. Thin: they parse arguments, talk to the server over its socket, and print. stdout is data, stderr is talk."""
