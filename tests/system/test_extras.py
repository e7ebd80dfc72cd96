"""Which optional parts of the package are installed."""

from __future__ import annotations

import pytest

from sediment_mcp.errors import BadArgument
from sediment_mcp.system.extras import check_module


def test_a_module_that_is_missing_is_told_with_the_extra_that_brings_it() -> None:
    with pytest.raises(BadArgument, match=r'SEDIMENT_DATABASE needs no-such-module.*"sediment-mcp\[some\]"'):
        check_module("no_such_module", "sediment-mcp[some]", "SEDIMENT_DATABASE")


def test_a_module_that_is_there_is_no_matter() -> None:
    check_module("json", "sediment-mcp[some]", "SEDIMENT_DATABASE")
