"""``python -m producer videos/sample.mp4``: the same as ``framewatch produce``."""

import sys

from cli import main

main(["produce", *sys.argv[1:]])
