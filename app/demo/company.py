"""Who the accounts are: names, plans, regions, sizes, and the parts that some of them play."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import chain
from random import Random
from typing import TypeVar

from app.demo.timeline import BAD_RELEASE, OVERHAUL, Timeline

T = TypeVar("T")

LAUNCH_PARTNERS = 22

# Dealt like cards, so that even the few accounts of one month have the company's mix whatever the seed.
MIX = (
    *[("starter", "emea")] * 5,
    *[("starter", "amer")] * 3,
    *[("starter", "uk")],
    *[("starter", "apac")],
    *[("growth", "amer")] * 4,
    *[("growth", "emea")] * 2,
    *[("growth", "uk")],
    *[("growth", "apac")],
    *[("enterprise", "amer")] * 2,
    *[("enterprise", "emea")],
)
SEATS = {"starter": (4, 12), "growth": (14, 42), "enterprise": (60, 170)}
TERMS = {"starter": (1, 1, 1, 12), "growth": (1, 1, 3, 12), "enterprise": (12, 12, 3, 6)}
CURRENCIES = {"amer": "USD", "apac": "USD", "emea": "EUR", "uk": "GBP"}
INDUSTRIES = ("healthcare", "education", "retail", "logistics", "hospitality", "public_sector", "manufacturing")
MANAGERS = ("Ines Calder", "Dele Okafor", "Tomoko Brandt", "Marlow Finch")
FIRST_NAMES = (
    *("Alder", "Bramble", "Cobalt", "Dune", "Ember", "Fathom", "Gable", "Harrow", "Ivory", "Juniper", "Kestrel"),
    *("Larch", "Meridian", "Nettle", "Orchard", "Pewter", "Quarry", "Rowan", "Saffron", "Thistle", "Umber", "Willow"),
)
LAST_NAMES = ("Clinics", "Estates", "Foods", "Group", "Hotels", "Logistics", "Parks", "Schools", "Stores", "Works")

LET_DOWN_ACCOUNTS = 8
LET_DOWN = ("product_leaver", "returner")


@dataclass(frozen=True, slots=True)
class Account:
    """One account as it was on its first day.

    joined: the day of its trial or of its signature; won: its first paid day, None for a trial that came to nothing.
    term: months paid at once. part: customer, prospect, whale, early_leaver, product_leaver or returner (who leaves for
    the product as well, and comes back).
    """

    number: int
    name: str
    plan: str
    region: str
    industry: str
    seats: int
    csm: str
    term: int
    joined: date
    won: date | None
    part: str

    @property
    def id(self) -> str:
        return f"demo-{self.number:04}"

    @property
    def currency(self) -> str:
        return CURRENCIES[self.region]

    @property
    def by_trial(self) -> bool:
        return self.won != self.joined


def company(*, timeline: Timeline, seed: int) -> Iterator[Account]:
    """All accounts, in the order in which they came: launch partners first, then month by month."""
    rng = Random(f"{seed}/company")
    mix, names = deal(MIX, rng), deal([f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES], rng)
    let_down = iter(("product_leaver", "returner") * (LET_DOWN_ACCOUNTS // 2))
    for number, (joined, won) in enumerate(chain(_launch(timeline, rng), _arrivals(timeline, rng)), start=1):
        plan, region = next(mix)
        if joined != won and plan == "enterprise":
            # Enterprises are sold by people, the others find the trial themselves.
            won = joined if won else None
            plan = plan if won else "growth"
        account = Account(
            number=number,
            name=next(names),
            plan=plan,
            region=region,
            industry=rng.choice(INDUSTRIES),
            seats=rng.randint(*SEATS[plan]),
            csm=rng.choice(MANAGERS),
            term=rng.choice(TERMS[plan]),
            joined=joined,
            won=won,
            part="customer" if won else "prospect",
        )
        yield _cast(account, let_down, timeline)


def deal(cards: Sequence[T], rng: Random) -> Iterator[T]:
    """The cards in random order, shuffled anew whenever all have been dealt."""
    while True:
        yield from rng.sample(cards, len(cards))


def _launch(timeline: Timeline, rng: Random) -> Iterator[tuple[date, date | None]]:
    for day in sorted([0, *rng.choices(range(10), k=LAUNCH_PARTNERS - 1)]):
        yield timeline.first + timedelta(days=day), timeline.first + timedelta(days=day)


def _arrivals(timeline: Timeline, rng: Random) -> Iterator[tuple[date, date | None]]:
    """(joined, won) of those who come after the launch: more of them stay once onboarding has been overhauled."""
    for month in range(2, timeline.months + 2):
        better = timeline.position(timeline.month(month)) >= OVERHAUL
        won = [True] * 3 + [False] if better else [True] * (2 + month % 2) + [False] * (3 - month % 2)
        for day, stays in sorted((rng.randint(0, 25), stays) for stays in won):
            joined = timeline.month(month) + timedelta(days=day)
            yield joined, joined + timedelta(days=rng.choice((14, 14, 21))) if stays else None


def _cast(account: Account, let_down: Iterator[str], timeline: Timeline) -> Account:
    """The account in the part it plays: the first two are fixed, some early starters in emea will be let down."""
    if account.number == 1:
        return replace(account, part="whale", plan="enterprise", region="amer", seats=340, term=12)
    if account.number == 2:
        return replace(account, part="early_leaver", plan="growth", seats=20, term=3)
    # Weeks with the product before it broke, else they would not miss what they had.
    knew_better = account.won is not None and timeline.position(account.won) < BAD_RELEASE - 1
    if knew_better and (account.plan, account.region) == ("starter", "emea"):
        return replace(account, part=next(let_down, "customer"), term=1)
    return account
