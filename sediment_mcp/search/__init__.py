"""Search: from a query to ranked memories."""
