"""Devices that synchronize through a folder, whatever happens to them, and what must hold in the end.

`World.run` plays a history that a seed decides: users store, correct, delete and erase on three devices whose
clocks are wrong, the folder is carried badly (`sync_carrier`), processes are killed at any write
(`kill_switch`), backups and old copies of a data directory come back. Then everything is carried and
synchronized until nothing changes any more, and `World.check` looks at what is left.

Ids come from the seed as well, so a seed tells the same history again; only the encryption of the files is
random.
"""

from __future__ import annotations

import json
import os
import shutil
import string
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from sediment_mcp.domain.retention import Rule
from sediment_mcp.errors import BadArgument
from sediment_mcp.maintenance.restore import restore_backup
from sediment_mcp.maintenance.salvage import salvage
from sediment_mcp.operations.arguments import StoreMemory, parse_arguments
from sediment_mcp.operations.edit_memory import edit_memory
from sediment_mcp.operations.history import revert
from sediment_mcp.operations.retention_rules import clear_rules, run_retention, set_rule
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.storage.sql import memories
from sediment_mcp.sync.engine import SyncEngine, SyncReport
from sediment_mcp.sync.project_identity import ProjectNames, list_kept_names
from sediment_mcp.sync.settings import SyncSettings, read_settings, write_settings
from sediment_mcp.transfer.encryption import decrypt_with_identity, generate_identity
from sediment_mcp.transfer.formats.sediment_jsonl import encode_memory
from sediment_mcp.transfer.records import ALL_MEMORIES
from sediment_mcp.web.mutations import merge_memories
from sediment_mcp.web.request import RequestContext
from sediment_mcp.web.similar_pairs import keep_both_memories
from support.counting_model import CountingModel
from support.embedding_double import EmbeddingDouble
from support.host import Clock, Host
from support.kill_switch import Killed, KillSwitch
from support.sync_carrier import Listing, carry_all, carry_some, is_litter, listing, merge_folders
from support.transferring import export, import_export

REMOTE = "https://git.example.com/ann/"
START = datetime(2026, 5, 8, 12, tzinfo=UTC)
TAGS = ["red", "round", "Red", "sea"]
KINDS = ["semantic", "procedural", "working", "episodic"]
RULES = [
    Rule("kind", "semantic", max_count=12),
    Rule("kind", "episodic", max_age=timedelta(days=20)),
    Rule("tag", "red", max_age=timedelta(days=90), max_count=4),
    Rule("tag", "red", max_age=timedelta(days=300)),
]
STEPS = 90
"""Steps of a history, after which devices have seen most of what may happen."""
MEMORY_FOLDER = Path("/dev/shm")
"""Where there is one, to sync a file costs nothing."""
ROUNDS = 12
"""Rounds of carrying and synchronizing after which nothing may change any more."""
KILLED_WITHIN = 60
"""Writes within which a process is killed, if it is."""
SEEDS_PER_MODEL = 24
MODELS: dict[int, Callable[[], EmbeddingDouble | CountingModel]] = {
    **dict.fromkeys((3, 9, 15, 21), EmbeddingDouble),
    22: CountingModel,
}
"""Of so many seeds those that have a model; the others, by words alone, are faster."""
CHANGES = count(1)
Action = Callable[["World", "Device", Random], object]


class Broken(AssertionError):
    """A promise of the synchronization does not hold."""


