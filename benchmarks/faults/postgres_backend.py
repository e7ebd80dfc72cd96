class PostgresBackend: faults=()
