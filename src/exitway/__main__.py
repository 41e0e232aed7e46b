"""``python -m exitway``."""

from exitway.cli.main import main

main()
