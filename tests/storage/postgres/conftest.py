"""The tests in this folder run over PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from support.backends import POSTGRES, Backend, use_backend
from support.storage import open_storage

from sediment_mcp.storage.protocols import MemoryStorage


class OpenTenant(Protocol):
    """A maker of stores, of a new tenant unless one is named, whose connections come from one pool."""

    def __call__(self, name: str = "") -> MemoryStorage:
        """Return an open store, which is closed after the test."""
        ...


@pytest.fixture(autouse=True)
def backend() -> Iterator[Backend]:
    """Yield PostgreSQL."""
    with use_backend(POSTGRES) as used:
        yield used


@pytest.fixture
def open_tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenTenant]:
    """Yield a maker of stores, of tenants of this test's own."""
    directory = tmp_path_factory.mktemp("named")
    with ExitStack() as stack:

        def make(name: str = "") -> MemoryStorage:
            place = directory if name else Path(tmp_path_factory.mktemp("tenant"))
            storage = stack.enter_context(open_storage(place, tenant=name))
            storage.open()
            return storage

        yield make
