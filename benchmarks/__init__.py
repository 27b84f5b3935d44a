"""Programs that a person runs on a quiet machine. The package does not depend on them."""
