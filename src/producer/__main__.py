"""``python -m framewatch.producer videos/sample.mp4``: the same as ``framewatch produce``."""

import sys

from framewatch.cli import main

main(["produce", *sys.argv[1:]])
