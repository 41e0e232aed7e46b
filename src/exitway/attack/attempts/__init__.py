"""The attempts. Each gets a :class:`~exitway.attack.target.Target`, tries what its row says in several ways, and returns a line for each."""
