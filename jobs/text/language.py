"""Which language a text is in, by the letters it is written in: cheap, and right for texts of two words."""

import re

LONGEST = 4000
"""Characters of a text that are read; an encoder reads fewer (256 tokens by default)."""

_LETTER = re.compile(r"[^\W\d_]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002fa1f]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
# A Chinese word has about two characters, an English one about five letters.
_HAN_WEIGHT = 3
# Japanese mixes its own syllables with Han characters; Chinese hardly ever does.
_KANA_SHARE = 0.1


def language_of(text: str, latin_language: str = "en") -> str:
    """en, zh, other, or none for a text without letters; a mixed text is in what most of it is written in.

    ``latin_language``: what Latin letters mean; any other than en makes ``other`` of them.
    """
    letters, han, kana, latin = (len(kind.findall(text[:LONGEST])) for kind in (_LETTER, _HAN, _KANA, _LATIN))
    if not letters:
        return "none"
    if kana > _KANA_SHARE * han:
        han = 0
    rest = letters - han - latin
    most = max(_HAN_WEIGHT * han, latin, rest)
    if han and most == _HAN_WEIGHT * han:
        return "zh"
    return "en" if most == latin and latin_language == "en" else "other"
