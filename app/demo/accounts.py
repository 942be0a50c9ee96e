"""The accounts of the demo: names, plans, regions, sizes, and the roles of some of them in the story."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import chain
from random import Random
from typing import NamedTuple, TypeVar

from app.demo.timeline import BAD_RELEASE, ONBOARDING_OVERHAUL, Timeline, add_months, random_round

T = TypeVar("T")

ID_PREFIX = "demo-"
# Lantern has been selling for so many months before the 24 of the story. Of that time there are subscriptions and renewals only.
EARLIER_MONTHS = 36

# Each item is drawn once before any is drawn again, so that the few accounts of one month have this mix, whatever the seed.
PLANS_AND_REGIONS = (
    *[("starter", "emea")] * 8,
    *[("starter", "amer")] * 4,
    *[("starter", "uk")] * 2,
    *[("starter", "apac")],
    *[("growth", "amer")] * 5,
    *[("growth", "emea")] * 4,
    *[("growth", "uk")] * 2,
    *[("growth", "apac")] * 2,
    *[("enterprise", "amer")] * 3,
    *[("enterprise", "emea")] * 2,
    *[("enterprise", "uk")],
)
SEATS = {"starter": (3, 10), "growth": (9, 25), "enterprise": (24, 62)}
TERMS = {"starter": (1, 1, 1, 12), "growth": (1, 1, 3, 12, 12), "enterprise": (12, 12, 3, 6)}
CURRENCIES = {"amer": "USD", "apac": "USD", "emea": "EUR", "uk": "GBP"}
COUNTRIES = {
    "amer": ("US", "US", "US", "CA", "MX", "BR"),
    "emea": ("DE", "DE", "FR", "NL", "ES", "IT", "PL", "SE", "AT"),
    "uk": ("GB", "GB", "GB", "IE"),
    "apac": ("AU", "AU", "NZ", "SG", "JP"),
}
MANAGERS = ("Ines Calder", "Dele Okafor", "Tomoko Brandt", "Marlow Finch")
# The last words of names by industry, and the first words by region.
INDUSTRIES = {
    "healthcare": ("Clinics", "Care Homes", "Dental Group", "Medical Centre", "Health"),
    "education": ("Schools", "Academy Trust", "Campus Services", "College", "Learning"),
    "retail": ("Stores", "Markets", "Foods", "Outfitters", "Garden Centres"),
    "logistics": ("Logistics", "Freight", "Cold Storage", "Depots", "Haulage"),
    "hospitality": ("Hotels", "Resorts", "Catering", "Inns", "Leisure"),
    "public_sector": ("Housing", "Libraries", "Parks", "Water", "Transit"),
    "manufacturing": ("Works", "Mills", "Components", "Packaging", "Glass"),
}
FIRST_WORDS = {
    "amer": (
        *(
            "Alder",
            "Bramble",
            "Cobalt",
            "Dunmore",
            "Ember Creek",
            "Fathom",
            "Gable",
            "Harrow",
            "Ironwood",
            "Juniper",
            "Kestrel",
        ),
        *(
            "Larch",
            "Meridian",
            "Nettle",
            "Orchard Bay",
            "Pewter",
            "Quarry Hill",
            "Rowan",
            "Saffron",
            "Thistle",
            "Willow",
        ),
    ),
    "emea": (
        *(
            "Altmühl",
            "Bergström",
            "Castellan",
            "Drosselfeld",
            "Eikenhof",
            "Fontalba",
            "Grünwerk",
            "Hallmark Nord",
            "Isarblick",
        ),
        *(
            "Jansma",
            "Kowalik",
            "Lindqvist",
            "Morvan",
            "Nordlys",
            "Oosterveld",
            "Palmarola",
            "Quintero",
            "Rautenberg",
            "Solveig",
        ),
        *("Tarrasol", "Uhlenhorst", "Vermeulen", "Wisnik", "Zephyros"),
    ),
    "uk": (
        *(
            "Ashcombe",
            "Brackenridge",
            "Calderside",
            "Dunsford",
            "Everly",
            "Fenwick Lane",
            "Greystoke",
            "Hollins",
            "Inverallan",
        ),
        *("Kelmarsh", "Larkfield", "Mossley", "Northgate", "Pendle", "Ravenscar", "Thornbury"),
    ),
    "apac": (
        *(
            "Akatea",
            "Banksia",
            "Coolabah",
            "Eastharbour",
            "Harumi",
            "Jarrah",
            "Kowhai",
            "Mizuho Bay",
            "Orchid Road",
            "Pohutu",
        ),
        *("Redgum", "Southern Cross", "Tanjong", "Waratah"),
    ),
}

# Accounts that leave because of the bad release; a returner comes back later.
RELEASE_LEAVERS = ("product_leaver", "returner")
RELEASE_LEAVER_COUNT = 8
# Accounts with these roles joined not more than so many months before the story.
RECENT_MONTHS = 14
# Accounts that a partner in the uk resells, and whose changes it reports a quarter late.
RESOLD_COUNT = 4


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account as it was on its first day.

    joined_on: the day on which its trial started, it signed, or it was entered as a lead. won_on: the first paid day; None when
    it never bought. term: the number of months paid at once. role: customer, prospect, lead (which never even tried), whale,
    early_leaver, fading, resold, product_leaver or returner.
    """

    number: int
    name: str
    plan: str
    region: str
    country: str
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
        return self.won_on != self.joined_on and self.role != "lead"

    @property
    def has_manager(self) -> bool:
        """Whether it has a customer success manager of its own: starter accounts and leads have none."""
        return self.plan != "starter" and self.role != "lead"

    @property
    def is_hit_by_sync(self) -> bool:
        """Whether mobile sync stays broken for it: of starter accounts in emea, whose shared server is too slow for it."""
        return (self.plan, self.region) == ("starter", "emea")


