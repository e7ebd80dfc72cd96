"""SQLite alone: connections, migrations, attached databases, file replacement."""
