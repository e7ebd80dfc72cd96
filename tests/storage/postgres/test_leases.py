"""What one process of all machines does at a time: a lease, that ends with its holder's death too."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from support.backends import POSTGRES, use_backend
from support.storage import NOW, open_storage

from sediment_mcp.storage.postgres.leases import LEASE_LIFE

pytestmark = pytest.mark.postgres


def test_one_holds_a_lease_until_it_is_given_back_or_has_ended(tmp_path: Path) -> None:
    with (
        use_backend(POSTGRES),
        open_storage(tmp_path, tenant="a") as one,
        open_storage(tmp_path, tenant="a") as other,
        open_storage(tmp_path, tenant="b") as of_another_tenant,
    ):
        with one.lease("retention", NOW) as is_first:
            assert is_first
            with other.lease("retention", NOW) as is_second:
                assert not is_second
            with one.lease("retention", NOW) as is_again:
                assert not is_again
            with (
                other.lease("something else", NOW) as is_other,
                of_another_tenant.lease("retention", NOW) as b,
            ):
                assert is_other
                assert b
            later = NOW + LEASE_LIFE + timedelta(seconds=1)
            with other.lease("retention", later) as is_taken_from_the_dead:
                assert is_taken_from_the_dead
        with other.lease("retention", later + timedelta(seconds=1)) as is_free:
            assert is_free
        with one.lease("retention", later - timedelta(days=400)) as is_after_a_wrong_clock:
            assert is_after_a_wrong_clock
