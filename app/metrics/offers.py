"""What features offer to each other: what one defines and another one uses.

Features do not import each other. A feature fills its place in OFFERS when its module is imported, which `load_catalogues` does.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

from app.books.books import Books
from app.core.periods import Period
from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.metrics.question import Question
from app.metrics.results import Result


class TrendPoint(NamedTuple):
    """A number of a period in the trend of a target. target: None where it did not hold in all of the period.

    reached: whether the value reaches the target; None without one of them.
    """

    period: Period
    value: float | int | None
    target: float | None
    reached: bool | None


class TargetStanding(NamedTuple):
    """How near a target is in one period.

    title: what the target is about, as people say it. group: of `segment`, `filter`, `subject` and `channel` those that it is
    about. clipped: whether it holds on a part of the period only. expected: the value that the path has by now. projection: the
    value at the end of the period, by the `projection_rule`, a sentence. interval: of value and projection, at 95%. amount,
    target_amount: of metrics in money. status: met, on_track, behind, missed or no_data. question: the path of the question
    behind the value.
    """

    id: str
    title: str
    metric: str
    convention: str
    unit: str
    direction: str
    granularity: str
    group: Mapping[str, str]
    period: Period
    clipped: bool
    value: float | int | None
    amount: str | None
    target: float
    target_amount: str | None
    baseline: float | None
    attainment: float | None
    expected: float | None
    projection: float | None
    projection_rule: str
    interval: tuple[float, float] | None
    sample_size: int | None
    numerator: float | int | None
    denominator: float | int | None
    gap: float | None
    status: str
    reason: str | None
    trend: Sequence[TrendPoint]
    question: str

    @property
    def name(self) -> str:
        """The name of its row for the cursor."""
        return self.id


class OpenItem(NamedTuple):
    """A thing that waits. days: whole days from the day on which it occurred to today."""

    id: str
    account_id: str
    occurred_at: datetime
    days: int


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """What waits of an account: how many things, and the oldest of them."""

    count: int
    oldest: OpenItem


@dataclass(frozen=True, slots=True)
class OpenItems:
    """What waits for an answer: how many, whose, and the path of their list; without a path where no list has them.

    accounts: those with the oldest things first; of a summary, only the first of them.
    """

    count: int
    accounts: Sequence[OpenAccount]
    link: str | None

    @property
    def oldest(self) -> OpenItem | None:
        """The oldest of all."""
        return self.accounts[0].oldest if self.accounts else None


class HealthChange(NamedTuple):
    """The health of a customer on a day and on an earlier one, both by the model of the later day.

    account: its key (see `account_key`). mrr: on the later day, in ledger units per month. Scores are from 0 to 100.
    """

    account: Any
    mrr: int | Fraction
    score: float
    band: str
    earlier_score: float
    earlier_band: str


class LoadHealthChanges(Protocol):
    """Returns the health of the customers with the most MRR that have a score on both days, as known now or on `as_of`.

    largest: the percentage of all customers that are looked at.
    """

    async def __call__(
        self,
        connection: Connection,
        books: Books,
        *,
        largest: float,
        day: date,
        earlier_day: date,
        as_of: date | None = None,
    ) -> list[HealthChange]: ...


class WeakPart(NamedTuple):
    """A component of health and how many points it costs."""

    component: str
    title: str
    value: float | None
    unit: str
    points_lost: float


class CustomerHealth(NamedTuple):
    """The health of a customer at the end of a day.

    account: its key. score: in hundredths of a point. mrr: as text. load_weakest: returns what costs it most points.
    """

    account: Any
    score: int
    band: str
    model_version: int
    coverage: float
    mrr: str
    load_weakest: Callable[[], list[WeakPart]]


class LoadCustomerHealth(Protocol):
    """Returns the health of all customers that have a score on a day."""

    async def __call__(self, connection: Connection, books: Books, *, day: date) -> list[CustomerHealth]: ...


class AccountHealth(NamedTuple):
    """The health of an account at the end of a day.

    account: its key. score: in hundredths of a point; None without one. mrr: as text. components: as the API shows them.
    """

    account: int
    score: int | None
    band: str | None
    coverage: float
    flags: Sequence[str]
    is_customer: bool
    mrr: str
    override_score: int | None
    model_version: int
    components: Sequence[Mapping[str, Any]]


class LoadAccountHealth(Protocol):
    """Returns the health of all accounts with any data on a day, ordered by their keys."""

    async def __call__(self, connection: Connection, books: Books, *, day: date) -> list[AccountHealth]: ...


class Restatement(NamedTuple):
    """A number of a period that had ended has changed on a day.

    events: how many events of each type may have caused it. event_ids: of some of them. account: of a number of each account.
    """

    period: Period
    recorded_on: date
    before: Result
    after: Result
    events: Sequence[Mapping[str, Any]]
    event_ids: Sequence[str]
    account: str | None = None


class LoadRestatements(Protocol):
    """Returns the restatements of a number, or of the number of each account, of the days from `since` on."""

    async def __call__(
        self, connection: Connection, books: Books, question: Question, *, since: date
    ) -> list[Restatement]: ...


class LoadStandings(Protocol):
    """Returns the standing of every target in the period that contains today, or the day `as_of`.

    day: in the period that contains this earlier day instead, as it is known by then.
    """

    async def __call__(
        self, connection: Connection, books: Books, *, as_of: date | None = None, day: date | None = None
    ) -> list[TargetStanding]: ...


class LoadOpenItems(Protocol):
    """Returns what waits for an answer, now or at the end of the day `as_of`. is_summary: the first account is enough."""

    async def __call__(
        self, connection: Connection, books: Books, *, as_of: date | None = None, is_summary: bool = False
    ) -> OpenItems: ...


class Message(NamedTuple):
    """A message for the subscribers of a topic. data: as the topic declares it.

    account_id, event_id: of the event whose erasure erases the message, if it says something of a person.
    """

    topic: str
    data: Mapping[str, Any]
    account_id: int | None = None
    event_id: str | None = None


class PublishMessages(Protocol):
    """Writes messages to the outbox, within the transaction that causes them: they are delivered if it commits.

    Messages of topics without a subscriber are left out. at: the time of what they tell. The statements are sent without waiting
    for their results.
    """

    async def __call__(self, connection: Connection, messages: Sequence[Message], *, at: datetime) -> None: ...


class Comparison(NamedTuple):
    """Two numbers that should be equal, and where they are."""

    left: float
    right: float
    location: dict[str, Any]


class DataChecks(NamedTuple):
    """Checks of `/v1/checks` that look at the same data. sentences: by name. compare: returns what to compare today, by name."""

    sentences: Mapping[str, str]
    compare: Callable[[Connection, Books, date], Awaitable[Mapping[str, Sequence[Comparison]]]]


class LoadAnnotations(Protocol):
    """Returns what a feature knows of the numbers of a question, each an `Annotation`."""

    async def __call__(self, connection: Connection, books: Books, question: Question) -> Sequence[Any]: ...


LoadAccountMember = Callable[[Connection, Books, str, date], Awaitable[dict[str, Any]]]


class Offers:
    """The functions by what they return. One that is missing raises AttributeError: its feature was not loaded.

    checks: for `/v1/checks`. annotations: of the numbers of a question. account_members: by name, what else the overview of an
    account has; each returns it for an account that exists, by its id, on a day. account_schemas: of what they return. The
    OpenAPI document reads them when all are there. publish_messages: tells webhooks. subscribed_topics: loads the names of the
    topics that anybody subscribes to, for who has to do much to make a message. watch_steps: what the watch does besides alerts
    and news, again and again; none of them raises.
    """

    target_standings: LoadStandings
    open_detractors: LoadOpenItems
    health_changes: LoadHealthChanges
    customer_health: LoadCustomerHealth
    account_health: LoadAccountHealth
    restatements: LoadRestatements
    publish_messages: PublishMessages
    subscribed_topics: Callable[[], QueryPlan[frozenset[str]]]

    def __init__(self) -> None:
        """Begin without checks, annotations, steps of the watch and members of overviews."""
        self.checks: list[DataChecks] = []
        self.annotations: list[LoadAnnotations] = []
        self.watch_steps: list[Callable[[Books], Awaitable[None]]] = []
        self.account_members: dict[str, LoadAccountMember] = {}
        self.account_schemas: dict[str, Any] = {}

    def add_account_member(self, name: str, load: LoadAccountMember, schema: Any) -> None:
        """Add a member to the overview of accounts."""
        self.account_members[name] = load
        self.account_schemas[name] = schema


OFFERS = Offers()
