"""Start the server of the installed package."""

from sediment_mcp.cli.main import main

raise SystemExit(main([]))
