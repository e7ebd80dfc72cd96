"""Start the server of the installed package; a setting that was left empty counts as none."""

import os

from sediment_mcp.cli.main import main

for name in [name for name in os.environ if name.startswith("SEDIMENT_")]:
    if not os.environ[name].strip() or "${" in os.environ[name]:
        del os.environ[name]
raise SystemExit(main([]))
