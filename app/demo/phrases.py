"""Comments that fit a score and a time: each a sentence with its tags, at times followed by a second one."""

from random import Random

from app.demo.timeline import BAD_RELEASE, OVERHAUL, PRICE_RISE, ROUTE_PLANNER

Words = tuple[tuple[str, tuple[str, ...]], ...]

# The lowest score that is glad, and the highest that is not.
BANDS = {"nps": (9, 6), "csat": (4, 2), "business-review": (4, 2), "onboarding-effort": (6, 3), "feedback": (9, 6)}

GLAD: Words = (
    ("The whole crew knows what to do before the first coffee.", ("planning",)),
    ("Checklists have saved us two audits already.", ("checklists",)),
    ("I told our sister company to switch as well.", ("referral",)),
    ("Finally one calendar for all sites.", ("calendar", "planning")),
    ("Reports that our board actually reads.", ("reports",)),
    ("It simply works, on every phone we own.", ("mobile",)),
    ("Work orders take half the time they used to.", ("work_orders",)),
)
MIXED: Words = (
    ("Good tool, but exporting to our ERP is still manual.", ("export", "integrations")),
    ("Does what it should, the reports could be more flexible.", ("reports",)),
    ("Fine for planners, a bit much for our technicians.", ("usability",)),
    ("We like it. More languages would help.", ("languages",)),
    ("Solid, though search is slow with many work orders.", ("performance", "work_orders")),
)
CROSS: Words = (
    ("Too many clicks for a simple work order.", ("usability", "work_orders")),
    ("Loading the calendar takes ages at our larger sites.", ("performance", "calendar")),
    ("We asked for a proper ERP connection a year ago.", ("integrations",)),
    ("Half of our team went back to spreadsheets.", ("adoption",)),
    ("I cannot find who changed a checklist and when.", ("checklists", "audit")),
)
CROSS_AT_RELEASE: Words = (
    ("Since the last release mobile sync loses our work orders.", ("sync", "release", "mobile")),
    ("The update broke sync and nobody told us for a week.", ("sync", "release", "communication")),
    ("Technicians stand at the boiler without their checklist, sync hangs.", ("sync", "mobile", "checklists")),
    ("Every photo is uploaded three times or not at all.", ("sync", "release")),
    ("We cannot rely on it any more after this release.", ("release", "trust")),
)
CROSS_AT_PRICES: Words = (
    ("More than a tenth on top for the same product is a lot for a small team.", ("price",)),
    ("The new price came without any warning.", ("price", "communication")),
    ("For what it costs now we compare with others.", ("price", "competitor")),
)
GLAD_OF_PLANNER: Words = (
    ("The route planner pays for the whole licence.", ("route_planner", "value")),
    ("Route planner: an hour less on the road for every technician.", ("route_planner",)),
)
QUICK: Words = (
    ("Answered within minutes and solved at once.", ("support", "speed")),
    ("Very patient, explained it to me step by step.", ("support",)),
    ("Problem solved, thank you!", ("support",)),
)
SO_SO: Words = (
    ("Solved in the end, but I had to explain it twice.", ("support",)),
    ("Friendly, though not fast.", ("support", "speed")),
)
SLOW: Words = (
    ("I waited for days for a standard answer.", ("support", "speed")),
    ("The ticket was closed although nothing was solved.", ("support", "quality")),
    ("Passed from one agent to the next.", ("support",)),
)
EASY: Words = (
    ("The guided setup had us running in an afternoon.", ("onboarding",)),
    ("Import of our sites took five minutes.", ("onboarding", "import")),
)
BEARABLE: Words = (
    ("Setup was all right once we had understood the site import.", ("onboarding", "import")),
    ("We needed one call to finish the setup.", ("onboarding",)),
)
HARD: Words = (
    ("We gave up on the site import twice.", ("onboarding", "import")),
    ("The setup guide describes screens that do not exist.", ("onboarding", "documentation")),
    ("Nobody told us in which order to set things up.", ("onboarding",)),
)
AFTERWORDS = ("", "", "", " Happy to talk about it.", " Just our view.", " Keep it up.", " Ask me in a month again.")


def words(survey: str, score: int, *, position: float, rng: Random) -> tuple[str, list[str]]:
    """A comment and its tags for a score given to `survey` at a position of the story; "feedback" is read like NPS."""
    glad, cross = BANDS[survey]
    mood = 0 if score >= glad else 2 if score <= cross else 1
    text, tags = rng.choice(_fitting(survey, mood, position))
    after = AFTERWORDS[: 5 if mood == 2 else None]
    return text + rng.choice(after), list(tags)


def _fitting(survey: str, mood: int, position: float) -> Words:
    """What is said by the glad (0), the undecided (1) and the cross (2)."""
    if survey == "csat":
        return (QUICK, SO_SO, SLOW)[mood]
    if survey == "onboarding-effort":
        return (EASY, BEARABLE, HARD)[mood]
    if mood == 2 and BAD_RELEASE <= position < OVERHAUL + 0.5:
        return CROSS_AT_RELEASE
    if mood == 2 and PRICE_RISE <= position < PRICE_RISE + 4:
        return CROSS_AT_PRICES + CROSS
    if mood == 0 and position > ROUTE_PLANNER + 1.5:
        return GLAD + GLAD_OF_PLANNER
    return (GLAD, MIXED, CROSS)[mood]