class _Start(NamedTuple):
    """When an account joins, and on which day it is won."""

    joined_on: date
    won_on: date | None
    role: str = "customer"


def build_accounts(*, timeline: Timeline, seed: int) -> Iterator[DemoAccount]:
    """Yield all accounts: three with a story of their own, then the others in the order in which they join."""
    rng = Random(f"{seed}/company")
    plans_and_regions = repeat_shuffled(PLANS_AND_REGIONS, rng)
    names = _CompanyNames(rng)
    release_roles = iter(RELEASE_LEAVERS * (RELEASE_LEAVER_COUNT // len(RELEASE_LEAVERS)))
    resold_roles = iter(("resold",) * RESOLD_COUNT)
    starts = chain(_protagonists(timeline), _earlier_arrivals(timeline, rng), _arrivals(timeline, rng))
    for number, start in enumerate(starts, start=1):
        plan, region = next(plans_and_regions)
        won_on = start.won_on
        if start.joined_on != won_on and plan == "enterprise":
            # Enterprise accounts are won by sales, without a trial. Trials are taken by smaller ones.
            won_on = start.joined_on if won_on else None
            plan = plan if won_on else "growth"
        industry = rng.choice(list(INDUSTRIES))
        account = DemoAccount(
            number=number,
            name=names.choose(region, industry),
            plan=plan,
            region=region,
            country=rng.choice(COUNTRIES[region]),
            industry=industry,
            seats=_draw_seats(plan, rng),
            csm=rng.choice(MANAGERS),
            term=rng.choice(TERMS[plan]),
            joined_on=start.joined_on,
            won_on=won_on,
            role=start.role,
        )
        yield _with_role(account, release_roles, resold_roles, timeline)


def _draw_seats(plan: str, rng: Random) -> int:
    """Return a number of seats: small accounts are more frequent than large ones."""
    low, high = SEATS[plan]
    return low + int((high - low + 1) * rng.random() ** 1.5)


class _CompanyNames:
    """Names of companies that do not exist, none of them twice."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._first_words = {region: repeat_shuffled(words, rng) for region, words in FIRST_WORDS.items()}
        self._used: set[str] = set()

    def choose(self, region: str, industry: str) -> str:
        while True:
            name = f"{next(self._first_words[region])} {self._rng.choice(INDUSTRIES[industry])}"
            if name not in self._used:
                self._used.add(name)
                return name


def repeat_shuffled(items: Sequence[T], rng: Random) -> Iterator[T]:
    """Yield all items in random order, then all of them again in another order, without end."""
    while True:
        yield from rng.sample(items, len(items))


def _protagonists(timeline: Timeline) -> Iterator[_Start]:
    """Yield the starts of the first three accounts, which sign in the first days of the story."""
    for day, role in ((0, "whale"), (6, "early_leaver"), (0, "fading")):
        signed_on = timeline.first_day + timedelta(days=day)
        yield _Start(signed_on, signed_on, role)


def _earlier_arrivals(timeline: Timeline, rng: Random) -> Iterator[_Start]:
    """Yield the accounts of before the story, more of them from year to year. Who did not buy then is forgotten."""
    for month in range(1 - EARLIER_MONTHS, 1):
        count = random_round(1.8 + 2.6 * (month + EARLIER_MONTHS) / EARLIER_MONTHS + rng.random() - 0.5, rng)
        for day in sorted(rng.randint(0, 27) for _ in range(count)):
            signed_on = timeline.first_of_month(month) + timedelta(days=day)
            yield _Start(signed_on, signed_on)


def _arrivals(timeline: Timeline, rng: Random) -> Iterator[_Start]:
    """Yield the accounts that join month by month: more trials convert after the overhaul of onboarding."""
    for month in range(1, timeline.months + 2):
        position = timeline.position(timeline.first_of_month(month))
        chance = 0.25 if position < ONBOARDING_OVERHAUL else 0.42
        starts = [
            _trial_start(timeline, month, rng.random() < chance, rng) for _ in range(round(7.5 + rng.gauss(0, 1.3)))
        ]
        starts += [_signed_start(timeline, month, rng) for _ in range(rng.choice((1, 2, 2, 3)))]
        starts += [_lead_start(timeline, month, rng) for _ in range(rng.choice((0, 1, 1, 2)))]
        yield from sorted(starts, key=lambda start: start.joined_on)


def _trial_start(timeline: Timeline, month: int, converts: bool, rng: Random) -> _Start:
    joined_on = _random_day(timeline, month, rng)
    won_on = joined_on + timedelta(days=rng.choice((9, 14, 14, 14, 21)))
    return _Start(joined_on, won_on) if converts else _Start(joined_on, None, "prospect")


def _signed_start(timeline: Timeline, month: int, rng: Random) -> _Start:
    signed_on = _random_day(timeline, month, rng)
    return _Start(signed_on, signed_on)


def _lead_start(timeline: Timeline, month: int, rng: Random) -> _Start:
    return _Start(_random_day(timeline, month, rng), None, "lead")


def _random_day(timeline: Timeline, month: int, rng: Random) -> date:
    return timeline.first_of_month(month) + timedelta(days=rng.randint(0, 27))


def _with_role(
    account: DemoAccount, release_roles: Iterator[str], resold_roles: Iterator[str], timeline: Timeline
) -> DemoAccount:
    """Return the account in its role: the first three have fixed ones, some early starters in emea leave, some are resold."""
    if account.role == "whale":
        return replace(account, plan="enterprise", region="amer", country="US", seats=140, term=12)
    if account.role == "early_leaver":
        return replace(account, plan="growth", seats=16, term=3)
    if account.role == "fading":
        return replace(account, plan="growth", seats=24, term=1)
    # They have used the product for weeks before the bad release, so that its effect shows in their numbers.
    is_early = account.won_on is not None and timeline.position(account.won_on) < BAD_RELEASE - 1
    if is_early and account.is_hit_by_sync and account.joined_on >= add_months(timeline.first_day, -RECENT_MONTHS):
        return replace(account, role=next(release_roles, "customer"), term=1)
    if (
        account.won_on
        and account.joined_on >= add_months(timeline.first_day, -RECENT_MONTHS)
        and account.region == "uk"
    ):
        role = next(resold_roles, "customer")
        return replace(account, role=role, plan="growth", seats=34, term=1) if role == "resold" else account
    return account
