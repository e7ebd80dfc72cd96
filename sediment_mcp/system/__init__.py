"""The operating system: files, locks, the data directory, text and time formats."""
