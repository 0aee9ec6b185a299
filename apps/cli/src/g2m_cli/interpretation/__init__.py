"""What `g2m interpret` composes: genes between clusters, their gene sets, tissue redrawn from edited expression."""
