"""A score under every choice of what rests on no principle: pooling, layer, scorer, templates, seed words."""
