"""Start the real server, with thresholds so small that a few dozen memories make it write its indexes."""

import os
import sys

from sediment_mcp import cli, library, upkeep

library.TEXT_TAIL, library.EXACT_UP_TO, library.VECTOR_TAIL = 12, 40, 12
upkeep.SETTLE = 0.02
upkeep.REST = 2.0  # so that what failed while the disk was full is tried again within this campaign
os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.exit(cli.main(["serve"]))
