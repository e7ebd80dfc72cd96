"""Start the real server, with thresholds so small that a few dozen memories make it write its indexes."""

import os
import sys

from sediment_mcp import app
from sediment_mcp.background import worker
from sediment_mcp.cli import main

app.TEXT_TAIL, app.EXACT_UP_TO, app.VECTOR_TAIL = 12, 40, 12
worker.SETTLE = 0.02
worker.REST = 2.0  # so that what failed while the disk was full is tried again within this campaign
os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.exit(main.main(["serve"]))