@dataclass
class Device:
    """One device: its data directory, its copy of the folder, its clock.

    ``label`` is what the history calls it, ``names`` the sub-folders that it has ever written in: it takes a
    new name where it joins again, or where its own sub-folder turns out to be written by somebody else too.
    """

    label: str
    home: Path
    clock: Clock
    identity: str
    model: EmbeddingDouble | CountingModel | None = None
    host: Host = field(init=False)
    is_member: bool = True
    given: Listing = field(default_factory=dict[str, str])
    """Every file that it ever had in its own sub-folder, and their digests: they may never change."""
    gone: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Files that it had there once and has removed."""
    copies: list[Path] = field(default_factory=list[Path])
    exports: list[bytes] = field(default_factory=list[bytes])

    names: list[str] = field(default_factory=list[str])
    written: dict[str, int] = field(default_factory=dict[str, int])
    """By sub-folder when it last changed something there, of all changes of all devices."""
    work: Path = field(init=False)
    """Where its projects are."""

    def __post_init__(self) -> None:
        self.work = self.home / f"work of {self.label}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.open()

    @property
    def folder(self) -> Path:
        return self.home / "folder"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def own(self) -> Path:
        return self.folder / self.name

    def open(self) -> None:
        self.host = Host(self.data, self.clock, self.model)

    def join(self) -> None:
        """Join, under a name that nobody has or had; it is taken over what others have given until then."""
        name = f"{self.label}-{len(self.names)}"
        write_settings(self.host.app, SyncSettings(self.folder, name, self.identity, False))
        self.note_name()
        self.is_member = True

    def leave(self) -> None:
        write_settings(self.host.app, None)
        self.is_member = False

    def note_name(self) -> None:
        """Look up which sub-folder is the own one now."""
        settings = read_settings(self.host.app)
        if settings is not None and settings.device not in self.names[-1:]:
            self.names.append(settings.device)
            self.gone.clear()

    def sync(self) -> SyncReport:
        """Synchronize once; check what it has done to the folder, also if it is killed."""
        before, own = listing(self.folder), self.name
        contents = {path.name: path.read_bytes() for path in self.own.glob("*.age")}
        try:
            report = SyncEngine(self.host.app).run()
            self.note_name()
            return report
        finally:
            self._check_folder(before, own, contents)

    def _check_folder(self, before: Listing, old_name: str, contents: Mapping[str, bytes]) -> None:
        after = listing(self.folder)
        for path in before.keys() | after.keys():
            place, _, name = path.partition("/")
            found = after.get(path)
            if before.get(path) == found:
                continue
            self.written[place] = next(CHANGES)
            if place not in (old_name, self.name) and not place.startswith(f"{old_name}-"):
                raise Broken(f"{self.label} has changed {path}, which another device wrote")
            if found and is_immutable(name) and self.given.setdefault(f"{place}/{name}", found) != found:
                raise Broken(f"{path} has other bytes than before")
        for name, data in contents.items():
            if f"{old_name}/{name}" not in after and is_immutable(name):
                self.gone[name] = data

    # --- what it holds ------------------------------------------------------------------------

    def memories(self) -> dict[str, dict[str, Any]]:
        """All attributes of all memories, also of those in the trash."""
        with self.host.app.file.read() as session:
            memories = list(session.bulk.memories(ALL_MEMORIES, include_deleted=True))
            known = list_kept_names(session)
        names = ProjectNames(self.name, known, {memory.project for memory in memories if memory.project})
        found = {memory.id: encode_memory(memory) for memory in memories}
        for memory in found.values():
            memory["project"] = memory["project"] and names.to_shared(memory["project"])
        return found

    def project(self, name: str) -> str:
        """The folder here of a repository that every device has, each at another path."""
        folder = self.work / name
        if not folder.is_dir():
            (folder / ".git").mkdir(parents=True)
            (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
            (folder / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {REMOTE}{name}.git\n')
        return str(folder)

    def rows(self, sql: str) -> list[Any]:
        with self.host.app.file.read() as session:
            return session.database.rows(sql)

    def state(self) -> dict[str, Any]:
        """Everything that devices must agree on."""
        with self.host.app.storage.read() as session:
            rules = sorted(map(str, session.retention.rules()))
        return {
            "memories": self.memories(),
            "rules": rules,
            "kept pairs": sorted(self.rows("SELECT first_id, second_id FROM kept_pairs")),
            "erased": sorted(row[0] for row in self.rows("SELECT id FROM erased")),
        }

    def crash(self) -> None:
        self.host.crash()
        for path in self.data.rglob("*damaged*"):
            path.unlink()  # as a user does who is told of it
        self.note_name()


def is_immutable(name: str) -> bool:
    """Whether a file of a sub-folder is one of the log, which is numbered."""
    return name[:1].isdigit() and name.endswith(".age") and not is_litter(name)


class World:
    """Devices, their users, and what carries the folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.random = Random(f"world {seed}")
        self.identity = generate_identity()
        self.log: list[str] = []
        self.counts: Counter[str] = Counter()
        self.words: dict[str, str] = {}
        """Text -> the word that nothing but this text holds."""
        self.revived: set[str] = set()
        """Ids that a user has brought back after they were erased, by an import or a backup."""
        self.devices: list[Device] = []
        for label in ("anna", "bert", "cleo"):
            self.add_device(label).join()

    def add_device(self, label: str) -> Device:
        random = Random(f"{self.seed} {label}")
        wrong = random.choice([timedelta(0), timedelta(hours=1), timedelta(days=3), timedelta(days=400)])
        clock = Clock(START + wrong * random.choice([1, -1]))
        make_model = MODELS.get(self.seed % SEEDS_PER_MODEL)
        model = make_model() if make_model else None
        device = Device(label, self.folder / label, clock, self.identity, model)
        self.devices.append(device)
        return device

    @property
    def members(self) -> list[Device]:
        return [device for device in self.devices if device.is_member]

    def text(self, random: Random) -> str:
        """A text: often one that some device may have stored already."""
        number = random.randrange(10) if random.random() < 0.4 else 100 + len(self.words)
        chosen = Random(f"{self.seed} text {number}")
        word = "".join(chosen.choice(string.ascii_lowercase) for _ in range(14))
        text = f"The box {word} stands in hall {number}"
        self.words[text] = word
        return text

    # --- the history --------------------------------------------------------------------------

    def run(self, steps: int, skipped: frozenset[int] = frozenset()) -> None:
        """Play so many steps, settle, and check; a step's chances do not depend on those before it."""
        with seeded_ids(self.seed):
            for number in range(steps):
                if number not in skipped:
                    self.step(number, Random(f"{self.seed} step {number}"))
            for device in self.devices:
                device.host.run_jobs()  # which finish the erasure of a process that was killed
                if not device.is_member and (self.random.random() < 0.5 or len(self.members) < 2):
                    device.join()
            self.settle()
            self.check()

    def step(self, number: int, random: Random) -> None:
        device = random.choice(self.devices)
        name = random.choices(list(ACTIONS), [weight for weight, _ in ACTIONS.values()])[0]
        kill_at = random.randrange(1, KILLED_WITHIN) if random.random() < find_kill_chance(name) else 0
        device.clock.advance(seconds=random.choice([0, 1, 60, 3600]))
        self.counts[name] += 1
        self.log.append(
            f"{number}: {device.label} {name}" + (f" (killed at write {kill_at})" if kill_at else "")
        )
        try:
            if kill_at:
                with KillSwitch(kill_at).armed():
                    ACTIONS[name][1](self, device, random)
            else:
                ACTIONS[name][1](self, device, random)
        except BadArgument as error:
            self.log[-1] += f" -> {error}"
        except Killed:
            self.counts["killed"] += 1
            device.crash()

    def settle(self) -> None:
        """Carry and synchronize everything until nothing changes any more."""
        reports: list[tuple[str, SyncReport]] = []
        for _ in range(ROUNDS):
            before = [listing(device.own) for device in self.members]
            reports = []
            for device in self.members:
                self.carry_to(device)
                reports.append((device.label, device.sync()))
            if before == [listing(device.own) for device in self.members] and not any(
                report.taken or report.given for _, report in reports
            ):
                return
        raise Broken(f"after {ROUNDS} rounds the devices still write: {reports}")

    # --- the carrier --------------------------------------------------------------------------

    def find_source(self, name: str) -> Device:
        """The device whose copy of a sub-folder is carried: the one that writes in it, or did so last."""
        owners = [device for device in self.members if device.name == name]
        if len(owners) > 1:
            merge_folders(*(device.folder / name for device in owners), [device.given for device in owners])
        if owners:
            return owners[-1]
        former = [device for device in self.devices if name in device.names]
        return max(former, key=lambda device: device.written.get(name, 0))

    def list_folders(self) -> list[str]:
        return sorted({name for device in self.devices for name in device.names})

    def carry_to(self, device: Device) -> None:
        """Bring everything to one device; what left the folder goes."""
        for name in self.list_folders():
            if (source := self.find_source(name)) is not device and device.name != name:
                carry_all(source.folder / name, device.folder / name)

    def carry_some_to(self, device: Device, random: Random) -> None:
        """Bring something of each of some others to one device."""
        for name in self.list_folders():
            source = self.find_source(name)
            if source is not device and device.name != name and random.random() < 0.7:
                gone = source.gone if source.name == name else {}
                carry_some(random, source.folder / name, device.folder / name, gone)

    # --- what must hold -----------------------------------------------------------------------

    def check(self) -> None:
        """Check that all devices hold the same, and that nothing is left of what was erased."""
        first, *others = [(device, device.state()) for device in self.members]
        for device, state in others:
            compare(first[0].label, first[1], device.label, state)
        self.check_erased(first[1])
        self.check_remains(self.members, first[1])
        self.check_joiner(first[0], first[1])

    def check_erased(self, state: Mapping[str, Any]) -> None:
        known = set(state["erased"]) & state["memories"].keys()
        if known:
            raise Broken(f"erased, and there again: {sorted(known)}")

    def check_remains(self, devices: Sequence[Device], state: Mapping[str, Any]) -> None:
        """Look for each word that no memory holds any more in every byte of every file."""
        kept = {memory["content"] for memory in state["memories"].values()}
        lost = {word.encode() for text, word in self.words.items() if text not in kept}
        every = {word.encode() for word in self.words.values()}
        for device in devices:
            device.host.end()
            device.open()
            for path in device.home.rglob("*"):
                if not path.is_file():
                    continue
                data = path.read_bytes()
                sought = lost if path.is_relative_to(device.data) else every
                found = [word for word in sought if word in data]
                if found:
                    raise Broken(f"{path.relative_to(self.folder)} holds {found[0].decode()} in plain text")
            for path in device.own.glob("*.age"):
                data = decrypt_with_identity(path.read_bytes(), self.identity) or b""
                found = [word for word in lost if word in data] if not is_litter(path.name) else []
                if found:
                    raise Broken(f"{device.name}/{path.name} holds {found[0].decode()}, which was erased")

    def check_joiner(self, first: Device, state: Mapping[str, Any]) -> None:
        """A device that joins now takes over the same from the folder alone, and need not embed it."""
        joiner = self.add_device("joiner")
        joiner.join()
        self.carry_to(joiner)
        report = joiner.sync()
        compare(first.label, state, joiner.label, joiner.state())
        if report.given:
            raise Broken(f"the joiner gave {report.given} memories that it had from the others")
        self.settle()
        for device in (joiner, first):
            compare(first.label, state, device.label, device.state())
        if joiner.model is not None:
            joiner.host.run_jobs()
            if joiner.model.documents > (unembedded := self.count_unembedded(joiner)):
                raise Broken(f"the joiner embedded {joiner.model.documents} texts, and {unembedded} came so")

    def count_unembedded(self, device: Device) -> int:
        """How many memories were given to a device before they were embedded."""
        unembedded = set[str]()
        for path in device.folder.rglob("*.age"):
            for line in (decrypt_with_identity(path.read_bytes(), self.identity) or b"").splitlines():
                fields: Any = json.loads(line)
                if fields.get("type") == "memory" and "vectors" not in fields:
                    unembedded.add(fields["id"])
        return len(unembedded)

    def end(self) -> None:
        for device in self.devices:
            device.host.end()


