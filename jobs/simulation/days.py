"""One day of the simulated shop: what its delivery holds, and what arrives later."""

from jobs.simulation import rows as table
from jobs.simulation.fraud import fraud_rows
from jobs.simulation.orders import draw_orders, follow_ups
from jobs.simulation.rows import Rows
from jobs.simulation.visits import before_orders, browsing, contacts
from jobs.simulation.world import World


def later_rows(world: World, day: int) -> dict[int, Rows]:
    """What happened on the day, or follows from it, and arrives on another: day of arrival → rows."""
    orders = draw_orders(world, day)
    late = table.take(orders.lines, orders.lines["arrival"] > day)
    rows = table.concat([late, follow_ups(world, day, orders), browsing(world, day, late=True)])
    return table.split_by_arrival(table.take(rows, rows["arrival"] < world.plan.days))


def delivered_rows(world: World, day: int, from_before: list[Rows]) -> Rows:
    """All rows of the day's delivery, in the order of its files; ``from_before``: of ``later_rows`` of earlier days."""
    orders = draw_orders(world, day)
    on_time = table.take(orders.lines, orders.lines["arrival"] == day)
    parts = [contacts(world, day), orders.coupons, on_time, before_orders(world, day, orders), browsing(world, day)]
    return table.in_delivery_order(table.concat([*parts, fraud_rows(world, day), *from_before]))
