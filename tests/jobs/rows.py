"""Rows of a contract to feed jobs with."""

from datetime import date

from expectations.contract import Column, Table

DAY = date(2024, 3, 10)


def filled(table: Table, **known: object) -> dict:
    """A row of ``table``: what is known, else null where it may stand, the first allowed value, the least number."""
    least = {"string": "", "bool": False, "date": DAY, "strings": [], "dates": []}

    def some(column: Column) -> object:
        if column.nullable:
            return None
        return column.values[0] if column.values else least.get(column.type, max(column.minimum or 0, 0))

    return {column.name: known.get(column.name, some(column)) for column in table.columns}
