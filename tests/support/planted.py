"""A data directory through which planted words go by every way that something can be kept in it.

Whatever a person, a host or a model says in it holds a word of `support.readable`, so that a search of all
its files finds whatever can be read there.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from sediment_mcp.app import Application
from sediment_mcp.capture.work import capture_transcript
from sediment_mcp.cli import main
from sediment_mcp.config import MODEL, QUESTIONS
from sediment_mcp.domain.retention import Rule
from sediment_mcp.maintenance import doctor
from sediment_mcp.maintenance.restore import restore_backup
from sediment_mcp.operations.retention_rules import run_retention, set_rule
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.recall.hook_call import build_call
from sediment_mcp.recall.shown import open_record
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.system.timestamps import isoformat
from sediment_mcp.web.request import RequestContext
from sediment_mcp.web.similar_pairs import keep_both_memories
from support.embedding_double import EmbeddingDouble
from support.encryption import PAGE, make_encrypted
from support.host import SMALL, Clock, Host
from support.readable import Readable, find_readable, plant, spell_embeddings

HOSTS = 2
COMMIT = b"0" * 40 + b" " + b"1" * 40 + b" A <a@b> 1 +0000\tcommit\n"  # of a log of git


@contextmanager
def own_temporary_folder(folder: Path) -> Iterator[Path]:
    """Let all temporary files of this process, and of those that it starts, lie in a folder."""
    folder.mkdir(exist_ok=True)
    with mock.patch.dict(os.environ, TMPDIR=str(folder)), mock.patch.object(tempfile, "tempdir", str(folder)):
        yield folder


class PlantedStore:
    """Some hosts on one data directory, which is encrypted from the start or not."""

    def __init__(self, base: Path, *, is_encrypted: bool) -> None:
        self.directory, self.temporary = base / "data", base / "temporary"
        self._outside = base / "outside"
        self.project = self._outside / plant("project")
        (self.project / ".git" / "logs").mkdir(parents=True)
        (self.project / ".git" / "logs" / "HEAD").write_bytes(COMMIT)
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(own_temporary_folder(self.temporary))
        self._stack.enter_context(mock.patch.dict(os.environ, {MODEL: "none", QUESTIONS: "keep"}))
        if is_encrypted:
            make_encrypted(self.directory)
        self.clock, self.model = Clock(), EmbeddingDouble()
        self.contents: list[str] = []
        """All that was ever stored, captured or asked to be."""
        self.hosts = [
            Host(
                self.directory, self.clock, self.model, str(self.project), tuning=SMALL, audit="texts",
                questions="keep",
            )
            for _ in range(HOSTS)
        ]  # fmt: skip
        self.tenant = Host(self.directory, self.clock, self.model, tuning=SMALL, tenant="ann")
        """Somebody else in the same directory."""
        self._turns = self._tokens = 0

    def close(self) -> None:
        for host in self._all_hosts:
            host.end()
        self._stack.close()

    @property
    def _all_hosts(self) -> list[Host]:
        return [*self.hosts, self.tenant]

    # --- what is searched, and what is there --------------------------------------------------------

    def find_readable(self) -> list[Readable]:
        """What can be read in any file of the directory, and in any temporary one."""
        folders = [self.directory, self.temporary]
        return find_readable(folders, spell_embeddings(self.model, self.contents))

    def list_contents(self) -> list[str]:
        """The contents of all memories that can be listed, of both tenants."""
        return sorted(text for host in (self.hosts[0], self.tenant) for text in _list_contents(host))

    # --- what is said to it -------------------------------------------------------------------------

    def store(self, host: int = 0, **given: Any) -> str:
        self.clock.advance(minutes=1)
        text = f"{plant('content')} number {len(self.contents)} came to the harbour"
        self.contents.append(text)
        given = {
            "tags": [plant("tag")],
            "session": plant("session"),
            "metadata": {plant("field"): plant("metadata")},
            **given,
        }
        return self.hosts[host].store(text, **given)["id"]

    def store_for_tenant(self) -> None:
        self.clock.advance(minutes=1)
        text = f"{plant('content')} number {len(self.contents)} is somebody else's"
        self.contents.append(text)
        self.tenant.store(text, tags=[plant("tag")])

    def show(self, *ids: str) -> None:
        """Let a hook note that memories were shown in a session of a host."""
        fields = json.dumps({"session_id": plant("session")}).encode()
        call = build_call("prompt", "claude-code", self.hosts[0].app.config, fields)
        assert open_record(call).claim(ids, self.clock().timestamp(), 5) == list(ids)

    def query(self, host: int = 0) -> None:
        """Ask for what is there, which the audit keeps, and for what is not."""
        self.hosts[host].query(f"{plant('asked')} harbour")
        self.hosts[host].query(f"{plant('question')}s of chromodynamics", tags=["nowhere"])

    def restore(self, memory_id: str, host: int = 0) -> None:
        restore_memories(self.hosts[host].app, [memory_id])

    def set_rule(self, host: int = 0) -> None:
        set_rule(self.hosts[host].app, Rule("tag", plant("rule"), max_age=timedelta(days=400)))

    def keep_pair(self, first: str, second: str, host: int = 0) -> None:
        """Answer on the page that two memories may both stay."""
        keep_both_memories(RequestContext(self.hosts[host].app, None), {"ids": [first, second]})

    def capture(self, host: int = 0) -> None:
        """Let a transcript have a new turn, and capture it."""
        self.run("captured", "on")
        self.clock.advance(minutes=1)
        self._turns += 1
        text = f"{plant('captured')} turn {self._turns} was said"
        self.contents.append(text)
        fields = {
            "type": "user", "uuid": f"u{self._turns}", "sessionId": plant("transcript"),
            "cwd": str(self.project), "timestamp": isoformat(self.clock() + timedelta(days=36_500)),
            "message": {"role": "user", "content": text},
        }  # fmt: skip
        path = self._outside / f"{plant('transcript')}.jsonl"
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(fields) + "\n")
        capture_transcript(self.hosts[host].app, path)

    def make_token(self) -> None:
        """Let somebody in, by a token with a name."""
        self._tokens += 1
        self.run("token", "create", f"{plant('token')}{self._tokens}", "--tenant", "ann")

    # --- what is done with its files ----------------------------------------------------------------

    def run(self, *words: str) -> str:
        """Run a command beside the hosts; what it prints."""
        said, complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            status = main.main(["--data-dir", str(self.directory), *words])
        assert status == 0, (words, said.getvalue(), complained.getvalue())
        return said.getvalue()

    def backup(self, host: int = 0) -> None:
        self.clock.advance(minutes=1)
        self.hosts[host].app.storage.open()
        self.hosts[host].app.backups.make()

    def restore_backup(self, number: int, host: int = 0) -> None:
        """Go back to a backup, if there is one."""
        self.clock.advance(minutes=1)
        app = self.hosts[host].app
        if backups := app.backups.list_all():
            restore_backup(app, backups[number % len(backups)].name)

    def work_behind(self, host: int = 0, **ago: float) -> None:
        """Let time pass and the background do all that is due."""
        self.clock.advance(**ago)
        self.hosts[host].run_jobs()
        self.tenant.run_jobs()
        run_retention(self.hosts[host].app)

    def crash(self, host: int = 0) -> None:
        self.hosts[host].crash()

    def reopen(self) -> None:
        for host in self._all_hosts:
            host.end()
            host.reopen()

    def damage(self, page: int) -> None:
        """Let a page of the database be lost while nobody has it open, and let `doctor --fix` help."""
        self.clock.advance(minutes=1)
        with self.hosts[0].app.file.write(secure_erase=True):
            pass  # or the page might lie in the log, too
        for host in self.hosts:
            host.end()
        database = self.directory / DATABASE
        if database.exists() and (pages := database.stat().st_size // PAGE) > 1:
            with database.open("r+b") as file:
                file.seek((1 + page % (pages - 1)) * PAGE)
                file.write(os.urandom(PAGE))
        app = Application(self.hosts[0].app.config, clock=self.clock, load=lambda _: self.model)
        try:
            doctor.fix(app)
        finally:
            app.close()
        for host in self.hosts:
            host.reopen()

    def encrypt(self) -> None:
        """Encrypt the directory beside its hosts."""
        self.run("encrypt", "--yes", "--key", "file")

    def decrypt(self) -> None:
        self.run("decrypt", "--yes")


def _list_contents(host: Host) -> Iterator[str]:
    cursor = None
    while True:
        page = host.list(limit=100, include_superseded=True, cursor=cursor)
        if ids := [memory["id"] for memory in page["memories"]]:
            yield from (memory["content"] for memory in host.list(ids=ids)["memories"])
        if (cursor := page.get("next_cursor")) is None:
            return


def live(store: PlantedStore) -> None:
    """Let everything happen once that can put a word into a file."""
    ids = [store.store(number % HOSTS) for number in range(10)]
    for _ in range(8):
        store.store_for_tenant()
    store.make_token()
    store.show(*ids[:2])
    store.set_rule()
    store.query(1)
    store.capture()
    store.work_behind()
    store.store(replaces=[ids[0]])
    store.hosts[1].delete(ids[1])
    store.hosts[0].delete(ids[2], permanent=True)
    store.restore(ids[1])
    store.keep_pair(ids[3], ids[4])
    store.backup()
    ids += [store.store(1) for _ in range(8)]
    store.work_behind(days=1, host=1)
    store.restore_backup(0)
    store.crash(1)
    store.query()
    store.damage(5)
    store.store()
    store.reopen()
    store.query(1)
    store.work_behind(days=1)
    store.reopen()  # what the audit still has in memory is written at an end
