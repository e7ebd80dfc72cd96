"""Whatever hosts do in whatever order, flushes, crashes and all, the answers are those of a plain model."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import SMALL, Clock, Host
from embedding_double import DIMENSION
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from sediment_mcp import library as library_module
from sediment_mcp import search, text_search, upkeep
from sediment_mcp.chunking import split
from sediment_mcp.operations import restore_memories
from sediment_mcp.text_index import TextIndex
from sediment_mcp.vector_index import VectorIndex

TEXTS = [f"{name} came to the harbour" for name in ("amber", "birch", "cobalt", "dahlia", "ember", "fjord")]
LONG = "granite came to the harbour\n\n" + "\n\n".join(
    f"Line {n}. " + "waves and wind " * 60 for n in range(4)
)
ALL_TEXTS = [*TEXTS, LONG]
KINDS = ["semantic", "procedural", "working"]
PROJECTS = [None, "atlas"]
TAGS = ["red", "round"]


@dataclass
class Known:
    """A memory as a plain model has it."""

    id: str
    text: str
    kind: str
    project: str | None
    tags: list[str]
    expires_at: datetime | None
    superseded_by: str | None = None
    deleted: bool = False
    embedded: bool = True

    def may_be_found(self, now: datetime, wanted: dict[str, Any], project: str | None) -> bool:
        scope = wanted.get("scope", "all")
        return (
            not self.deleted
            and (self.expires_at is None or self.expires_at > now)
            and (self.superseded_by is None or wanted.get("include_superseded", False))
            and (scope == "all" or self.project == (project if scope == "project" else None))
            and wanted.get("kind", self.kind) == self.kind
            and set(wanted.get("tags", [])) <= set(self.tags)
        )


@dataclass
class Model:
    """What the directory should hold."""

    memories: dict[str, Known] = field(default_factory=dict)
    erased: list[str] = field(default_factory=list)

    def found(self, now: datetime, wanted: dict[str, Any], project: str | None) -> dict[str, Known]:
        return {m.id: m for m in self.memories.values() if m.may_be_found(now, wanted, project)}

    def duplicate_of(self, now: datetime, text: str, kind: str, owner: str | None) -> Known | None:
        same = [
            m
            for m in self.found(now, {}, None).values()
            if (m.text, m.kind, m.project) == (text, kind, owner)
        ]
        return same[0] if same else None


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "scope": st.sampled_from(["all", "project", "global"]),
        "kind": st.sampled_from(KINDS),
        "tags": st.lists(st.sampled_from(TAGS), unique=True, max_size=2),
        "include_superseded": st.booleans(),
    },
)
HOSTS = st.integers(0, 2)


class Storage(RuleBasedStateMachine):
    """Host 0 and host 1 have a model, host 2 has none; all work on one directory."""

    ids = Bundle("ids")

    @initialize()
    def open(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(upkeep, "SETTLE", 1e6)
        self.patch.setattr(search, "FAR_BEHIND", 12)
        self.patch.setattr(text_search, "COMMON_FROM", 8)
        for name, value in SMALL.items():
            self.patch.setattr(library_module, name, value)
        self.directory = Path(tempfile.mkdtemp(prefix="sediment-"))
        self.clock, self.expected = Clock(), Model()
        self.hosts = [Host(self.directory / "data", self.clock, project="atlas") for _ in range(3)]
        self.hosts[2].model = None

    def teardown(self) -> None:
        if hasattr(self, "hosts"):
            for host in self.hosts:
                host.end()
            shutil.rmtree(self.directory)
            self.patch.undo()

    # --- writing ----------------------------------------------------------------------------------

    @rule(
        target=ids,
        host=HOSTS,
        text=st.sampled_from(ALL_TEXTS),
        kind=st.sampled_from(KINDS),
        owner=st.sampled_from(PROJECTS),
        tags=st.lists(st.sampled_from(TAGS), unique=True, max_size=2),
        replaced=st.lists(ids, max_size=2),
    )
    def store(
        self, host: int, text: str, kind: str, owner: str | None, tags: list[str], replaced: list[str]
    ) -> Any:
        now = self.clock()
        replaced = [i for i in dict.fromkeys(replaced) if not self._is_gone(i)]
        existing = self.expected.duplicate_of(now, text, kind, owner)
        result = self.hosts[host].store(
            text, kind=kind, tags=tags, scope="project" if owner else "global", replaces=replaced
        )
        assert result["status"] == ("duplicate" if existing else "stored")
        expires_at = now + timedelta(hours=24) if kind == "working" else None
        if existing:
            assert result["id"] == existing.id
            existing.tags += [tag for tag in tags if tag not in existing.tags]
            existing.expires_at = expires_at
        else:
            self.expected.memories[result["id"]] = Known(
                result["id"], text, kind, owner, list(tags), expires_at, embedded=host != 2
            )
        history = [
            i for i in replaced if i != result["id"] and self.expected.memories[i].superseded_by is None
        ]
        for identity in history:
            self.expected.memories[identity].superseded_by = result["id"]
        assert sorted(result["superseded"]) == sorted(history)
        return result["id"] if not existing else multiple()

    def _is_gone(self, identity: str) -> bool:
        return identity not in self.expected.memories or self.expected.memories[identity].deleted

    @rule(host=HOSTS, identity=ids)
    def delete(self, host: int, identity: str) -> None:
        result = self.hosts[host].delete(identity)
        assert result["deleted"] == ([] if self._is_gone(identity) else [identity])
        if identity in self.expected.memories:
            self.expected.memories[identity].deleted = True

    @rule(host=HOSTS, identity=ids)
    def restore(self, host: int, identity: str) -> None:
        known = self.expected.memories.get(identity)
        restored, _ = restore_memories(self.hosts[host].library, [identity])
        assert restored == ([identity] if known and known.deleted else [])
        if known:
            known.deleted = False

    @rule(host=HOSTS, identity=consumes(ids))
    def erase(self, host: int, identity: str) -> None:
        result = self.hosts[host].delete(identity, permanent=True)
        assert result["deleted"] == [identity]
        del self.expected.memories[identity]
        self.expected.erased.append(identity)

    @rule(hours=st.sampled_from([1, 12, 24]))
    def time_passes(self, hours: int) -> None:
        self.clock.advance(hours=hours)

    # --- what happens behind the scenes -----------------------------------------------------------

    @rule(host=HOSTS)
    def tend(self, host: int) -> None:
        self.hosts[host].tend()
        if host != 2:
            for known in self.expected.memories.values():
                known.embedded |= not known.deleted

    @rule(host=HOSTS)
    def write_text(self, host: int) -> None:
        self.hosts[host].library._open()
        self.hosts[host].library.catch_up.write_text()
        self._text_index_is_exact()

    @rule(host=HOSTS)
    def write_text_anew(self, host: int) -> None:
        self.hosts[host].rebuild_text()
        self._text_index_is_exact()

    def _text_index_is_exact(self) -> None:
        kept = [m for m in self.expected.memories.values() if not m.deleted]
        assert TextIndex(self.directory / "data").count == sum(len(split(m.text)) for m in kept)

    @rule(host=st.integers(0, 1), anew=st.booleans())
    def write_vectors(self, host: int, anew: bool) -> None:
        embedder = self.hosts[host].library.embedder()
        assert embedder is not None
        self.hosts[host].library._open()
        self.hosts[host].library.catch_up.write_vectors(embedder.identity, anew=anew)
        fingerprint = embedder.identity.fingerprint
        kept = [m for m in self.expected.memories.values() if m.embedded and not m.deleted]
        if kept:
            count = VectorIndex(self.directory / "data", fingerprint, DIMENSION).count
            assert count == sum(len(split(m.text)) for m in kept)

    @rule(host=HOSTS)
    def crash(self, host: int) -> None:
        self.hosts[host].crash()

    @rule(host=HOSTS)
    def end_and_start(self, host: int) -> None:
        self.hosts[host].end()
        self.hosts[host].reopen()

    # --- asking -----------------------------------------------------------------------------------

    @rule(host=HOSTS, text=st.sampled_from(ALL_TEXTS), wanted=FILTERS)
    def words_find(self, host: int, text: str, wanted: dict[str, Any]) -> None:
        expected = self.expected.found(self.clock(), wanted, "atlas")
        found = self.hosts[host].found_by_words(text.split(maxsplit=1)[0], **wanted)
        assert found == {m.id for m in expected.values() if m.text == text}

    @rule(host=st.integers(0, 1), text=st.sampled_from(TEXTS), wanted=FILTERS)
    def meaning_finds(self, host: int, text: str, wanted: dict[str, Any]) -> None:
        expected = self.expected.found(self.clock(), wanted, "atlas")
        found = self.hosts[host].found_by_meaning(text, **wanted)
        assert found == {m.id for m in expected.values() if m.text == text and m.embedded}

    @rule(host=HOSTS, wanted=FILTERS, limit=st.integers(1, 4), order=st.sampled_from(["newest", "oldest"]))
    def lists(self, host: int, wanted: dict[str, Any], limit: int, order: str) -> None:
        expected = self.expected.found(self.clock(), wanted, "atlas")
        shown: list[Any] = []
        cursor = None
        while True:
            page = self.hosts[host].list(limit=limit, order=order, cursor=cursor, **wanted)
            assert page["total"] == len(expected)
            shown += page["memories"]
            cursor = page.get("next_cursor")
            if cursor is None:
                break
        assert len(shown) == len(expected)
        assert {m["id"] for m in shown} == set(expected)
        for memory in shown:
            known = expected[memory["id"]]
            assert memory["content"] == known.text[:300]
            assert (memory["kind"], memory["project"]) == (known.kind, known.project)
            assert memory["superseded_by"] == known.superseded_by
            assert set(memory["tags"]) == set(known.tags)
            assert (memory["expires_at"] is None) == (known.expires_at is None)

    @rule(host=HOSTS, identity=ids)
    def reads_by_id(self, host: int, identity: str) -> None:
        known = self.expected.found(self.clock(), {"include_superseded": True}, None).get(identity)
        shown = self.hosts[host].list(ids=[identity])["memories"]
        assert [m["content"] for m in shown] == ([known.text] if known else [])

    @invariant()
    def every_host_sees_the_same(self) -> None:
        if not hasattr(self, "hosts"):
            return
        for host in self.hosts:
            expected = self.expected.found(self.clock(), {}, "atlas")
            results = host.query("harbour", limit=100, max_chars=100_000)["results"]
            assert {r["id"] for r in results} == set(expected)


TestStorage = Storage.TestCase
TestStorage.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
