# ruff: noqa: E501 - tables of odd values
"""Mutated files of every format, read and prepared as an import does it; promised: no exception, no hang.

    python benchmarks/fuzz_files.py [--files 100000] [--seconds 300] [--seed 1]

Each file is a good one of a format with some of its bytes, lines, values or fields replaced by odd ones. It is
opened in this process, its format is detected, each item is read and prepared for the store; nothing is stored.
A source may be refused as a whole with a sentence, and each item may; everything else is a defect. Repeatable
by the seed. Exits with 1 if there is a defect.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from sediment_mcp.app import Application
from sediment_mcp.config import NO_MODEL, Config
from sediment_mcp.errors import SedimentError
from sediment_mcp.transfer.formats import FORMATS
from sediment_mcp.transfer.import_report import ImportReport
from sediment_mcp.transfer.importer import import_memories
from sediment_mcp.transfer.opening import open_items
from sediment_mcp.transfer.prepare import ImportOptions

SLOW = 2.0  # seconds for one small file
SHOWN = 10  # defects told in full

MEMORY = {
    "type": "memory", "id": "k3m9p2qrstvw", "content": "Releases go out.", "kind": "semantic", "tags": ["work"],
    "project": "/w/p", "session": "s", "importance": 0.5, "metadata": {"a": [1, None]},
    "occurred_at": "2026-11-19T08:30:00Z", "created_at": "2026-11-19T08:30:00Z", "expires_at": None,
    "superseded_by": None, "deleted_at": None, "restored_at": None, "changed_at": "2026-11-19T08:30:00Z",
    "passages": [[0, 16]], "vectors": {"f": "AAAA"},
}  # fmt: skip
RULE = {"type": "retention", "subject": "kind", "name": "semantic", "max_age": 3, "max_count": 5}
ENTITY = {
    "type": "entity",
    "name": "Ann",
    "entityType": "person",
    "observations": ["likes tea", {"text": "x"}],
}
RELATION = {"type": "relation", "from": "Ann", "to": "Ben", "relationType": "knows"}
SERVICE = {
    "export_metadata": {}, "memories": [{"content": "a", "content_hash": "b", "tags": "x,y", "created_at": 1.5,
    "memory_type": "event", "metadata": {"session_id": 1}}],
}  # fmt: skip
MEM0 = {
    "results": [
        {"memory": "a", "created_at": "2026-01-01", "categories": ["x"], "expiration_date": "2027-01-01"}
    ]
}
NOTE = "---\ntitle: Plan\naliases: [a, b]\ntags: [x, y]\ncreated: 2026-05-08\nkind: semantic\nimportance: 0.7\n---\nBody\n"
OWN_NOTE = (
    "---\nsediment-mcp: memory\nformat: 2\nid: abc\ncreated_at: 2026-01-01T00:00:00Z\ntags: [a]\n---\ntext\n"
)
SEEDS: tuple[tuple[str, str], ...] = (
    ("a.jsonl", "\n".join(map(json.dumps, ({"format": "sediment-mcp export", "version": 2}, RULE, MEMORY)))),
    ("b.jsonl", json.dumps(ENTITY) + "\n" + json.dumps(RELATION)),
    ("c.json", json.dumps({"entities": [ENTITY], "relations": [RELATION]})),
    ("d.json", json.dumps(SERVICE)),
    ("e.json", json.dumps(MEM0)),
    ("f.md", NOTE),
    ("g.md", OWN_NOTE),
    ("h.txt", "[2025-04-01] - User lives in Oslo.\n# Head\n- [unknown] - User has a dog.\n  more\n"),
    ("i.csv", 'id,content,date,tags\n1,"a, b",2025-01-01,x\n2,c,,\n'),
    ("j.yaml", "- a text\n- content: b\n  date: 2025-01-01\n  tags: [x]\n"),
    ("k.json", '["a", "b", {"text": "c", "tags": "x"}]'),
    ("l.txt", "Grüße aus Köln, 30 °C"),
)
VALUES = (
    "null", "true", "-1", "1e999", "NaN", "Infinity", "9" * 5000, "-" + "9" * 400, "1e-400", '""', '" "', "[]", "{}",
    '"9999-12-31"', '"9999-12-31T23:59:59-14:00"', '"0001-01-01T00:00:00+14:00"', '"2026-13-45"', "99999999999999",
    "-62135596801", '"\\ud83d"', '"\\u0000"', "[[[[[[]]]]]]", '{"a":{"a":{"a":1}}}', '"' + "x" * 3000 + '"', "20260508",
    "!!bool foo", "!!timestamp foo", "!!int foo", "!!float x", "!!binary 1", "!!set {a}", "!!omap [a]", "!!python/x y",
    "? [a]: b", "&a [*a]", "<<: 1", "{a: b: c}", "2026-05-08 25:61:61", "0o9", "0x", "1:2:3", "=", "~", ".inf", "@x",
    "'", '"', "[", "]", "{", "}", ",", ":", "-", "---", "```", "\ufeff", "\u2028", "\0", "//", "/*", "\\", "\r", "\x85",
)  # fmt: skip


def mutate(random: Random, text: str) -> bytes:
    """Return the text with a few odd changes, as bytes."""
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        text = random.choice(_CHANGES)(random, text)
    data = text.encode(random.choice(_ENCODINGS), "replace")
    for _ in range(random.choice((0, 0, 0, 1, 5))):
        at = random.randrange(len(data) + 1)
        data = data[:at] + random.randbytes(random.randrange(4)) + data[at + random.randrange(4) :]
    return data


def _replace_value(random: Random, text: str) -> str:
    """Replace what stands between two separators, which is often a whole value."""
    places = [at for at, sign in enumerate(text) if sign in ',:{}[]\n"'] or [0]
    start = random.choice(places) + 1
    end = next((at for at in places if at >= start), len(text))
    return text[:start] + random.choice(VALUES) + text[end:]


def _insert(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(VALUES) + text[at:]


def _cut(random: Random, text: str) -> str:
    start = random.randrange(len(text) + 1)
    return text[:start] + text[start + random.randrange(1, 40) :]


def _repeat(random: Random, text: str) -> str:
    start = random.randrange(len(text) + 1)
    part = text[start : start + random.randrange(1, 60)]
    return text[:start] + part * random.choice((2, 2, 50)) + text[start:]


def _nest(random: Random, text: str) -> str:
    sign = random.choice(("[", "{", '{"a":', "- ", "> ", "#"))
    at = random.randrange(len(text) + 1)
    return text[:at] + sign * random.choice((3, 2000)) + text[at:]


def _swap_lines(random: Random, text: str) -> str:
    lines = text.split("\n")
    random.shuffle(lines)
    return random.choice(("\n", "", "\r\n")).join(lines)


_CHANGES: tuple[Callable[[Random, str], str], ...] = (
    _replace_value, _replace_value, _replace_value, _insert, _cut, _repeat, _nest, _swap_lines,
)  # fmt: skip
_ENCODINGS = ("utf-8",) * 8 + ("utf-8-sig", "utf-16", "utf-16-le", "cp1252", "gbk")


@dataclass(slots=True)
class Outcome:
    """What has become of the files."""

    files: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])
    defects: list[str] = field(default_factory=list[str])


def run(files: int, seconds: float, seed: int) -> Outcome:
    """Read mutated files until there were so many, or the time is over."""
    random, outcome, end = Random(seed), Outcome(), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        app = Application(Config(Path(folder) / "data", model=NO_MODEL), is_resident=False)
        try:
            while outcome.files < files and time.monotonic() < end:
                name, text = random.choice(SEEDS)
                _read(app, Path(folder) / name, mutate(random, text), random, outcome)
        finally:
            app.close()
    return outcome


def _read(app: Application, path: Path, data: bytes, random: Random, outcome: Outcome) -> None:
    path.write_bytes(data)
    chosen = random.choice((None, None, None, *FORMATS))
    options = ImportOptions(dry_run=True, trusted=random.random() < 0.5, rules=True)
    outcome.files += 1
    report, began = ImportReport(), time.monotonic()
    try:
        source = path if random.random() < 0.9 else io.BytesIO(data)
        import_memories(app, open_items(source, chosen, lambda: "", encoding=None).items, options, report)
        outcome.counts["read"] += 1
        outcome.counts["memories"] += report.imported + report.known
        outcome.counts["skipped items"] += len(report.skipped)
        broken = [reason for _, reason in report.skipped if reason.startswith("cannot be imported (")]
        outcome.counts["items with an unforeseen error"] += len(broken)
        outcome.counts.update(broken)
    except SedimentError:
        outcome.counts["refused"] += 1
    except Exception:  # noqa: BLE001 - what this program looks for
        outcome.defects.append(f"{path.name} {chosen} {data[:2000]!r}\n{traceback.format_exc()}")
    if time.monotonic() - began > SLOW:
        outcome.defects.append(f"{path.name} {chosen} took {time.monotonic() - began:.1f} s: {data[:2000]!r}")


def main() -> int:
    """Fuzz, and print what has become of the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    outcome = run(arguments.files, arguments.seconds, arguments.seed)
    counts = ", ".join(f"{count:,} {name}" for name, count in outcome.counts.most_common())
    print(f"{outcome.files:,} files: {counts}; {len(outcome.defects)} defects")
    for defect in outcome.defects[:SHOWN]:
        print(defect)
    return 1 if outcome.defects else 0


if __name__ == "__main__":
    sys.exit(main())
