"""What stores promise, put to every store; PostgreSQL where a server can be started."""
