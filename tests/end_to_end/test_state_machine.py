"""Whatever hosts do in whatever order, flushes, crashes and all, the answers are those of a plain model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from support import postgres
from support.backends import ENCRYPTED, POSTGRES, SQLITE, Backend, use_backend
from support.embedding_double import EmbeddingDouble
from support.host import SMALL, Clock, Host
from support.statements import statements_without_a_tenant
from support.storage import open_storage

from sediment_mcp.domain.chunking import split_into_chunks
from sediment_mcp.domain.retention import Rule
from sediment_mcp.embeddings.protocols import QueryEmbedding
from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.operations.history import history, revert
from sediment_mcp.operations.retention_rules import clear_rules, preview_retention, run_retention, set_rule
from sediment_mcp.operations.trash import list_deleted, restore_memories

NAMES = ["amberjacks", "birchwoods", "cobaltblue", "dahliablue", "emberglows", "fjordwater"]
TEXTS = [f"{name} came to the harbour" for name in NAMES]
NEARLY = [f"{text}." for text in TEXTS[:3]]  # the same in nearly the same words: they merge
LONG = "granite came to the harbour\n\n" + "\n\n".join(
    f"Line {n}. " + "waves and wind " * 60 for n in range(4)
)
ALL_TEXTS = [*TEXTS, *NEARLY, LONG]
KINDS = ["semantic", "procedural", "working"]
PROJECTS = [None, "atlas"]
TAGS = ["red", "round"]
TUNING = replace(SMALL, far_behind=12, common_terms_from=8)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = [
    Rule("kind", "semantic", max_count=3),
    Rule("kind", "working", max_age=DAY),
    Rule("tag", "red", max_age=10 * DAY, max_count=2),
    Rule("tag", "round", max_age=2 * DAY),
]


class Alike(EmbeddingDouble):
    """For which a full stop changes nothing."""

    def embed_query(self, text: str) -> QueryEmbedding:
        return super().embed_query(text.strip("."))


def base(text: str) -> str:
    return text.rstrip(".")


@dataclass
class Known:
    """A memory as a plain model has it."""

    id: str
    text: str
    kind: str
    project: str | None
    tags: list[str]
    since: datetime
    importance: float
    expires_at: datetime | None
    superseded_by: str | None = None
    deleted_at: datetime | None = None
    embedded: bool = True

    @property
    def deleted(self) -> bool:
        return self.deleted_at is not None

    def differs_from(self, tags: list[str], importance: float) -> bool:
        return (self.tags, self.importance) != (tags, importance)

    def says_the_same(self, other: Known) -> bool:
        return self.text == other.text and not self.differs_from(other.tags, other.importance)

    def state(self, now: datetime) -> str:
        if self.deleted:
            return "deleted"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "superseded" if self.superseded_by else "current"

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
    rules: dict[str, Rule] = field(default_factory=dict)
    looked: datetime | None = None
    looked_before: datetime | None = None

    def found(self, now: datetime, wanted: dict[str, Any], project: str | None) -> dict[str, Known]:
        return {m.id: m for m in self.memories.values() if m.may_be_found(now, wanted, project)}

    def duplicate_of(self, now: datetime, text: str, kind: str, owner: str | None) -> Known | None:
        same = [
            m
            for m in self.found(now, {}, None).values()
            if (m.text, m.kind, m.project) == (text, kind, owner)
        ]
        return same[0] if same else None

    def nearly(self, now: datetime, text: str, kind: str, owner: str | None) -> list[Known]:
        """What a memory with this text takes the place of."""
        return [
            m
            for m in self.found(now, {}, None).values()
            if (base(m.text), m.kind, m.project) == (base(text), kind, owner) and m.embedded and text != LONG
        ]

    def erase(self, identity: str) -> None:
        gone = self.memories.pop(identity)
        for memory in self.memories.values():
            if memory.superseded_by == identity and gone.superseded_by:
                memory.superseded_by = gone.superseded_by

    def chain(self, identity: str) -> list[Known]:
        """All that is connected, in the order of creation."""
        ids, size = {identity}, 0
        while len(ids) > size:
            size = len(ids)
            for m in self.memories.values():
                if m.superseded_by and {m.id, m.superseded_by} & ids:
                    ids |= {m.id, m.superseded_by}
        return [m for m in self.memories.values() if m.id in ids]

    def head(self, identity: str) -> str:
        """The id at the end of the chain, be it that of an erased memory."""
        while identity in self.memories and self.memories[identity].superseded_by:
            identity = self.memories[identity].superseded_by or ""
        return identity

    def ended(self, now: datetime) -> dict[str, str]:
        """What retention removes: id → how."""
        gone: dict[str, str] = {}
        for m in self.memories.values():
            if m.deleted_at is not None:
                if now - m.deleted_at >= 30 * DAY:
                    gone[m.id] = "erase"
            elif m.expires_at is not None and now - m.expires_at >= 7 * DAY and m.importance < 1:
                gone[m.id] = "erase"
        for limit in self.rules.values():
            own = [
                m
                for m in self.memories.values()
                if m.state(now) in ("current", "superseded") and m.importance < 1
                and limit.name in (m.tags if limit.subject == "tag" else [m.kind])
            ]  # fmt: skip
            for m in own:
                if limit.max_age and now - m.since >= limit.max_age:
                    gone[m.id] = "trash"
            if limit.max_count is not None:
                place = {m.id: n for n, m in enumerate(own)}
                own.sort(key=lambda m: (m.superseded_by is not None, now - m.since, -place[m.id]))
                gone |= dict.fromkeys((m.id for m in own[limit.max_count :]), "trash")
        return gone

    def remove(self, gone: dict[str, str], now: datetime) -> None:
        for identity, how in gone.items():
            if how == "erase":
                self.erase(identity)
            else:
                self.memories[identity].deleted_at = now

    def retain_unasked(self, now: datetime) -> None:
        """Only what two looks a day apart agree on."""
        if not (found := self.ended(now)):
            return
        if self.looked is None or now - self.looked >= DAY:
            self.looked_before, self.looked = self.looked, now
        if self.looked_before:
            before = self.ended(self.looked_before)
            self.remove({one: how for one, how in found.items() if before.get(one) == how}, now)


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
STORED: dict[str, Any] = {
    "host": HOSTS,
    "text": st.sampled_from([*TEXTS[:2], *NEARLY[:2], *ALL_TEXTS]),
    "kind": st.sampled_from(["semantic", *KINDS]),
    "owner": st.sampled_from([None, *PROJECTS]),
    "tags": st.lists(st.sampled_from(TAGS), unique=True, max_size=2),
    "picks": st.just([]) | st.lists(st.integers(0, 99), max_size=2),
    "importance": st.sampled_from([0.5, 0.5, 1.0]),
}


class Storage(RuleBasedStateMachine):
    """Host 0 and host 1 have a model, host 2 has none; all work on one directory."""

    ids = Bundle("ids")

    @initialize(
        target=ids,
        given=st.lists(st.fixed_dictionaries(STORED), min_size=3, max_size=8),
        rules=st.lists(st.sampled_from(RULES), max_size=2),
    )
    def open(self, given: list[dict[str, Any]], rules: list[Rule]) -> Any:
        """Hypothesis leaves rules out of a run: without these, most runs would have nothing to work on."""
        self.directory = Path(tempfile.mkdtemp(prefix="sediment-"))
        return multiple(*self._begin(given, rules))

    def _begin(self, given: list[dict[str, Any]], rules: list[Rule], tenant: str = "") -> list[str]:
        """Let the three hosts of a tenant work from now on; the ids of what they have stored."""
        self.clock, self.expected = Clock(), Model()
        self.hosts = [
            Host(self.directory / "data", self.clock, model, project="atlas", tuning=TUNING, tenant=tenant)
            for model in (Alike(), Alike(), None)
        ]
        self.looked: dict[int, datetime] = {}
        for each in rules:
            self.set_rule(0, each)
        return self._ids_of(given)

    def teardown(self) -> None:
        for host in getattr(self, "hosts", []):
            host.end()
        if hasattr(self, "directory"):
            shutil.rmtree(self.directory)

    # --- writing ----------------------------------------------------------------------------------

    def _store(
        self,
        host: int,
        text: str,
        kind: str,
        owner: str | None,
        tags: list[str],
        picks: list[int],
        importance: float,
    ) -> Any:
        now = self.clock()
        left = [m.id for m in self.expected.memories.values() if not m.deleted]
        replaced = list(dict.fromkeys(left[pick % len(left)] for pick in picks if left))
        existing = self.expected.duplicate_of(now, text, kind, owner)
        if existing and existing.id in replaced and existing.differs_from(tags, importance):
            existing = None  # a correction of the text's attributes is a new version
        merges = not existing and not replaced and host != 2
        older = self.expected.nearly(now, text, kind, owner) if merges else []
        result = self.hosts[host].store(
            text,
            kind=kind,
            tags=tags,
            scope="project" if owner else "global",
            replaces=replaced,
            importance=importance,
        )
        assert result["status"] == ("duplicate" if existing else "merged" if older else "stored")
        expires_at = now + timedelta(hours=24) if kind == "working" else None
        if existing:
            assert result["id"] == existing.id
            existing.tags += [tag for tag in tags if tag not in existing.tags]
            existing.expires_at = expires_at
            existing.importance = max(importance, existing.importance)
        else:
            all_tags = list(dict.fromkeys([*tags, *(tag for m in older for tag in m.tags)]))
            weight = max([importance, *(m.importance for m in older)])
            self.expected.memories[result["id"]] = Known(
                result["id"], text, kind, owner, all_tags, now, weight, expires_at, embedded=host != 2
            )
        history = [
            i for i in replaced if i != result["id"] and self.expected.memories[i].superseded_by is None
        ] + [m.id for m in older]
        for identity in history:
            self.expected.memories[identity].superseded_by = result["id"]
        assert sorted(result["superseded"]) == sorted(history)
        return result["id"] if not existing else multiple()

    @rule(target=ids, **STORED)
    def store(self, **given: Any) -> Any:
        return self._store(**given)

    @rule(target=ids, given=st.lists(st.fixed_dictionaries(STORED), min_size=1, max_size=3))
    def store_some(self, given: list[dict[str, Any]]) -> Any:
        return multiple(*self._ids_of(given))

    def _ids_of(self, given: list[dict[str, Any]]) -> list[str]:
        """Store all of these; the ids of those that are new."""
        stored = [self._store(**one) for one in given]
        return [one for one in stored if isinstance(one, str)]

    def _is_gone(self, identity: str) -> bool:
        return identity not in self.expected.memories or self.expected.memories[identity].deleted

    @rule(host=HOSTS, identity=ids)
    def delete(self, host: int, identity: str) -> None:
        result = self.hosts[host].delete(identity)
        assert result["deleted"] == ([] if self._is_gone(identity) else [identity])
        if identity in self.expected.memories:
            known = self.expected.memories[identity]
            known.deleted_at = known.deleted_at or self.clock()

    @rule(host=HOSTS, identity=ids)
    def restore(self, host: int, identity: str) -> None:
        known = self.expected.memories.get(identity)
        restored = restore_memories(self.hosts[host].app, [identity])["restored"]
        assert restored == ([identity] if known and known.deleted else [])
        if known and known.deleted:
            known.deleted_at, known.since = None, self.clock()
            known.expires_at = self.renew_expiry(known)

    def renew_expiry(self, known: Known) -> datetime | None:
        now = self.clock()
        if known.expires_at is None or known.expires_at > now:
            return known.expires_at
        return now + timedelta(hours=24) if known.kind == "working" else None

    @rule(host=HOSTS, identity=consumes(ids))
    def erase(self, host: int, identity: str) -> None:
        result = self.hosts[host].delete(identity, permanent=True)
        assert result["deleted"] == ([identity] if identity in self.expected.memories else [])
        if identity in self.expected.memories:
            self.expected.erase(identity)

    @rule(target=ids, host=HOSTS, identity=ids)
    def revert(self, host: int, identity: str) -> Any:
        now, memories = self.clock(), self.expected.memories
        old, chain = memories.get(identity), self.expected.chain(identity)
        head = self.expected.head(identity)
        last = memories.get(head)
        if (
            old is None
            or old.deleted
            or old.superseded_by is None
            or (last and last.state(now) == "current" and last.says_the_same(old))
        ):
            with pytest.raises(BadArgument):
                revert(self.hosts[host].app, identity)
            return multiple()
        elsewhere = self.expected.duplicate_of(now, old.text, old.kind, old.project)
        if elsewhere and elsewhere.id == head:
            elsewhere = None
        result = revert(self.hosts[host].app, identity)
        if elsewhere:
            assert result["id"] == elsewhere.id
        else:
            memories[result["id"]] = replace(
                old, id=result["id"], tags=list(old.tags), since=now,
                expires_at=self.renew_expiry(old), superseded_by=None,
            )  # fmt: skip
        for m in chain:
            if m.superseded_by == head and not last:
                m.superseded_by = result["id"]
        if last:
            last.superseded_by = result["id"]
        return multiple() if elsewhere else result["id"]

    @rule(host=HOSTS, chosen=st.sampled_from(RULES))
    def set_rule(self, host: int, chosen: Rule) -> None:
        set_rule(self.hosts[host].app, chosen)
        self.expected.rules[chosen.name] = chosen

    @rule(host=HOSTS, chosen=st.sampled_from(RULES))
    def clear_rule(self, host: int, chosen: Rule) -> None:
        cleared = clear_rules(self.hosts[host].app, chosen.subject, chosen.name)
        assert len(cleared) == (self.expected.rules.pop(chosen.name, None) is not None)

    @rule(host=HOSTS, days=st.sampled_from([0, 2, 9, 31]))
    def run_retention(self, host: int, days: int) -> None:
        self.clock.advance(days=days)
        expected = self.expected.ended(self.clock())
        shown = preview_retention(self.hosts[host].app, 1000)["memories"]
        assert {m["id"]: m["action"] for m in shown} == expected
        removed = run_retention(self.hosts[host].app)
        told = {"erase": removed["erased"], "trash": removed["trashed"]}
        assert {identity: how for how, ids in told.items() for identity in ids} == expected
        self.expected.remove(expected, self.clock())

    @rule(hours=st.sampled_from([1, 12, 24, 8 * 24, 31 * 24]))
    def time_passes(self, hours: int) -> None:
        self.clock.advance(hours=hours)

    # --- what happens behind the scenes -----------------------------------------------------------

    @rule(host=HOSTS, days=st.sampled_from([0, 0, 2, 9, 31]))
    def tend(self, host: int, days: int) -> None:
        self.clock.advance(days=days)
        self.hosts[host].run_jobs()
        if host != 2:
            for known in self.expected.memories.values():
                known.embedded |= not known.deleted
        now = self.clock()
        if host not in self.looked or now - self.looked[host] >= HOUR:
            self.looked[host] = now
            self.expected.retain_unasked(now)

    @rule(host=HOSTS)
    def write_text(self, host: int) -> None:
        self.hosts[host].app.storage.open()
        self.hosts[host].app.services.indexer.write_text()
        self._text_index_is_exact()

    @rule(host=HOSTS)
    def write_text_anew(self, host: int) -> None:
        self.hosts[host].rebuild_text()
        self._text_index_is_exact()

    def _text_index_is_exact(self) -> None:
        kept = [m for m in self.expected.memories.values() if not m.deleted]
        assert len(self.hosts[0].open_text_index()) == sum(len(split_into_chunks(m.text)) for m in kept)

    @rule(host=st.integers(0, 1), anew=st.booleans())
    def write_vectors(self, host: int, anew: bool) -> None:
        embedder = self.hosts[host].app.model.get()
        assert embedder is not None
        self.hosts[host].app.storage.open()
        self.hosts[host].app.services.indexer.write_vectors(embedder.identity, rebuild=anew)
        kept = [m for m in self.expected.memories.values() if m.embedded and not m.deleted]
        if kept:
            count = len(self.hosts[0].open_vector_index())
            assert count == sum(len(split_into_chunks(m.text)) for m in kept)

    @rule(host=HOSTS)
    def crash(self, host: int) -> None:
        self.looked.pop(host, None)
        self.hosts[host].crash()

    @rule(host=HOSTS)
    def end_and_start(self, host: int) -> None:
        self.looked.pop(host, None)
        self.hosts[host].end()
        self.hosts[host].reopen()

    # --- asking -----------------------------------------------------------------------------------

    @rule(host=HOSTS, text=st.sampled_from(ALL_TEXTS), wanted=FILTERS)
    def words_find(self, host: int, text: str, wanted: dict[str, Any]) -> None:
        expected = self.expected.found(self.clock(), wanted, "atlas")
        found = self.hosts[host].found_by_words(text.split(maxsplit=1)[0], **wanted)
        assert found == {m.id for m in expected.values() if base(m.text) == base(text)}

    @rule(host=st.integers(0, 1), text=st.sampled_from(TEXTS), wanted=FILTERS)
    def meaning_finds(self, host: int, text: str, wanted: dict[str, Any]) -> None:
        expected = self.expected.found(self.clock(), wanted, "atlas")
        found = self.hosts[host].found_by_meaning(text, **wanted)
        assert found == {m.id for m in expected.values() if base(m.text) == text and m.embedded}

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

    @rule(host=HOSTS, identity=ids)
    def tells_the_history(self, host: int, identity: str) -> None:
        chain = self.expected.chain(identity)
        if not chain:
            with pytest.raises(UnknownMemory):
                history(self.hosts[host].app, identity)
            return
        told = history(self.hosts[host].app, identity)
        states = {version["id"]: version["state"] for version in told["versions"]}
        assert states == {m.id: m.state(self.clock()) for m in chain}
        order = list(states)
        for m in chain:
            assert m.superseded_by not in states or order.index(m.id) < order.index(m.superseded_by)

    @rule(host=HOSTS)
    def shows_the_trash(self, host: int) -> None:
        trash = list_deleted(self.hosts[host].app, 1000)
        assert {m["id"] for m in trash["memories"]} == {
            m.id for m in self.expected.memories.values() if m.deleted
        }

    @rule()
    def what_is_gone_for_good_is_nowhere(self) -> None:
        there = {base(m.text) for m in self.expected.memories.values()}
        for name, text in zip(NAMES, TEXTS, strict=True):
            if text not in there:
                assert self.hosts[0].traces(name) == []

    @invariant()
    def every_host_sees_the_same(self) -> None:
        if not hasattr(self, "hosts"):
            return
        for host in self.hosts:
            expected = self.expected.found(self.clock(), {}, "atlas")
            results = host.query("harbour", limit=100, max_chars=100_000)["results"]
            assert {r["id"] for r in results} == set(expected)


class TwoTenants(Storage):
    """Two tenants of one engine and one directory take turns, each with hosts and a model of its own.

    The ids of both are given to both: to each, those of the other are unknown.
    """

    ids = Storage.ids
    OWN = ("clock", "expected", "hosts", "looked")

    @initialize(
        target=ids,
        first=st.lists(st.fixed_dictionaries(STORED), min_size=2, max_size=4),
        second=st.lists(st.fixed_dictionaries(STORED), min_size=2, max_size=4),
        rules=st.lists(st.sampled_from(RULES), max_size=1),
    )
    def open(self, first: list[dict[str, Any]], second: list[dict[str, Any]], rules: list[Rule]) -> Any:
        self.directory = Path(tempfile.mkdtemp(prefix="sediment-"))
        ids = self._begin(first, rules, "ann")
        self.waiting = self._own()
        return multiple(*ids, *self._begin(second, [], "bob"))

    def _own(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.OWN}

    @rule()
    def the_other_goes_on(self) -> None:
        own = self._own()
        vars(self).update(self.waiting)
        self.waiting = own

    def teardown(self) -> None:
        for host in getattr(self, "waiting", {}).get("hosts", []):
            host.end()
        super().teardown()


EXAMPLES = {SQLITE: 25, POSTGRES: 12, ENCRYPTED: 12}  # a step over a server takes longer
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@pytest.mark.slow
@pytest.mark.over_both
@pytest.mark.over_encrypted
def test_every_answer_is_that_of_a_plain_model(backend: Backend) -> None:
    run(Storage, max_examples=EXAMPLES[backend.name], stateful_step_count=30)


@pytest.mark.slow
@pytest.mark.over_both
def test_two_tenants_know_nothing_of_each_other() -> None:
    run(TwoTenants, max_examples=5, stateful_step_count=40)


def run(machine: type[Storage], **amount: Any) -> None:
    run_state_machine_as_test(machine, settings=settings(UNHURRIED, **amount))


@contextmanager
def database_without_policies(tmp_path: Path) -> Iterator[str]:
    """Make a database that lets everybody see everything; a store holds it open, as none would open it."""
    from sediment_mcp.storage.postgres.dialect import SCHEMA, TABLES

    server = postgres.shared_server()
    name = server.new_database()
    with use_backend(POSTGRES, name), open_storage(tmp_path / "first") as first:
        first.open()
        with server.connect(postgres.ADMIN, name) as connection:
            for table in TABLES:
                connection.execute(f"ALTER TABLE {SCHEMA}.{table} DISABLE ROW LEVEL SECURITY")
        yield name


@pytest.mark.slow
@pytest.mark.postgres
def test_the_statements_alone_keep_tenants_apart(tmp_path: Path) -> None:
    with database_without_policies(tmp_path) as name, use_backend(POSTGRES, name):
        run(TwoTenants, max_examples=3, stateful_step_count=30)


@pytest.mark.slow
@pytest.mark.postgres
def test_the_database_alone_keeps_tenants_apart() -> None:
    with use_backend(POSTGRES, is_checked=False), statements_without_a_tenant():
        run(TwoTenants, max_examples=3, stateful_step_count=30)


@pytest.mark.slow
@pytest.mark.postgres
def test_without_both_tenants_are_not_kept_apart(tmp_path: Path) -> None:
    """The two tests above can fail."""
    with (
        database_without_policies(tmp_path) as name,
        use_backend(POSTGRES, name, is_checked=False),
        statements_without_a_tenant(),
        pytest.raises((AssertionError, ValueError, BaseExceptionGroup)),
    ):
        run(TwoTenants, max_examples=1, stateful_step_count=5, phases=[Phase.generate])
