"""What devices call a project whose folder has another path on each of them.

A repository is called after its remote, ``git:github.com/ann/shop``; a project that the user has named by a
word, by that word. Any other folder keeps a name that says whose it is, ``folder:laptop:/home/ann/notes``,
until the user says on another device which folder there it belongs to. A shared name without a folder here
stays the project's name: `operations.projects` moves what belongs to it once a folder with that remote is
opened.

Which project here has which shared name is kept, so that a name does not change with the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from sediment_mcp.config_paths import parse_path
from sediment_mcp.errors import BadArgument, UnknownProject
from sediment_mcp.operations.projects import move_project
from sediment_mcp.sync.project_pairs import FOLDER_PREFIX
from sediment_mcp.sync.results import SharedProject
from sediment_mcp.sync.settings import SyncSettings
from sediment_mcp.system.git_repository import parse_remote
from sediment_mcp.system.project_root import REMOTE_PREFIX, is_path, name_by_remote, normalize_project

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.storage.sqlite.session import SqliteSession


class ProjectName(NamedTuple):
    """The shared name of a project, the project here, and whether a person has said so."""

    shared: str
    local: str
    is_chosen: bool = False

    @property
    def rank(self) -> tuple[bool, bool, str]:
        """Return what is smaller for a name that is preferred to another of the same project."""
        return not self.is_chosen, self.shared.startswith(FOLDER_PREFIX), self.shared


class ProjectNames:
    """The shared names of the projects of one device.

    Attributes:
        new: names that nothing has kept yet.
    """

    def __init__(
        self,
        device: str,
        known: Iterable[ProjectName],
        in_use: Iterable[str],
        find_remote_name: Callable[[str], str | None] = name_by_remote,
    ) -> None:
        """Take the names that are ``known``, and name the projects ``in_use`` that have none.

        ``in_use`` are all to which memories belong, the most important first: of two clones of one repository
        the first has its remote as a name.
        """
        self.new: list[ProjectName] = []
        self._device = device
        self._find_remote_name = find_remote_name
        self._in_use = [*in_use]
        self.replace_known(known)
        for project in self._in_use:
            self.to_shared(project)

    def replace_known(self, known: Iterable[ProjectName]) -> None:
        """Go on with these names, which are all that are kept now."""
        self._by_shared: dict[str, ProjectName] = {}
        self._by_local: dict[str, ProjectName] = {}
        for name in known:
            self._add(name)

    def to_shared(self, project: str) -> str:
        """Return what all devices call a project of this one."""
        if not is_path(project):
            return project
        found = self._by_local.get(project)
        if found is None or (found.shared.startswith(FOLDER_PREFIX) and not found.is_chosen):
            found = self._name(project) or found
        return project if found is None else found.shared

    def to_local(self, shared: str) -> str:
        """Return the project of this device that has a shared name; the name itself without one."""
        found = self._by_shared.get(shared)
        if found is None or found.local not in self._by_shared:
            return shared if found is None else found.local
        return self._by_shared[found.local].local  # of a name whose other name has a folder since

    def list_strays(self) -> list[ProjectName]:
        """Return the names to which memories still belong here, though a project here has them."""
        return [self._by_shared[name] for name in self._in_use if name in self._by_shared]

    def _name(self, project: str) -> ProjectName | None:
        """Name a project by its remote, unless another has that name; else by its path, once."""
        remote = self._find_remote_name(project)
        owner = None if remote is None else self._by_shared.get(remote)
        is_free = owner is None or (owner.local not in self._in_use and not owner.is_chosen)
        if remote is not None and is_free:
            name = ProjectName(remote, project)
        elif project not in self._by_local:
            name = ProjectName(f"{FOLDER_PREFIX}{self._device}:{project}", project)
        else:
            return None
        self.new.append(name)
        self._add(name)
        return name

    def _add(self, name: ProjectName) -> None:
        before = self._by_shared.get(name.shared)
        if before is not None and self._by_local.get(before.local) == before:
            del self._by_local[before.local]
        self._by_shared[name.shared] = name
        current = self._by_local.get(name.local)
        if current is None or name.rank < current.rank:
            self._by_local[name.local] = name


def list_kept_names(session: SqliteSession) -> list[ProjectName]:
    """Return the names of this device's projects that are kept."""
    return [ProjectName(*row) for row in session.sync.projects()]


def load_project_names(app: Application, settings: SyncSettings) -> ProjectNames:
    """Return the names of this device's projects, and keep those that are new.

    What belongs to a shared name although a project here has it, is moved to that.
    """
    with app.file.read() as session:
        in_use = session.statistics.all_by_project()
        names = ProjectNames(settings.device, list_kept_names(session), in_use)
    strays = names.list_strays()
    if names.new or strays:
        with app.file.write() as session:
            for name in names.new:
                session.sync.set_project(name.shared, name.local, is_chosen=False)
            for name in strays:
                session.move_project(name.shared, names.to_local(name.shared))
    return names


def note_project(app: Application, settings: SyncSettings, project: str) -> bool:
    """Keep the remote of a project that is in use here, before the first memory of it is known.

    Returns whether memories belong to it under its shared name already.
    """
    remote = name_by_remote(project)
    if remote is None:
        return False
    with app.file.read() as session:
        known = {row[0] for row in session.sync.projects()}
        counts = session.statistics.all_by_project()
    if remote not in known:
        with app.file.write() as session:
            session.sync.set_project(remote, project, is_chosen=False)
    return remote in counts


# --- what a user asks for -----------------------------------------------------------------------


def list_shared_projects(app: Application) -> list[SharedProject]:
    """Return the projects that devices share, those without a folder here first."""
    with app.file.read() as session:
        known = {shared: local for shared, local, _ in session.sync.projects()}
        counts = session.statistics.all_by_project()
    missing = [name for name in counts if name not in known and not is_path(name)]
    return [
        *(SharedProject(name=name, project=None, memories=counts[name]) for name in missing),
        *(
            SharedProject(name=shared, project=local, memories=counts.get(local, 0))
            for shared, local in known.items()
        ),
    ]


def map_project(app: Application, name: str, folder: str) -> SharedProject:
    """Say which folder of this device a shared project is, and move there what belongs to it.

    ``name`` is as `list_shared_projects` shows it, or the address of a repository.

    Raises:
        BadArgument: the folder can be no project, or the name is a path.
        UnknownProject: no project has that name.
    """
    local = normalize_project(parse_path(folder.strip(), "The folder", may_be_relative=True))
    with app.file.read() as session:
        known = {shared for shared, _, _ in session.sync.projects()}
        counts = session.statistics.all_by_project()
    shared = _parse_name(name.strip(), {*known, *counts})
    if shared in counts:
        move_project(app, shared, local)
    with app.file.write() as session:
        session.sync.set_project(shared, local, is_chosen=True)
    app.opened_projects.clear()
    with app.file.read() as session:
        memories = session.statistics.all_by_project().get(local, 0)
    return SharedProject(name=shared, project=local, memories=memories)


def _parse_name(name: str, known: set[str]) -> str:
    """Return the shared name that a user means."""
    if is_path(name) or not name:
        raise BadArgument(
            "First comes what all devices call the project, such as git:github.com/ann/shop, then the folder "
            "here: `sediment-mcp sync project` lists the names."
        )
    if name in known:
        return name
    remote = parse_remote(name)
    if remote is not None or name.startswith(REMOTE_PREFIX):
        return name if remote is None else f"{REMOTE_PREFIX}{remote}"
    raise UnknownProject(
        f"No project is called {name}: `sediment-mcp sync project` lists those that there are."
    )
