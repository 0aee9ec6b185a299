"""Readers of Space Ranger's output folders."""
