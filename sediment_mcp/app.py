"""The composition root: the parts of one process, built from its configuration.

`Application` builds the parts and closes them. Operations reach the parts through it; each part knows only
the parts that its constructor is given. `Application.services` is the one lazy boundary of the package:
modules that need numpy or an index engine are imported when it is first used, so that reading or listing
memories does not load them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sediment_mcp.background.audit import AuditPolicy, ReadAudit
from sediment_mcp.background.backups import Backups
from sediment_mcp.background.worker import Worker
from sediment_mcp.config import DATABASE, NO_MODEL, POSTGRES_EXTRA, Config
from sediment_mcp.domain.retention import Removal
from sediment_mcp.embeddings.loader import LOAD_TIMEOUT, ModelLoader, load_embedder
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.errors import BadArgument
from sediment_mcp.storage.protocols import MemoryStorage
from sediment_mcp.storage.sqlite.storage import SqliteStorage
from sediment_mcp.system.directory_encryption import DirectoryEncryption, find_encryption
from sediment_mcp.system.extras import check_module
from sediment_mcp.system.garbage_collection import loading
from sediment_mcp.system.progress import Progress, ignore_progress

if TYPE_CHECKING:
    from sediment_mcp.background.services import Services
    from sediment_mcp.embeddings.reranker import Reranker
    from sediment_mcp.search.retriever import Retriever


NO_FILE = (
    "The memories are in PostgreSQL, so there is no file to back up, restore or repair: use pg_dump or the "
    "backups of the database server."
)


class Application:
    """The parts of one process, as the tools and commands use them.

    May be used from any thread. Creating one opens nothing: the data directory is opened, and the model
    loaded, at the first operation.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        load: Callable[[Config], Embedder] = load_embedder,
        model: ModelLoader | None = None,
        reranker: Reranker | None = None,
        model_timeout: float = LOAD_TIMEOUT,
        is_resident: bool = True,
        is_team: bool = False,
        team: Application | None = None,
    ) -> None:
        """Build the parts.

        ``model`` is a loader that may have begun already; without one, ``load`` and ``model_timeout`` make
        one: the latter is how many seconds a call waits for the model. Without a ``reranker``, it is the
        configured one, if any. ``is_resident`` says that the process keeps running and has a background
        thread; one that serves a single command has none. ``is_team`` says that these are the memories of a
        team, as the second store of other applications; ``team`` is that store where several share it, and
        then it is not closed with this one.
        """
        self.config = config
        self.now = clock
        self._is_resident = is_resident
        self._worker = Worker(
            self.run_jobs,
            config.tuning,
            first_seconds=config.tuning.cold_seconds if config.database else 0.0,
        )
        self.model = model or ModelLoader(lambda: load(config), timeout=model_timeout)
        self.reranker = reranker
        if reranker is None and config.reranker != NO_MODEL:
            from sediment_mcp.embeddings.reranker import Reranker, load_scorer

            # A server does not wait for it; a command has but one query.
            self.reranker = Reranker(lambda: load_scorer(config), 0.0 if is_resident else model_timeout)
        on_change = self._worker.wake if is_resident else lambda: None
        policy = AuditPolicy(config, clock)
        self.encryption = find_encryption(config)
        self.storage = build_storage(config, on_change, policy.change_time, self.encryption)
        self._file = self.storage if isinstance(self.storage, SqliteStorage) else None
        self._backups: Backups | None = None
        if self._file is not None:
            self._backups = Backups(config.store_dir, self._file, config.backups, clock, config.tuning)
        self.audit = ReadAudit(policy, self.storage, clock, config.audit_days)
        """The entries of what calls have been shown; those of changes are written with these."""
        self.opened_projects: dict[str, str | None] = {}
        """By project of a call, the one that seems to have moved here; see `operations.projects`."""
        self.told_projects: set[str] = set()
        """The projects of which a call was told where they seem to come from."""
        self.before_query: Callable[[str | None], None] = lambda project: None
        """Called with the project of a tool call that is about to look for memories."""
        self._added_jobs: tuple[Callable[[Progress], None], ...] = ()
        self._building = threading.Lock()
        self._services: Services | None = None
        self._opening = threading.Lock()
        self._team: Application | None = team
        self._owns_team = team is None
        self.is_team = is_team

    @property
    def team(self) -> Application | None:
        """The store of the caller's team, opened at first use; None without one.

        It shares the clock and the models, and is closed with this application.
        """
        config = self.config.of_team
        if config is None:
            return None
        with self._opening:
            if self._team is None:
                self._team = Application(
                    config,
                    clock=self.now,
                    model=self.model,
                    reranker=self.reranker,
                    is_resident=self._is_resident,
                    is_team=True,
                )
            return self._team

    @property
    def is_file(self) -> bool:
        """Whether the memories are in a file of SQLite, and not on a server."""
        return self._file is not None

    @property
    def file(self) -> SqliteStorage:
        """The storage as a file of SQLite, for what is only done to files.

        Raises:
            BadArgument: the memories are in PostgreSQL.
        """
        if self._file is None:
            raise BadArgument(NO_FILE)
        return self._file

    @property
    def backups(self) -> Backups:
        """The backups of the file.

        Raises:
            BadArgument: the memories are in PostgreSQL.
        """
        if self._backups is None:
            raise BadArgument(NO_FILE)
        return self._backups

    @property
    def services(self) -> Services:
        """The indexer, the retriever and the background work; built at first use."""
        with self._building:
            if self._services is None:
                with loading():
                    from sediment_mcp.background.services import Services

                self._services = Services(
                    self.config,
                    self.storage,
                    self.model,
                    self._backups,
                    self.now,
                    encryption=self.encryption,
                    audit=self.audit,
                    reranker=self.reranker,
                )
            return self._services

    @property
    def retriever(self) -> Retriever:
        """The retriever, which finds candidates for a query."""
        return self.services.retriever

    def close(self) -> None:
        """Let a running write finish, stop the background thread, and close all parts.

        Takes at most about a second.
        """
        team = self._team if self._owns_team else None
        if team is not None:
            team._worker.close(0)  # so that both threads end at the same time
        self._worker.close(self.config.tuning.close_timeout)
        self.audit.flush()
        if self._services is not None:
            self._services.close()
        self.storage.close()
        if team is not None:
            team.close()

    def wake(self) -> None:
        """Let the background of a resident process run the due jobs soon."""
        if self._is_resident:
            self._worker.wake()

    def add_job(self, run: Callable[[Progress], None]) -> None:
        """Let the background of a resident process run one more job, after those of its own.

        It looks by itself whether anything is due, as any `background.jobs.Job`.
        """
        self._added_jobs += (run,)

    def run_jobs(self, progress: Progress) -> None:
        """Run the background jobs that are due, as the background thread does when it is woken.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        if self.storage.is_read_only:
            return
        for job in self.services.jobs:
            progress(0, 0)
            if self._is_resident or not job.only_resident:
                job.run(progress)
        for run in self._added_jobs if self._is_resident else ():
            progress(0, 0)
            run(progress)

    def run_retention(self, progress: Progress = ignore_progress) -> list[Removal]:
        """Remove the memories that are due now, and return what was removed.

        Raises:
            Busy: another process is doing the same for too long.
        """
        self.storage.open()
        embedder = self.model.get()
        removed = self.services.retention.run(embedder.identity if embedder else None, progress)
        self.services.erasure.purge_backups()
        return removed

    def catch_up(self, progress: Callable[[str], Progress] = lambda _: ignore_progress) -> None:
        """Do now what the background worker would do after many changes.

        Embeds the chunks that lack something, unless another process is doing it, and writes the indexes
        that lag behind. ``progress`` is as in `rebuild_indexes`.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        if (embedder := self.model.get()) is not None:
            self.services.embedding_queue.run(embedder, progress("embeddings"))
        self.services.write_due_snapshots(progress("indexes"))

    def rebuild_indexes(self, progress: Callable[[str], Progress] = lambda _: ignore_progress) -> None:
        """Embed the chunks that lack something, and write every index anew from storage.

        ``progress`` gives a progress callback for each part of the work by its name.

        Raises:
            Busy: another process is writing an index for too long.
        """
        self.storage.open()
        services, embedder = self.services, self.model.get()
        if embedder is not None:
            services.embedding_queue.drop_damaged()
            services.embedding_queue.run_all(embedder, progress("embeddings"))
        services.indexer.write_text(rebuild=True, progress=progress("text index"))
        if embedder is not None:
            services.rebuild_vectors(embedder.identity, progress("vector index"))


def build_storage(
    config: Config,
    on_change: Callable[[], None] = lambda: None,
    audit_time: Callable[[], datetime | None] = lambda: None,
    encryption: DirectoryEncryption | None = None,
) -> MemoryStorage:
    """Return the storage of one tenant, which nothing has opened yet.

    ``on_change`` and ``audit_time`` are those of the storages; without the latter nothing is recorded.
    ``encryption`` is that of the data directory.

    Raises:
        BadArgument: it is in PostgreSQL, and that extra is not installed.
    """
    directory, tuning = config.store_dir, config.tuning
    if not config.database:
        encryption = encryption or find_encryption(config)
        return SqliteStorage(
            directory, tuning, on_change=on_change, audit_time=audit_time, encryption=encryption
        )
    require_postgres()
    from sediment_mcp.storage.postgres.storage import PostgresStorage

    return PostgresStorage(
        config.database, config.tenant, directory, tuning, on_change=on_change, audit_time=audit_time
    )


def require_postgres() -> None:
    """Check that the extra for PostgreSQL is installed.

    Raises:
        BadArgument: it is not.
    """
    check_module("psycopg", POSTGRES_EXTRA, DATABASE)
