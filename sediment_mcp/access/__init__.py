"""Who calls a server that has several users: access tokens, and an identity provider's signed tokens."""
