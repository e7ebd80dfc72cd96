"""Capture: what was said in a host's session is kept for a while, if the user has asked for it."""
