"""Ids as the shop writes them in one file → as it writes them everywhere, so that events and dimensions meet."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.reading.coded import Coded, blank_to_null
from jobs.reading.yaml_lines import Lined, fields_of

CASES = {"upper": pc.utf8_upper, "lower": pc.utf8_lower}


@dataclass(frozen=True, kw_only=True)
class IdRule:
    """What is taken off an id, in this order: ``suffix`` (.0), ``prefix`` (C), leading zeros; its case comes last."""

    suffix: str = ""
    prefix: str = ""
    zeros: str = ""
    case: str = ""


def check_ids(owner: Lined, columns: dict[str, tuple[str, ...]], ids: tuple[str, ...]) -> dict[str, IdRule]:
    """The ``ids`` of a feed or a dimension: target → rule."""
    raw = owner.get("ids", {})
    if "ids" in owner and not isinstance(raw, Lined):
        owner.fail(f"ids must be target: rule pairs, found {raw!r}", "ids")
    return {target: _rule(raw, target, rule, columns, ids) for target, rule in raw.items()}


def _rule(owner: Lined, target: str, raw: Any, columns: dict[str, tuple[str, ...]], ids: tuple[str, ...]) -> IdRule:
    if target not in ids or target not in columns:
        known = [name for name in ids if name in columns]
        owner.fail(f"ids: {target!r} is no id that columns fill; those are {', '.join(known)}", target)
    rule = IdRule(**fields_of(owner, raw, IdRule, f"ids: {target}", at=target))
    if rule.case not in ("", *CASES):
        raw.fail(f"ids: case must be one of {', '.join(CASES)}, found {rule.case!r}", "case")
    if rule.zeros not in ("", "strip"):
        raw.fail(f"ids: zeros must be strip, found {rule.zeros!r}", "zeros")
    return rule


def clean(ids: Coded, rule: IdRule | None) -> Coded:
    """The ids by the rule; nothing that is left is null."""
    return ids.mapped(lambda texts: _clean(texts, rule)) if rule else ids


def _clean(texts: pa.Array, rule: IdRule) -> pa.Array:
    if rule.suffix:
        ends = pc.ends_with(texts, rule.suffix)
        texts = pc.if_else(ends, pc.utf8_slice_codeunits(texts, 0, -len(rule.suffix)), texts)
    if rule.prefix:
        begins = pc.starts_with(texts, rule.prefix)
        texts = pc.if_else(begins, pc.utf8_slice_codeunits(texts, len(rule.prefix)), texts)
    texts = pc.utf8_trim_whitespace(texts)
    if rule.zeros:
        texts = pc.replace_substring_regex(texts, r"^0+(.)", r"\1")
    return blank_to_null(CASES[rule.case](texts) if rule.case else texts)
