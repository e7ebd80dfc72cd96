"""The flags that take precedence over the user's variables."""

from __future__ import annotations

from sediment_mcp.config import (
    BACKUPS,
    DATA_DIR,
    DATABASE,
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
}
"""Variable → its flag, which takes precedence over it."""
