"""What a check expects, in words: for results, Data Docs and the dictionary."""

from expectations.contract import Check

FOUR_WEEKDAYS = "the last four same weekdays"


def bounds_text(check: Check, number: str = ",g") -> str:
    """In words: at least 1, at most 5, between 1 and 5; ``number`` formats the bounds."""
    low, high = check.minimum, check.maximum
    if low is not None and high is not None:
        return f"between {low:{number}} and {high:{number}}"
    return f"at least {low:{number}}" if low is not None else f"at most {high:{number}}"


def expected(check: Check) -> str:
    """What must hold, in words."""
    column = check.columns[0] if check.columns else ""
    of = f"of {column}" if len(check.columns) == 1 else f"of each of {len(check.columns)} columns"
    match check.kind:
        case "row_count":
            return f"row count {bounds_text(check)}"
        case "value_range":
            return bounds_text(check)
        case "null_share":
            return f"at most {check.maximum:.0%} null"
        case "is_true":
            return f"{column} true in every row"
        case "is_blank":
            return f"{column} empty in every row"
        case "share":
            return f"{column} {bounds_text(check, ',.0%')} of {check.columns[1]}"
        case "volume":
            return f"{column} of each {check.columns[1]} {bounds_text(check, ',.0%')} of its mean of {FOUR_WEEKDAYS}"
        case "null_shift":
            return f"share of nulls {of} at most {check.maximum:.0%} off that of {FOUR_WEEKDAYS}"
        case "mix":
            return f"population stability index {of} {bounds_text(check)} against {FOUR_WEEKDAYS}"
        case "drift":
            return f"population stability index {of} {bounds_text(check)} against {check.days} days before"
        case "newest_days":
            return f"newest {column} {bounds_text(check)} days before the delivery's day"
        case "late_share":
            return (
                f"at most {check.maximum:.0%} of rows with a {column} more than {check.days} days before the delivery's"
            )
        case "unknown_share":
            return f"at most {check.maximum:.0%} of {column} unknown to {check.of}"
        case "counted":
            return f"at most {check.maximum:,g} {check.of}"
        case "share_shift":
            return f"share of each {check.of} at most {check.maximum:.0%} off that of the last day published before"
    raise ValueError(f"no words for a check of kind {check.kind!r}")
