"""The expressions of the shared statements as SQLite has them."""

from __future__ import annotations

from sediment_mcp.storage.sql.database import Dialect

DIFFERENT_TAGS = (
    "WITH RECURSIVE different (tag) AS (SELECT MIN(tag) FROM tags UNION ALL "
    "SELECT (SELECT MIN(tags.tag) FROM tags WHERE tags.tag > different.tag) FROM different "
    "WHERE different.tag IS NOT NULL) SELECT tag FROM different"
)
"""Every tag once, by one look into the index for each."""
HAS_TAG = "fold_tag(CAST(tag AS BLOB)) = CAST(? AS BLOB)"
"""A function of each connection, `domain.tags.fold_tag`; SQLCipher hands it a text only up to a NUL."""
DIALECT = Dialect(
    is_same="IS",
    ordered_join="CROSS JOIN",  # fixes the order of the joins
    greatest="MAX",
    least="MIN",
    joined_keys="group_concat(number)",
    text_value="CAST(? AS TEXT)",
    tenant_key="",
    own_rows="TRUE",  # a file has one tenant
    tagged=f"SELECT memory FROM tags WHERE tag IN ({DIFFERENT_TAGS} WHERE {HAS_TAG})",
    has_tag=HAS_TAG,
    keeps_folded_tags=False,
)
