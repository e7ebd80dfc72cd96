"""Locations: where a host's file stands on each platform, and which files are here.

A location is a template with ``~`` and the names of folder variables in braces, so that each platform's paths
are known, and can be tested, on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from glob import escape, glob
from pathlib import Path, PurePosixPath

MACOS, WINDOWS, LINUX = "darwin", "win32", "linux"

_FOLDERS = {
    "APPDATA": ("APPDATA", "AppData/Roaming"),
    "LOCALAPPDATA": ("LOCALAPPDATA", "AppData/Local"),
    "XDG_CONFIG_HOME": ("XDG_CONFIG_HOME", ".config"),
    "CLAUDE_CONFIG_DIR": ("CLAUDE_CONFIG_DIR", ""),
    "CLAUDE_SETTINGS": ("CLAUDE_CONFIG_DIR", ".claude"),
    "CODEX_HOME": ("CODEX_HOME", ".codex"),
    "COPILOT_HOME": ("COPILOT_HOME", ".copilot"),
}
"""Name in a template → the variable that moves the folder, and where in the home directory it is without."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that is searched for hosts.

    It is passed as a value, so that the code for each platform can be tested on any machine.
    """

    platform: str  # as in `sys.platform`
    home: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConfigLocation:
    """The place of a host's file, as a template.

    ``~`` and the names of folder variables in braces are filled in.
    """

    file: str
    installed_if: str = ""
    """A path that exists only where the host is installed; may hold stars. By default the file's folder."""
    other_names: tuple[str, ...] = ()
    """What the file may be called instead; the host reads whichever is there."""


LocationsByPlatform = dict[str, tuple[ConfigLocation, ...]]


def locate_everywhere(*locations: ConfigLocation) -> LocationsByPlatform:
    """Return locations that are the same on each platform."""
    return dict.fromkeys((MACOS, WINDOWS, LINUX), locations)


def locate_by_platform(
    macos: str, windows: str, linux: str, *, file: str = "", other_names: tuple[str, ...] = ()
) -> LocationsByPlatform:
    """Return one file for each platform, or a ``file`` within a folder that tells of the host."""
    places = {MACOS: macos, WINDOWS: windows, LINUX: linux}
    return {
        platform: (ConfigLocation(f"{place}/{file}" if file else place, file and place, other_names),)
        for platform, place in places.items()
    }


def join_locations(*parts: LocationsByPlatform) -> LocationsByPlatform:
    """Return the locations of all parts, those of the first one first."""
    return {platform: tuple(one for part in parts for one in part[platform]) for platform in parts[0]}


def find_files(locations: Iterable[ConfigLocation], machine: Machine) -> list[Path]:
    """Return the files of the programs that are installed, each once."""
    found: dict[Path, None] = {}
    for location in locations:
        marker = location.installed_if or str(PurePosixPath(location.file).parent)
        for path in _find_existing(marker, machine):
            if "*" in marker:
                found[Path(f"{path}{location.file.removeprefix(marker)}")] = None
            else:
                found[resolve_location(location, machine)] = None
    return list(found)


def resolve_location(location: ConfigLocation, machine: Machine) -> Path:
    """Return the file of a location, under the name that it has here."""
    path = resolve_path(location.file, machine)
    names = [path, *(path.with_name(name) for name in location.other_names)]
    return next((name for name in names if name.exists()), path)


def resolve_path(template: str, machine: Machine) -> Path:
    """Return the path that a template of the registry stands for on this machine.

    A variable that is empty or no absolute path counts as one that is not set.
    """
    return Path(_fill_in(template, machine, str))


def _find_existing(template: str, machine: Machine) -> list[Path]:
    """Return the existing paths that match a template, which may hold stars."""
    return [Path(path) for path in sorted(glob(_fill_in(template, machine, escape)))]


def _fill_in(template: str, machine: Machine, quote: Callable[[str], str]) -> str:
    """Replace the variables and ``~`` by their values, to each of which ``quote`` is applied."""
    for name, (variable, folder) in _FOLDERS.items():
        value = machine.environment.get(variable, "").strip()
        is_usable = bool(value) and Path(value).is_absolute()
        template = template.replace(f"{{{name}}}", quote(value if is_usable else str(machine.home / folder)))
    return quote(str(machine.home)) + template[1:] if template.startswith("~/") else template
