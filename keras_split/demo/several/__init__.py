"""Several data owners on one machine: real processes, keys and TLS, and what came out."""
