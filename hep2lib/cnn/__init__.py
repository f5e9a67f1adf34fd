"""GoogLeNet, its weights and its activations (paper, section 2.3)."""

import os

# Large tensors in pages of 2 MB instead of 4 KB, where Linux offers them: every step of training fetches such
# memory from the system anew, page by page. PyTorch reads this at its first large tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
