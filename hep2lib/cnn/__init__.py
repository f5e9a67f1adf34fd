"""GoogLeNet, its weights and its activations (paper, section 2.3)."""
