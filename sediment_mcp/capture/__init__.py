"""Keep what is said in a host's session for a while, if the user has asked for it."""
