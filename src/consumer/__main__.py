"""``python -m consumer``: the same as ``framewatch consume``."""

import sys

from cli import main

main(["consume", *sys.argv[1:]])
