"""The page that shows it all: chapters, figures, tables, and every number in a file."""
