"""The flags that take precedence over the user's variables."""

from __future__ import annotations

from sediment_mcp.config import BACKUPS, DATA_DIR, LOG_LEVEL, MODEL, PROJECT, QUESTIONS, SECRETS, TIMEZONE

FLAGS = {
    DATA_DIR: ("--data-dir", "DIR", "where the memories are"),
    PROJECT: ("--project", "DIR", 'the project memories belong to; "" for none'),
    MODEL: ("--model", "NAME", "an embedding model: a folder, a hub name, or none"),
    LOG_LEVEL: ("--log-level", "LEVEL", "DEBUG, INFO, WARNING or ERROR"),
    SECRETS: ("--secrets", "CHOICE", "warn of a secret in what is stored, or refuse it"),
    QUESTIONS: ("--questions", "CHOICE", "forget questions that find nothing, or keep them for stats"),
    BACKUPS: ("--backups", "N", "how many daily backups to keep; 0 makes none"),
    TIMEZONE: ("--timezone", "ZONE", "whose days count, such as Europe/Berlin; default: the machine's"),
}
"""Variable → its flag, which takes precedence over it."""
