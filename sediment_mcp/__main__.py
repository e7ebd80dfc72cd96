"""Run the command line as `python -m sediment_mcp`."""

from sediment_mcp.cli.main import main

raise SystemExit(main())
