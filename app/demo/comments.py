"""Comments that fit a score and a position of the story: a sentence with tags, sometimes followed by a second one."""

from random import Random

from app.demo.timeline import BAD_RELEASE, ONBOARDING_OVERHAUL, PRICE_RISE, ROUTE_PLANNER

# Sentences with their tags.
Comments = tuple[tuple[str, tuple[str, ...]], ...]

# The lowest score of a positive comment, and the highest of a negative one.
LIMITS = {"nps": (9, 6), "csat": (4, 2), "business-review": (4, 2), "onboarding-effort": (6, 3), "feedback": (9, 6)}

POSITIVE: Comments = (
    ("The whole crew knows what to do before the first coffee.", ("planning",)),
    ("Checklists have saved us two audits already.", ("checklists",)),
    ("I told our sister company to switch as well.", ("referral",)),
    ("Finally one calendar for all sites.", ("calendar", "planning")),
    ("Reports that our board actually reads.", ("reports",)),
    ("It simply works, on every phone we own.", ("mobile",)),
    ("Work orders take half the time they used to.", ("work_orders",)),
)
NEUTRAL: Comments = (
    ("Good tool, but exporting to our ERP is still manual.", ("export", "integrations")),
    ("Does what it should, the reports could be more flexible.", ("reports",)),
    ("Fine for planners, a bit much for our technicians.", ("usability",)),
    ("We like it. More languages would help.", ("languages",)),
    ("Solid, though search is slow with many work orders.", ("performance", "work_orders")),
)
NEGATIVE: Comments = (
    ("Too many clicks for a simple work order.", ("usability", "work_orders")),
    ("Loading the calendar takes ages at our larger sites.", ("performance", "calendar")),
    ("We asked for a proper ERP connection a year ago.", ("integrations",)),
    ("Half of our team went back to spreadsheets.", ("adoption",)),
    ("I cannot find who changed a checklist and when.", ("checklists", "audit")),
)
RELEASE_NEGATIVE: Comments = (
    ("Since the last release mobile sync loses our work orders.", ("sync", "release", "mobile")),
    ("The update broke sync and nobody told us for a week.", ("sync", "release", "communication")),
    ("Technicians stand at the boiler without their checklist, sync hangs.", ("sync", "mobile", "checklists")),
    ("Every photo is uploaded three times or not at all.", ("sync", "release")),
    ("We cannot rely on it any more after this release.", ("release", "trust")),
)
PRICE_NEGATIVE: Comments = (
    ("More than a tenth on top for the same product is a lot for a small team.", ("price",)),
    ("The new price came without any warning.", ("price", "communication")),
    ("For what it costs now we compare with others.", ("price", "competitor")),
)
ROUTE_PLANNER_POSITIVE: Comments = (
    ("The route planner pays for the whole licence.", ("route_planner", "value")),
    ("Route planner: an hour less on the road for every technician.", ("route_planner",)),
)
SUPPORT_POSITIVE: Comments = (
    ("Answered within minutes and solved at once.", ("support", "speed")),
    ("Very patient, explained it to me step by step.", ("support",)),
    ("Problem solved, thank you!", ("support",)),
)
SUPPORT_NEUTRAL: Comments = (
    ("Solved in the end, but I had to explain it twice.", ("support",)),
    ("Friendly, though not fast.", ("support", "speed")),
)
SUPPORT_NEGATIVE: Comments = (
    ("I waited for days for a standard answer.", ("support", "speed")),
    ("The ticket was closed although nothing was solved.", ("support", "quality")),
    ("Passed from one agent to the next.", ("support",)),
)
ONBOARDING_POSITIVE: Comments = (
    ("The guided setup had us running in an afternoon.", ("onboarding",)),
    ("Import of our sites took five minutes.", ("onboarding", "import")),
)
ONBOARDING_NEUTRAL: Comments = (
    ("Setup was all right once we had understood the site import.", ("onboarding", "import")),
    ("We needed one call to finish the setup.", ("onboarding",)),
)
ONBOARDING_NEGATIVE: Comments = (
    ("We gave up on the site import twice.", ("onboarding", "import")),
    ("The setup guide describes screens that do not exist.", ("onboarding", "documentation")),
    ("Nobody told us in which order to set things up.", ("onboarding",)),
)
SECOND_SENTENCES = (
    "",
    "",
    "",
    " Happy to talk about it.",
    " Just our view.",
    " Keep it up.",
    " Ask me in a month again.",
)


def choose_comment(survey: str, score: int, *, position: float, rng: Random) -> tuple[str, list[str]]:
    """Return a comment and its tags for a score of `survey` at a position. "feedback" has the limits of NPS."""
    positive_from, negative_up_to = LIMITS[survey]
    sentiment = 0 if score >= positive_from else 2 if score <= negative_up_to else 1
    text, tags = rng.choice(_comments_for(survey, sentiment, position))
    second_sentences = SECOND_SENTENCES[: 5 if sentiment == 2 else None]
    return text + rng.choice(second_sentences), list(tags)


def _comments_for(survey: str, sentiment: int, position: float) -> Comments:
    """Return the comments to choose from. sentiment: positive (0), neutral (1) or negative (2)."""
    if survey == "csat":
        return (SUPPORT_POSITIVE, SUPPORT_NEUTRAL, SUPPORT_NEGATIVE)[sentiment]
    if survey == "onboarding-effort":
        return (ONBOARDING_POSITIVE, ONBOARDING_NEUTRAL, ONBOARDING_NEGATIVE)[sentiment]
    if sentiment == 2 and BAD_RELEASE <= position < ONBOARDING_OVERHAUL + 0.5:
        return RELEASE_NEGATIVE
    if sentiment == 2 and PRICE_RISE <= position < PRICE_RISE + 4:
        return PRICE_NEGATIVE + NEGATIVE
    if sentiment == 0 and position > ROUTE_PLANNER + 1.5:
        return POSITIVE + ROUTE_PLANNER_POSITIVE
    return (POSITIVE, NEUTRAL, NEGATIVE)[sentiment]
