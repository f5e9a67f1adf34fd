"""The images and whom they belong to (paper, sections 2.1 and 2.2)."""
