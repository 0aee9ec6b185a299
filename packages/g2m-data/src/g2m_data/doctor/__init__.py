"""What a person looks at before anyone trains: scale, alignment, genes, slides, and a picture of each section."""