def play(seed: int, steps: int = STEPS, skipped: frozenset[int] = frozenset()) -> World:
    """Play the history of a seed in a folder of its own; return what is left of it.

    Raises:
        Broken: a promise does not hold; its note tells the history.
    """
    place = MEMORY_FOLDER if os.access(MEMORY_FOLDER, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        world = World(Path(folder), seed)
        try:
            world.run(steps, skipped)
        except Exception as error:
            error.add_note("\n".join(world.log))
            raise
        finally:
            world.end()
    return world


def compare(name: str, state: Mapping[str, Any], other_name: str, other: Mapping[str, Any]) -> None:
    """Raise `Broken` on the first difference between the states of two devices."""
    for what in state:
        if state[what] == other[what]:
            continue
        if what != "memories":
            raise Broken(f"{what}: {name} has {state[what]}, {other_name} has {other[what]}")
        for memory_id in sorted(state[what].keys() | other[what].keys()):
            one, two = state[what].get(memory_id), other[what].get(memory_id)
            if one is None or two is None:
                raise Broken(f"{name if two is None else other_name} alone has {memory_id}: {one or two}")
            different = {key: (one[key], two[key]) for key in one if one[key] != two[key]}
            if different:
                raise Broken(f"{memory_id}: {name} and {other_name} differ in {different}")


@contextmanager
def seeded_ids(seed: int) -> Iterator[None]:
    """Let the ids of new memories come from a seed."""
    random = Random(f"ids {seed}")
    with patch.object(memories, "secrets", SimpleNamespace(choice=random.choice)):
        yield


# --- what happens -------------------------------------------------------------------------------


def choose(device: Device, random: Random, count: int = 1) -> list[str]:
    """Ids of some memories, in any state; none if there are too few."""
    known = sorted(device.memories())
    return random.sample(known, count) if len(known) >= count else []


def fields(random: Random, device: Device) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if random.random() < 0.5:
        given["tags"] = random.sample(TAGS, random.randrange(3))
    if random.random() < 0.3:
        given["importance"] = random.choice([0.1, 0.5, 0.9, 1.0])
    if random.random() < 0.2:
        given["metadata"] = {random.choice("xy"): random.randrange(3)}
    if random.random() < 0.2:
        given["expires_at"] = (device.clock.time + timedelta(days=random.choice([1, 50]))).isoformat()
    return given


def store(world: World, device: Device, random: Random) -> None:
    kind = random.choice(KINDS) if random.random() < 0.4 else "semantic"
    device.host.store(world.text(random), kind=kind, **fields(random, device))


def store_in_project(world: World, device: Device, random: Random) -> None:
    device.host.project = device.project(random.choice(["atlas", "borealis"]))
    try:
        device.host.store(world.text(random), scope="project")
    finally:
        device.host.project = None


def store_replacing(world: World, device: Device, random: Random) -> None:
    if ids := choose(device, random):
        device.host.store(world.text(random), replaces=ids, **fields(random, device))


def merge(world: World, device: Device, random: Random) -> None:
    if ids := choose(device, random, 2):
        merge_memories(RequestContext(device.host.app, None), {"ids": ids, "content": world.text(random)})


def edit(world: World, device: Device, random: Random) -> None:
    for memory_id in choose(device, random):
        content = device.memories()[memory_id]["content"]
        arguments = parse_arguments(StoreMemory, {"content": content, **fields(random, device)})
        edit_memory(device.host.app, memory_id, arguments)


def take_back(world: World, device: Device, random: Random) -> None:
    for memory_id in choose(device, random):
        revert(device.host.app, memory_id)


def delete(world: World, device: Device, random: Random) -> None:
    device.host.delete(*choose(device, random))


def erase(world: World, device: Device, random: Random) -> None:
    device.host.delete(*choose(device, random), permanent=True)


def restore(world: World, device: Device, random: Random) -> None:
    deleted = sorted(key for key, memory in device.memories().items() if memory["deleted_at"])
    if deleted:
        restore_memories(device.host.app, [random.choice(deleted)])


def change_rule(world: World, device: Device, random: Random) -> None:
    if random.random() < 0.3:
        clear_rules(device.host.app, None, "")
    else:
        set_rule(device.host.app, random.choice(RULES))


def retain(world: World, device: Device, random: Random) -> None:
    run_retention(device.host.app)


def keep_pair(world: World, device: Device, random: Random) -> None:
    if ids := choose(device, random, 2):
        keep_both_memories(RequestContext(device.host.app, None), {"ids": ids})


def export_all(world: World, device: Device, random: Random) -> None:
    device.exports.append(export(device.host))


def import_all(world: World, device: Device, random: Random) -> None:
    """Import an export that some device made some time ago."""
    made = [data for other in world.devices for data in other.exports]
    if made:
        import_export(device.host, random.choice(made))


def back_up(world: World, device: Device, random: Random) -> None:
    device.host.app.backups.make()


def return_to_backup(world: World, device: Device, random: Random) -> None:
    backups = device.host.app.backups.list_all()
    if backups:
        restore_backup(device.host.app, random.choice(backups).name)


def rescue(world: World, device: Device, random: Random) -> None:
    """Salvage a database that is sound; its user removes the copy of it that is kept."""
    salvage(device.host.app)
    for path in device.data.rglob("*damaged*"):
        path.unlink()
    device.is_member = read_settings(device.host.app) is not None


def run_jobs(world: World, device: Device, random: Random) -> None:
    device.host.run_jobs()


def jump(world: World, device: Device, random: Random) -> None:
    """The clock jumps, or is corrected."""
    device.clock.advance(days=random.choice([-30, -1, 1, 2, 10]))


def be_away(world: World, device: Device, random: Random) -> None:
    """The device is switched off for a year, during which the others go on."""
    device.clock.advance(days=366)
    device.host.end()
    device.open()


def synchronize(world: World, device: Device, random: Random) -> None:
    if device.is_member:
        device.sync()


def carry(world: World, device: Device, random: Random) -> None:
    """Some of what the others have given comes here."""
    world.carry_some_to(device, random)


def carry_and_synchronize(world: World, device: Device, random: Random) -> None:
    world.carry_some_to(device, random)
    synchronize(world, device, random)


def leave(world: World, device: Device, random: Random) -> None:
    """End the synchronization here, with or without removing what was given; join again the next time."""
    if not device.is_member:
        device.join()
    elif sum(one.is_member for one in world.devices) > 2:
        device.leave()
        if random.random() < 0.5:
            shutil.rmtree(device.own, ignore_errors=True)


def join(world: World, device: Device, random: Random) -> None:
    """Another device joins; there are at most four."""
    if len(world.devices) == 3:
        joining = world.add_device("dora")
        joining.join()
        world.carry_some_to(joining, random)
        joining.sync()


def clone(world: World, device: Device, random: Random) -> None:
    """The data directory is copied to another machine, and both go on, under one name at first."""
    if len(world.devices) == 3 and device.is_member:
        device.host.end()
        home = world.folder / "eve"
        shutil.copytree(device.home, home)
        device.open()
        copied = world.add_device("eve")
        copied.names, copied.given, copied.gone = list(device.names), dict(device.given), dict(device.gone)
        copied.written = dict(device.written)
        copied.work = device.work  # two machines of one person, set up alike
        moved = SyncSettings(copied.folder, device.name, world.identity, False)
        write_settings(copied.host.app, moved)


def copy_directory(world: World, device: Device, random: Random) -> None:
    """Keep a copy of the whole data directory, as a backup of the disk has it."""
    device.host.end()
    place = device.home.with_name(f"{device.label}-copy-{len(device.copies)}")
    shutil.copytree(device.data, place)
    device.copies.append(place)
    device.open()


def return_to_copy(world: World, device: Device, random: Random) -> None:
    """Put an old copy of the data directory in the place of the present one."""
    if device.copies:
        device.host.end()
        shutil.rmtree(device.data)
        shutil.copytree(random.choice(device.copies), device.data)
        device.open()
        settings = read_settings(device.host.app)
        device.is_member = settings is not None
        device.note_name()


def lose_file(world: World, device: Device, random: Random) -> None:
    """A file of the own sub-folder is lost, as on another stick."""
    files = sorted(path for path in device.own.glob("*.age") if is_immutable(path.name))
    if files and sum(other.name == device.name for other in world.devices) == 1:
        random.choice(files).unlink()


ACTIONS: dict[str, tuple[float, Action]] = {
    "store": (12, store),
    "store in a project": (2, store_in_project),
    "store replacing": (5, store_replacing),
    "merge": (2, merge),
    "edit": (5, edit),
    "revert": (1, take_back),
    "delete": (5, delete),
    "erase": (3, erase),
    "restore": (3, restore),
    "change a rule": (2, change_rule),
    "run retention": (2, retain),
    "keep a pair": (2, keep_pair),
    "export": (1, export_all),
    "import": (1, import_all),
    "back up": (1, back_up),
    "return to a backup": (0.5, return_to_backup),
    "salvage": (0.4, rescue),
    "run jobs": (1, run_jobs),
    "jump": (2, jump),
    "be away": (0.5, be_away),
    "synchronize": (5, synchronize),
    "carry": (4, carry),
    "carry and synchronize": (14, carry_and_synchronize),
    "copy the directory": (0.4, copy_directory),
    "return to a copy": (0.3, return_to_copy),
    "lose a file": (0.3, lose_file),
    "leave or join again": (0.7, leave),
    "another joins": (0.3, join),
    "clone": (0.3, clone),
}
"""What may happen, how often beside the others, and how."""

KILLABLE = ACTIONS.keys() - {
    *("carry", "copy the directory", "return to a copy", "lose a file", "jump", "be away"),
    *("leave or join again", "another joins", "clone"),
}
"""What a process of this package does; the rest is done by others."""


def find_kill_chance(name: str) -> float:
    """How often a process is killed at this: a synchronization, of which the histories are, more often."""
    if "synchronize" in name:
        return 0.3
    return 0.1 if name in KILLABLE else 0.0
