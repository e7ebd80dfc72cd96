"""The storage in a PostgreSQL database, which any number of machines and tenants share."""
