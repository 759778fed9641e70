"""What a shop may choose about its texts: section ``text`` of <home>/settings.yaml."""

from dataclasses import dataclass

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
ANY_LANGUAGE = "any"


@dataclass(frozen=True)
class TextSettings:
    """How texts become numbers.

    encoder             name of a sentence-transformers model: the default, which comes with the environment; one in
                        this machine's Hugging Face cache; or the folder of one. Nothing is ever downloaded
    encoder_languages   languages that the encoder understands, as en,zh, or ``any``: only their topics are told
    latin_language      language of what is written in Latin letters; any other than en leaves its sentiment out
    """

    encoder: str = DEFAULT_ENCODER
    encoder_languages: str = "en"
    latin_language: str = "en"

    def understands(self, language: str) -> bool:
        """Whether the encoder's vectors of texts in ``language`` mean something."""
        known = [name.strip() for name in self.encoder_languages.split(",")]
        return ANY_LANGUAGE in known or language in known
