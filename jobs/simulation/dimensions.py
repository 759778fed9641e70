"""What the simulated shop tells of its products, customers and campaigns, as its files hold it."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from expectations.contract import Table
from expectations.dimensions import CAMPAIGNS, CUSTOMERS, PRODUCTS
from jobs.schemas import arrow_schema
from jobs.simulation import catalogue as sold
from jobs.simulation.campaigns import EVERY_DAYS
from jobs.simulation.categories import CATEGORY_NAMES, CATEGORY_WORDS
from jobs.simulation.plan import SOURCE
from jobs.simulation.world import World

GENDERS = ("female", "male", "other")


def products(world: World) -> pa.Table:
    """product, department, category, brand, name, list_price."""
    wares = world.catalogue
    path = [CATEGORY_NAMES[n].split(".") for n in wares.category]
    words = [CATEGORY_WORDS[n][0].split(",") for n in wares.category]
    brand = [wares.brand_names[n] for n in wares.brand]
    return pa.table({
        "product": wares.ids(),
        "department": [department for department, _ in path],
        "category": [category for _, category in path],
        "brand": brand,
        "name": [f"{brand[n]} {several[n % len(several)]} {n}" for n, several in enumerate(words)],
        "list_price": wares.price / 100,
    })  # fmt: skip


def customers(world: World) -> pa.Table:
    """customer, age, gender, income, household_size, country, member_since; one age and income in ten is unknown."""
    who, number = world.customers, np.arange(len(world.customers))
    start = np.datetime64(world.plan.start)
    return pa.table({
        "customer": who.ids(),
        "age": pa.array(who.age.astype(float), mask=number % 10 == 3),
        "gender": pa.array(GENDERS).take(pa.array(who.gender)),
        "income": pa.array(who.income, mask=number % 10 == 7),
        "household_size": who.household_size.astype(float),
        "country": pa.array(sold.COUNTRIES).take(pa.array(who.country)),
        "member_since": (start + who.acquired - who.tenure).astype("datetime64[D]"),
    })  # fmt: skip


def campaigns(world: World) -> pa.Table:
    """campaign, name, channel, first_day, last_day."""
    all_of, plan = world.campaigns, world.plan
    first = [plan.date_of(all_of.start(n)) for n in range(all_of.count)]
    return pa.table({
        "campaign": [all_of.id(n) for n in range(all_of.count)],
        "name": [all_of.name(n) for n in range(all_of.count)],
        "channel": ["email"] * all_of.count,
        "first_day": pa.array(first, pa.date32()),
        "last_day": pa.array([day + timedelta(days=EVERY_DAYS - 1) for day in first], pa.date32()),
    })  # fmt: skip


def in_the_lake(world: World, keys: pa.Array, known_from: date) -> list[tuple[Table, pa.Table]]:
    """The contracts and their tables, as ingestion of the files makes them."""
    wares, people, mails = products(world), customers(world), campaigns(world)
    category = [f"{a}.{b}" for a, b in zip(wares["department"].to_pylist(), wares["category"].to_pylist(), strict=True)]
    filled = (
        (PRODUCTS, {"product_id": wares["product"], "category": category, "brand": wares["brand"],
                   "product_name": wares["name"], "list_price": pa.array(wares["list_price"].to_pylist())}),
        (CUSTOMERS, {"customer_key": keys, "age": people["age"],
                    "gender": people["gender"], "income": people["income"], "region": people["country"],
                    "household_size": people["household_size"], "signup_date": people["member_since"]}),
        (CAMPAIGNS, {"campaign_id": mails["campaign"], "campaign_name": mails["name"], "channel": mails["channel"],
                    "start_date": mails["first_day"], "end_date": mails["last_day"]}),
    )  # fmt: skip
    made = []
    for table, columns in filled:
        size = len(next(iter(columns.values())))
        columns |= {"source": [SOURCE] * size, "arrival_date": [known_from] * size}
        schema = arrow_schema(table)
        rows = pa.table([columns[name] for name in schema.names], names=schema.names)
        made.append((table, rows.cast(schema, safe=False)))
    return made
