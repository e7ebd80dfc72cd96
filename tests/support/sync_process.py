"""`sediment-mcp sync` in a process of its own that kills itself at the n-th write; not a test itself.

python -m support.sync_process DIRECTORY WRITE      0: it is not killed
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import nullcontext

from sediment_mcp.cli.main import main
from support.kill_switch import KillSwitch


class RealKill(KillSwitch):
    """Ends the process at that write, without a word to anybody."""

    def count(self) -> None:
        self.writes += 1
        if self.writes == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    directory, write = sys.argv[1], int(sys.argv[2])
    with RealKill(write).armed() if write else nullcontext():
        raise SystemExit(main(["--data-dir", directory, "sync"]))
