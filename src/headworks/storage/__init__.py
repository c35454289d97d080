"""PostgreSQL: the embedded launcher, the pool, migrations, sealing, blobs."""
