"""The flags that take precedence over the user's variables."""

from __future__ import annotations

from sediment_mcp.config import (
    AUDIT,
    AUDIT_DAYS,
    BACKUPS,
    DATA_DIR,
    DATABASE,
    KEY_COMMAND,
    LOG_LEVEL,
    MODEL,
    PROJECT,
    QUESTIONS,
    RERANKER,
    SECRETS,
    TEAM,
    TENANT,
    TIMEZONE,
)
from sediment_mcp.config_access import OIDC_AUDIENCE, OIDC_ISSUER, OIDC_TEAM_CLAIM, OIDC_TENANT_CLAIM

FLAGS = {
    DATA_DIR: ("--data-dir", "DIR", "where the memories are"),
    PROJECT: ("--project", "DIR", 'the project memories belong to; "" for none'),
    MODEL: ("--model", "NAME", "an embedding model: a folder, a hub name, or none"),
    RERANKER: ("--reranker", "NAME", "a cross-encoder for doubtful results: a folder or a hub name"),
    LOG_LEVEL: ("--log-level", "LEVEL", "DEBUG, INFO, WARNING or ERROR"),
    SECRETS: ("--secrets", "CHOICE", "warn of a secret in what is stored, or refuse it"),
    QUESTIONS: ("--questions", "CHOICE", "forget questions that find nothing, or keep them for stats"),
    BACKUPS: ("--backups", "N", "how many daily backups to keep; 0 makes none"),
    TIMEZONE: ("--timezone", "ZONE", "whose days count, such as Europe/Berlin; default: the machine's"),
    DATABASE: ("--database", "URL", "a PostgreSQL database in the place of a file here"),
    TENANT: ("--tenant", "NAME", "whose memories these are, in a database of several"),
    TEAM: ("--team", "NAME", "the team whose memories are shared"),
    OIDC_ISSUER: ("--oidc-issuer", "URL", "an identity provider whose tokens let somebody in"),
    OIDC_AUDIENCE: ("--oidc-audience", "NAME", "for whom those must be; default: the public address"),
    OIDC_TENANT_CLAIM: ("--oidc-tenant-claim", "CLAIM", "the claim with the tenant; default: one a user"),
    OIDC_TEAM_CLAIM: ("--oidc-team-claim", "CLAIM", "the claim with the team"),
    AUDIT: ("--audit", "CHOICE", "record nothing (off), changes, all, or texts of questions too"),
    AUDIT_DAYS: ("--audit-days", "DAYS", "how long records of calls are kept"),
    KEY_COMMAND: ("--key-command", "COMMAND", "what prints the recovery code of an encrypted directory"),
}
"""Variable → its flag, which takes precedence over it."""
