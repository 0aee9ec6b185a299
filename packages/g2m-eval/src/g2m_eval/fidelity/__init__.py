"""Does the patch of a spot match the expression of that very spot?"""
