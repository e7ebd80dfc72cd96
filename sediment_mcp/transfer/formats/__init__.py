"""File formats that can be imported, and those that are exported."""
