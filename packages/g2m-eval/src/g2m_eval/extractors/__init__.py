"""Networks that turn patches into features, each under a name that tells its numbers from those of others."""
