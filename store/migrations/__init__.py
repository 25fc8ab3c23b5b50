"""The numbered migrations, in order. Alembic reads them; store/migrate.py runs them."""
