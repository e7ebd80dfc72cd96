"""Start the server of the installed package."""

from sediment_mcp.cli import main

raise SystemExit(main([]))
