"""Expectations of rules, for ``exitway test``: read from files (``form``, ``file``), tried (``suite``), and told (``report``). Pure."""
