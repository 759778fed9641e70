"""What is left out is left out within the block alone."""

import sys

import pytest

from expectations.without import without


def test_a_module_is_missing_within_the_block_and_there_after_it():
    sys.modules.pop("wave", None)
    with pytest.raises(ModuleNotFoundError), without("wave"):
        import wave  # raised within the block, which restores all the same
    import wave

    with without("wave"):  # loaded already: left as it is
        assert sys.modules["wave"] is wave
    assert sys.modules["wave"] is wave
