"""skops' io, without torch: to list scikit-learn's estimators it would walk into the adapter for torch's arrays."""

from types import ModuleType

from expectations.without import without


def skops_io() -> ModuleType:
    """``skops.io``. Its first import takes a fifth of the time so; nothing that it reads or writes knows torch."""
    with without("sklearn.externals.array_api_compat.torch"):
        import skops.io
    return skops.io
