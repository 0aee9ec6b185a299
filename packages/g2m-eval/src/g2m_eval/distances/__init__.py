"""How far two sets of patches are from one another, from their features alone."""
