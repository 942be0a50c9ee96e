"""The accounts of the demo: names, plans, regions, sizes, and the roles of some of them in the story."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import chain
from random import Random
from typing import TypeVar

from app.demo.timeline import BAD_RELEASE, ONBOARDING_OVERHAUL, Timeline

T = TypeVar("T")

ID_PREFIX = "demo-"
LAUNCH_PARTNERS = 22

# Each item is drawn once before any is drawn again, so that the few accounts of one month have this mix, whatever the seed.
PLANS_AND_REGIONS = (
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

# Accounts that leave because of the bad release; a returner comes back later.
RELEASE_LEAVERS = ("product_leaver", "returner")
RELEASE_LEAVER_COUNT = 8


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account as it was on its first day.

    joined_on: the day on which its trial started or it signed. won_on: the first paid day; None when the trial was not
    converted. term: the number of months paid at once. role: customer, prospect, whale, early_leaver, fading, product_leaver
    or returner.
    """

    number: int
    name: str
    plan: str
    region: str
    industry: str
    seats: int
    csm: str
    term: int
    joined_on: date
    won_on: date | None
    role: str

    @property
    def id(self) -> str:
        return f"{ID_PREFIX}{self.number:04}"

    @property
    def currency(self) -> str:
        return CURRENCIES[self.region]

    @property
    def has_trial(self) -> bool:
        return self.won_on != self.joined_on


def build_accounts(*, timeline: Timeline, seed: int) -> Iterator[DemoAccount]:
    """Yield all accounts in the order in which they join: launch partners first, then month by month."""
    rng = Random(f"{seed}/company")
    plans_and_regions = repeat_shuffled(PLANS_AND_REGIONS, rng)
    names = repeat_shuffled([f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES], rng)
    release_roles = iter(RELEASE_LEAVERS * (RELEASE_LEAVER_COUNT // len(RELEASE_LEAVERS)))
    starts = chain(_launch_partners(timeline, rng), _later_arrivals(timeline, rng))
    for number, (joined_on, won_on) in enumerate(starts, start=1):
        plan, region = next(plans_and_regions)
        if joined_on != won_on and plan == "enterprise":
            # Enterprise accounts are won by sales, without a trial. Trials are taken by smaller ones.
            won_on = joined_on if won_on else None
            plan = plan if won_on else "growth"
        account = DemoAccount(
            number=number,
            name=next(names),
            plan=plan,
            region=region,
            industry=rng.choice(INDUSTRIES),
            seats=rng.randint(*SEATS[plan]),
            csm=rng.choice(MANAGERS),
            term=rng.choice(TERMS[plan]),
            joined_on=joined_on,
            won_on=won_on,
            role="customer" if won_on else "prospect",
        )
        yield _with_role(account, release_roles, timeline)


def repeat_shuffled(items: Sequence[T], rng: Random) -> Iterator[T]:
    """Yield all items in random order, then all of them again in another order, without end."""
    while True:
        yield from rng.sample(items, len(items))


def _launch_partners(timeline: Timeline, rng: Random) -> Iterator[tuple[date, date | None]]:
    """Yield (joined_on, won_on) of the accounts that sign within the first ten days."""
    for day in sorted([0, *rng.choices(range(10), k=LAUNCH_PARTNERS - 1)]):
        yield timeline.first_day + timedelta(days=day), timeline.first_day + timedelta(days=day)


def _later_arrivals(timeline: Timeline, rng: Random) -> Iterator[tuple[date, date | None]]:
    """Yield (joined_on, won_on) of the accounts that join after the launch: more trials convert after the overhaul."""
    for month in range(2, timeline.months + 2):
        is_overhauled = timeline.position(timeline.first_of_month(month)) >= ONBOARDING_OVERHAUL
        conversions = [True] * 3 + [False] if is_overhauled else [True] * (2 + month % 2) + [False] * (3 - month % 2)
        for day, converts in sorted((rng.randint(0, 25), converts) for converts in conversions):
            joined_on = timeline.first_of_month(month) + timedelta(days=day)
            yield joined_on, joined_on + timedelta(days=rng.choice((14, 14, 21))) if converts else None


def _with_role(account: DemoAccount, release_roles: Iterator[str], timeline: Timeline) -> DemoAccount:
    """Return the account in its role: the first three accounts have fixed ones, some early starters in emea leave."""
    if account.number == 1:
        return replace(account, role="whale", plan="enterprise", region="amer", seats=340, term=12)
    if account.number == 2:
        return replace(account, role="early_leaver", plan="growth", seats=20, term=3)
    if account.number == 3:
        return replace(account, role="fading", plan="growth", seats=30, term=1)
    # They have used the product for weeks before the bad release, so that its effect shows in their numbers.
    is_early = account.won_on is not None and timeline.position(account.won_on) < BAD_RELEASE - 1
    if is_early and (account.plan, account.region) == ("starter", "emea"):
        return replace(account, role=next(release_roles, "customer"), term=1)
    return account
