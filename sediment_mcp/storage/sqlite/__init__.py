"""What only SQLite has: connections, migrations, attached databases, file replacement."""
