"""Who calls a server of several users: access tokens, and those of an identity provider."""
