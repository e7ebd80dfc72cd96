"""Files are rewritten so that no reader misses a number, no name is used twice, and few files remain."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.sync import compaction
from sediment_mcp.sync.compaction import MEMORIES_PER_FILE, find_holding, is_worthwhile, plan
from sediment_mcp.sync.folder import LogPath, find_next, format_name, is_complete
from sediment_mcp.transfer.encryption import encrypt_to_identity, generate_identity

LOGS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, MEMORIES_PER_FILE), st.booleans()), max_size=30)


def build_log(parts: list[tuple[int, int, bool]]) -> tuple[list[LogPath], list[int], set[LogPath]]:
    files: list[LogPath] = []
    number = 0
    for length, _, _ in parts:
        name = format_name(number + 1, number + length)
        files.append(LogPath(Path(name), number + 1, number + length))
        number += length
    must_go = {file for file, (_, _, is_holding) in zip(files, parts, strict=True) if is_holding}
    return files, [count for _, count, _ in parts], must_go


@given(LOGS)
def test_after_a_compaction_every_number_is_held_once_and_no_name_is_used_again(
    parts: list[tuple[int, int, bool]],
) -> None:
    files, counts, must_go = build_log(parts)
    last = files[-1].last + 1 if files else 1
    rewrites = plan(files, counts, must_go, last)
    replaced = {file for rewrite in rewrites for file in rewrite.replaced}
    new = [LogPath(Path(format_name(each.first, each.last)), each.first, each.last) for each in rewrites]
    after = sorted([*(file for file in files if file not in replaced), *new], key=lambda file: file.first)
    assert must_go <= replaced
    assert {file.path for file in new}.isdisjoint(file.path for file in files)
    assert [file.first for file in after] == [1, *(file.last + 1 for file in after[:-1])]
    assert after[-1].last == last
    for rewrite in rewrites:
        assert all(rewrite.first <= file.first and file.last <= rewrite.last for file in rewrite.replaced)


@given(LOGS)
def test_a_compaction_leaves_few_files(parts: list[tuple[int, int, bool]]) -> None:
    files, counts, must_go = build_log(parts)
    last = files[-1].last + 1 if files else 1
    rewrites = plan(files, counts, must_go, last)
    replaced = sum(len(rewrite.replaced) for rewrite in rewrites)
    remaining = len(files) - replaced + len(rewrites)
    full = sum(counts) // (MEMORIES_PER_FILE // 2)
    assert remaining <= 2 * full + 2


def test_a_log_is_rewritten_only_where_that_leaves_clearly_fewer_files() -> None:
    small = [(1, 1, False)] * (compaction.MAX_FILES + 1)
    full = [(1, MEMORIES_PER_FILE, False)] * (compaction.MAX_FILES + 1)
    alternating = [(1, each, False) for _ in range(compaction.MAX_FILES) for each in (1, MEMORIES_PER_FILE)]
    decisions = [
        is_worthwhile(files, plan(files, counts, must_go, files[-1].last + 1))
        for files, counts, must_go in map(build_log, (small, full, alternating, small[2:]))
    ]
    assert decisions == [True, False, False, False]


@given(LOGS, st.integers(0, 150))
def test_a_reader_at_any_number_reaches_the_end_beside_files_that_are_being_replaced(
    parts: list[tuple[int, int, bool]], position: int
) -> None:
    files, counts, must_go = build_log(parts)
    last = files[-1].last + 1 if files else 1
    new = [
        LogPath(Path(format_name(each.first, each.last)), each.first, each.last)
        for each in plan(files, counts, must_go, last)
    ]
    both = [*files, *new]
    assert is_complete(both, last)
    position = min(position, last)
    while following := find_next(both, position):
        assert following[0].first <= position + 1
        position = following[0].last
    assert position == last


def test_a_gap_ends_what_can_be_read() -> None:
    files = [LogPath(Path(format_name(n, n)), n, n) for n in (1, 3)]
    assert [file.first for file in find_next(files, 0)] == [1]
    assert find_next(files, 1) == []
    assert not is_complete(files, 3)
    assert is_complete([], 0)


def test_the_files_that_hold_a_memory_are_found_and_unreadable_ones_count(tmp_path: Path) -> None:
    identity = generate_identity()
    contents = {1: b'{"id":"abc"}', 2: b'{"id": "xyz"}', 3: b'{"content":"\\"id\\":\\"abc\\""}'}
    files: list[LogPath] = []
    for number, content in contents.items():
        path = tmp_path / format_name(number, number)
        path.write_bytes(encrypt_to_identity(content, identity))
        files.append(LogPath(path, number, number))
    damaged = LogPath(tmp_path / format_name(4, 4), 4, 4)
    damaged.path.write_bytes(b"damaged")
    assert find_holding([*files, damaged], ["abc"], identity) == {files[0], damaged}
    assert find_holding([*files, damaged], [], identity) == set()
    assert compaction.MAX_FILES == 64
