"""The two studies, fine-tuning and SVM, and how their trials are run (paper, sections 2.4 and 2.5)."""
