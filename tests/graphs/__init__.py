"""Random models, cut at random places and trained whole and split: `python -m graphs`."""
