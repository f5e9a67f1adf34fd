"""Pre-training on procedural images alone: a start that needs no photograph and no download."""
