"""``python -m framewatch.consumer``: the same as ``framewatch consume``."""

import sys

from framewatch.cli import main

main(["consume", *sys.argv[1:]])
