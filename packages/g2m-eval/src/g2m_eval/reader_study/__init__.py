"""Can readers tell generated patches from real ones? Create a blinded study, serve it, score the answers."""
