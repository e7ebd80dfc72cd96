"""The four tools, and what the command line and the web UI add to them."""
