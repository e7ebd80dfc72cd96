"""The background work of several stores in one process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.host import SMALL, Host

from sediment_mcp.background import services
from sediment_mcp.errors import Stopped
from sediment_mcp.operations.stats import stats

pytestmark = pytest.mark.over_both

OpenHost = Callable[..., Host]


def test_indexes_are_not_written_while_another_store_writes_its_own(open_host: OpenHost) -> None:
    host = open_host(tuning=SMALL)
    for number in range(8):
        host.store(f"note number {number} about ducks")
    looks = []

    def end_at_the_third_look(done: int, total: int) -> None:
        looks.append((done, total))
        if len(looks) == 3:
            raise Stopped("on purpose")

    job = next(job for job in host.app.services.jobs if job.name == "write index snapshots")
    with services._WRITING, pytest.raises(Stopped, match="on purpose"):
        job.run(end_at_the_third_look)
    assert looks == [(0, 0)] * 3
    assert "text index" not in sizes(host)
    job.run(lambda done, total: None)
    assert sizes(host)["text index"] > 0
    assert not services._WRITING.locked()


def sizes(host: Host) -> dict[str, int]:
    return stats(host.app)["sizes"]
