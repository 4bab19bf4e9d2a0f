"""Scaling studies: runs of one driver at several sizes, and what follows from their times."""
