"""The embedding space: clusters, their agreement with samples and regions, marker genes, layouts, mixing."""
