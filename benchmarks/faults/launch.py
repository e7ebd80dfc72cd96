"""Start the real server, with thresholds so small that a few dozen memories make it write its indexes.

The package may be an earlier version's, which knows no `Tuning`: it is started as it is.
"""

import os
import runpy
import sys
from dataclasses import replace

for name, value in {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "ORT_DISABLE_TELEMETRY": "1",
}.items():  # read when libraries are imported; all but the first as the command line sets them
    os.environ.setdefault(name, value)


def main() -> int:
    try:
        from sediment_mcp.config import load_config
        from sediment_mcp.tuning import Tuning
    except ImportError:
        return _start_as_it_is()
    from sediment_mcp.server.stdio import protect_stdout

    protect_stdout()
    from sediment_mcp.server.run import serve

    tuning = Tuning(
        text_memtable_limit=12,
        exact_search_limit=40,
        vector_memtable_limit=12,
        settle_seconds=0.02,
        rest_seconds=2.0,  # so that what failed while the disk was full is tried again in this campaign
    )
    return serve(replace(load_config(os.environ), tuning=tuning))


def _start_as_it_is() -> int:
    sys.argv = sys.argv[:1]
    runpy.run_module("sediment_mcp", run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
