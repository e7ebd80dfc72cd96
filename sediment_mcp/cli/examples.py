"""Examples for the help of each command; all of them are read by the grammar in a test."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "store": (
        'sediment-mcp store "Postgres on the staging host listens on port 5433." --tag database',
        "git log -1 --format=%B | sediment-mcp store - --kind episodic",
    ),
    "query": (
        'sediment-mcp query "How do I reach the test database?"',
        'sediment-mcp query "release" --tag work --since 2026-01-01 --limit 3 --explain',
    ),
    "list": ("sediment-mcp list --kind procedural --order oldest", "sediment-mcp list --deleted"),
    "delete": (
        "sediment-mcp delete 0a1b2c3d4e5f6a7b",
        "sediment-mcp delete --tag draft --before 2026-01-01 --yes",
    ),
    "restore": ("sediment-mcp restore 0a1b2c3d4e5f6a7b",),
    "history": ("sediment-mcp history 0a1b2c3d4e5f6a7b",),
    "revert": ("sediment-mcp revert 0a1b2c3d4e5f6a7b",),
    "retention": (
        "sediment-mcp retention set --kind episodic --max-age 365",
        "sediment-mcp retention preview",
    ),
    "export": (
        "sediment-mcp export memories.jsonl --embeddings",
        "sediment-mcp export memories.age --encrypt",
        "sediment-mcp export --markdown ~/notes/memories --no-history --no-trash",
    ),
    "import": (
        "sediment-mcp import memories.jsonl",
        "sediment-mcp import ~/notes --tag notes --dry-run",
    ),
    "ui": ("sediment-mcp ui", "sediment-mcp ui --port 8765 --no-browser"),
    "backup": (
        "sediment-mcp backup",
        "sediment-mcp backup /mnt/disk/memories.db",
        "sediment-mcp backup --list",
    ),
    "restore-backup": ("sediment-mcp restore-backup", "sediment-mcp restore-backup ~/memories.db --yes"),
    "doctor": ("sediment-mcp doctor", "sediment-mcp doctor --fix"),
    "reindex": ("sediment-mcp reindex",),
    "stats": ("sediment-mcp stats", "sediment-mcp stats --json"),
    "install": (
        "sediment-mcp install",
        "sediment-mcp install --all",
        "sediment-mcp install cursor --data-dir ~/memories --dry-run",
        "sediment-mcp install cursor --uninstall",
    ),
    "guidance": ("sediment-mcp guidance claude agents", "sediment-mcp guidance cursor --uninstall"),
    "completions": (
        "sediment-mcp completions bash > ~/.local/share/bash-completion/completions/sediment-mcp",
        "sediment-mcp completions fish > ~/.config/fish/completions/sediment-mcp.fish",
        "sediment-mcp completions zsh > ~/.zfunc/_sediment-mcp",
    ),
    "serve": ("sediment-mcp", "sediment-mcp serve --project ~/code/shop"),
}


def epilog(command: str) -> str:
    """What stands below a command's options."""
    return "examples:\n" + "\n".join(f"  {line}" for line in EXAMPLES[command])
