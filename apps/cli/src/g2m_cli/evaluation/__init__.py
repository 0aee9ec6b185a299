"""What `g2m eval` composes: scores, pictures, the report."""
