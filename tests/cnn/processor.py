"""What the processor must have for some tests to say anything."""

import pytest

from hep2lib.cnn import convolution

needs_bf16 = pytest.mark.skipif(
    not convolution._onednn_has_bf16(),
    reason="where oneDNN has no bf16, PyTorch's operators compute it, and they promise no equal bits",
)
