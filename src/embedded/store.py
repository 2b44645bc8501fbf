"""The embedded store: nx-27017, which speaks MongoDB's wire protocol over SQLite, on the loopback address."""

from __future__ import annotations

import sys
from typing import Final
from urllib.parse import urlsplit

from framewatch.embedded.home import Home
from framewatch.embedded.process import Child
from framewatch.ports import LOOPBACK, accepts, choose_port

USUAL_PORT: Final = 27017


class EmbeddedStore:
    """Makes the store's process."""

    def __init__(self, home: Home, port: int | None = None) -> None:
        """Choose a port: the given one, else that of the last time or the usual one where it is free."""
        self._home = home
        last = home.recorded()
        self.port = port or choose_port(urlsplit(last.mongodb).port if last else None, USUAL_PORT)
        self.uri = f"mongodb://{LOOPBACK}:{self.port}"

    def prepare(self) -> Child:
        """The process to start. One file a database; its own records, since the defaults are one a machine."""
        pid_file = self._home.pids / "nx.pid"
        # Run by this very Python: the command of the same name may not be on the path. -P: not by files that lie in
        # the current folder.
        argv = [
            sys.executable,
            "-P",
            "-c",
            "from nx_27017 import main; main()",
            "--host",
            LOOPBACK,
            "--port",
            str(self.port),
        ]
        argv += ["--data-dir", str(self._home.store), "--journal-mode", "WAL"]
        argv += ["--pid-file", str(pid_file), "--log-file", str(self._home.logs / "nx.log")]
        return Child(
            name="store",
            argv=argv,
            logs=self._home.logs,
            pids=self._home.pids,
            ready=lambda: accepts(self.port),
            ready_s=30,
            leftovers=[pid_file],
        )
