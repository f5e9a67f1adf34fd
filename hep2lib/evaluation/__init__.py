"""What the scores say: metrics, intervals, baselines and figures (paper, section 3)."""
