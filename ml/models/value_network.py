"""The network of the first value-segmentation design: convolution and pooling over behaviour channels, three heads.

A chance of purchase, an amount fed with that chance, and the group of value that a customer's spend falls into, which
is learned beside the two as a further task.
"""

from typing import ClassVar

from ml.models.search import Space
from ml.models.sequence import Sequence


class ValueNetwork(Sequence):
    """Keeps to ``ml.models.base.Model``."""

    space: ClassVar[Space] = {**Sequence.space, "group_weight": (0.3, 0.1)}

    def described(self) -> dict[str, object]:
        return {"encoder": "channels", "groups": 4}
