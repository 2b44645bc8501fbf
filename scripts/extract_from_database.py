"""Show the stored faces: the newest as a table, --raw as documents, --images DIR as decoded files.

    python scripts/extract_from_database.py [--raw | --images DIR] [--stream S] [--label L] [--since T] [--until T]

The same as ``framewatch events list``.
"""

import sys

from framewatch.cli import main

main(["events", "list", *sys.argv[1:]])
