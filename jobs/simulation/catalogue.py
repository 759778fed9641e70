"""What the simulated shop sells, and what its customers use: products, devices, ways to pay, countries."""

from dataclasses import dataclass

import numpy as np

from jobs.simulation.categories import CATEGORY_NAMES, CATEGORY_PRICES
from jobs.simulation.plan import Plan
from jobs.simulation.segments import DEPARTMENTS

TIERS = 5
MOBILE_DEVICES = (
    "iPhone 13", "iPhone 14", "iPhone 15", "iPhone SE", "Galaxy S22", "Galaxy S23", "Galaxy A54", "Pixel 7", "Pixel 8",
    "Redmi 12", "Mi 13", "Huawei P50", "iPad", "Galaxy Tab",
)  # fmt: skip
DESKTOP_DEVICES = (
    "Windows Chrome", "Windows Edge", "Windows Firefox", "Mac Safari", "Mac Chrome", "Linux Firefox", "Linux Chrome",
    "Chromebook",
)  # fmt: skip
DEVICES = MOBILE_DEVICES + DESKTOP_DEVICES
# Cards are told apart by their issuer's number, as a payment provider reports them.
WALLETS = ("paypal", "apple pay", "google pay", "invoice", "gift card")
CARDS = tuple(f"{brand} {first}{n:03}" for brand, first in (("visa", 4), ("mastercard", 5)) for n in range(60))
PAYMENTS = WALLETS + CARDS
COUNTRIES = ("DE", "FR", "GB", "NL", "AT", "CN", "US", "BR")
COUNTRY_SHARES = (0.40, 0.16, 0.14, 0.10, 0.08, 0.08, 0.03, 0.01)
CHANNELS = ("web", "app", "store", "email")
WEB, APP, STORE, EMAIL = range(4)


@dataclass(frozen=True)
class Catalogue:
    """Products in order of category, then price tier: each (category, tier) is a run of ``run`` products.

    price: cents. brand: number of the brand. Popularity falls with the place in the run (see ``pick``).
    """

    run: int
    price: np.ndarray
    brand: np.ndarray
    brand_names: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.price)

    @property
    def category(self) -> np.ndarray:
        """Number of each product's category."""
        return np.arange(self.size) // (TIERS * self.run)

    def ids(self) -> list[str]:
        return [f"p{n:06}" for n in range(self.size)]

    def pick(self, category: np.ndarray, tier: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """A product of the category and tier; ``chance`` (0 … 1) squared makes the first of a run the most popular."""
        return ((category * TIERS + tier) * self.run + (chance * chance * self.run).astype(np.int32)).astype(np.int32)

    def mean_price(self) -> np.ndarray:
        """Categories × tiers: expected price of ``pick``, in cents."""
        edge = np.sqrt(np.arange(self.run + 1) / self.run)
        return self.price.reshape(len(CATEGORY_NAMES), TIERS, self.run) @ np.diff(edge)


def make_catalogue(plan: Plan) -> Catalogue:
    """About a product for every twenty customers, 120 … 24,000 of them."""
    random = plan.random("catalogue")
    run = int(np.clip(plan.customers / 20 / len(CATEGORY_NAMES) / TIERS, 1, 200))
    typical = np.array(CATEGORY_PRICES)
    level = np.array([0.4, 0.7, 1.0, 1.6, 2.8])
    spread = np.exp(random.normal(0, 0.12, (len(typical), TIERS, run)))
    # Prices end in 99 cents, as they do.
    price = np.maximum(np.round(typical[:, None, None] * level[None, :, None] * spread), 1) * 100 - 1
    brands = tuple(
        f"{name} {word}" for name in DEPARTMENTS for word in ("basics", "home", "works", "select", "atelier")
    )
    # A department's brands each stand for a price tier; one product in five comes from a neighbour's tier.
    tier = np.broadcast_to(np.arange(TIERS)[None, :, None], price.shape)
    moved = np.clip(tier + random.choice([-1, 0, 1], price.shape, p=[0.1, 0.8, 0.1]), 0, TIERS - 1)
    department = np.arange(len(typical))[:, None, None] // 3
    return Catalogue(run, price.ravel().astype(np.int64), (department * TIERS + moved).ravel(), brands)
