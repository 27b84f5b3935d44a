"""The demonstration: one model trained whole and split, and what came out."""
