"""Comments that fit a score and a position of the story: a sentence with tags, sometimes followed by a second one."""

from random import Random

from app.demo.lifecycle import Lifecycle
from app.demo.timeline import BAD_RELEASE, ONBOARDING_OVERHAUL, PRICE_RISE

# Sentences with their tags. A word in braces is replaced by one of those in `WORDS`.
Comments = tuple[tuple[str, tuple[str, ...]], ...]

# The lowest score of a positive comment, and the highest of a negative one.
LIMITS = {"nps": (9, 6), "csat": (4, 2), "business-review": (4, 2), "onboarding-effort": (6, 3), "feedback": (9, 6)}

WORDS: dict[str, tuple[str, ...]] = {
    "who": ("technicians", "caretakers", "night shift", "contractors", "field team", "cleaners", "site managers"),
    "thing": ("boiler", "lift", "freezer", "smoke alarm", "sprinkler", "loading dock", "roof hatch", "generator"),
    "some": ("two", "three", "four", "five", "six", "eight"),
    "boss": ("board", "landlord", "head office", "auditor", "insurer", "finance team"),
    "tool": ("spreadsheets", "paper", "WhatsApp", "email", "the whiteboard"),
}

POSITIVE: Comments = (
    ("The {who} know what to do before the first coffee.", ("planning",)),
    ("Checklists have saved us {some} audits already.", ("checklists",)),
    ("I told our sister company to switch as well.", ("referral",)),
    ("Finally one calendar for all {some} sites.", ("calendar", "planning")),
    ("Reports that our {boss} actually reads.", ("reports",)),
    ("It simply works, on every phone we own.", ("mobile",)),
    ("Work orders take half the time they used to.", ("work_orders",)),
    ("When a {thing} fails at night, the right person knows it within minutes.", ("alerts",)),
    ("Our {who} asked for it at the second site themselves.", ("adoption",)),
    ("Photo notes ended the discussions with our {boss}.", ("photo_notes",)),
    ("We got rid of {tool} in {some} weeks.", ("adoption", "value")),
    ("New colleagues need no training for it.", ("usability",)),
    ("Best purchase of the year for my department.", ("value",)),
    ("Maintenance of every {thing} is on time for the first time.", ("planning", "calendar")),
    ("The {who} no longer call me to ask what is next.", ("planning", "mobile")),
    ("Clear, fast, no fuss.", ("usability",)),
    ("You listen: {some} of our wishes are in the product now.", ("communication",)),
)
NEUTRAL: Comments = (
    ("Good tool, but exporting to our ERP is still manual.", ("export", "integrations")),
    ("Does what it should, the reports could be more flexible.", ("reports",)),
    ("Fine for planners, a bit much for our {who}.", ("usability",)),
    ("We like it. More languages would help our {who}.", ("languages",)),
    ("Solid, though search is slow with many work orders.", ("performance", "work_orders")),
    ("We use perhaps a third of it.", ("adoption",)),
    ("Okay. I miss recurring work orders for each {thing}.", ("work_orders", "calendar")),
    ("Works well at the desk, less so on older phones.", ("mobile",)),
    ("Our {boss} would like charts by site.", ("reports",)),
    ("It took {some} weeks until everybody used it, now it is fine.", ("adoption", "onboarding")),
    ("Good, not outstanding.", ()),
    ("Permissions are too coarse: {who} see everything or nothing.", ("permissions",)),
)
NEGATIVE: Comments = (
    ("Too many clicks for a simple work order.", ("usability", "work_orders")),
    ("Loading the calendar takes ages at our larger sites.", ("performance", "calendar")),
    ("We asked for a proper ERP connection a year ago.", ("integrations",)),
    ("Half of our {who} went back to {tool}.", ("adoption",)),
    ("I cannot find who changed a checklist and when.", ("checklists", "audit")),
    ("The numbers in the monthly report do not match what our {boss} gets.", ("reports", "quality")),
    ("Every update moves a button.", ("usability",)),
    ("Alerts for the {thing} arrive hours later.", ("alerts", "performance")),
    ("Inviting {some} people took me a whole morning.", ("permissions", "usability")),
    ("Nobody here remembers why we bought it.", ("adoption", "value")),
    ("Export breaks as soon as there are umlauts in a name.", ("export", "languages")),
    ("Our {who} get the same notification {some} times.", ("alerts",)),
)
RELEASE_NEGATIVE: Comments = (
    ("Since the last release mobile sync loses our work orders.", ("sync", "release", "mobile")),
    ("The update broke sync and nobody told us for a week.", ("sync", "release", "communication")),
    ("Our {who} stand at the {thing} without their checklist, sync hangs.", ("sync", "release", "checklists")),
    ("Every photo is uploaded {some} times or not at all.", ("sync", "release")),
    ("We cannot rely on it any more after this release.", ("release", "trust")),
    ("Back to {tool} until the app works again.", ("release", "adoption")),
    ("Who tested this release?", ("release", "quality")),
)
SYNC_NEGATIVE: Comments = (
    ("Mobile sync is so slow that our {who} do not open the app any more.", ("sync", "mobile")),
    ("You fixed sync for the big customers. For us it still hangs.", ("sync", "trust")),
    ("Sync ran for {some} hours and then the work orders were gone.", ("sync", "work_orders")),
    ("In the basement the app has no data, and upstairs sync has a timeout.", ("sync", "mobile")),
    ("Our {who} type everything twice because sync loses it.", ("sync", "work_orders")),
    ("The {thing} was reported as done {some} days after it was.", ("sync", "quality")),
    ("Third ticket about sync, third time «we are looking into it».", ("sync", "support")),
    ("We pay for a mobile tool that works at the desk only.", ("sync", "value")),
    ("Without working sync on the phones it is a calendar, and we have one.", ("sync", "competitor")),
    ("Another tool synced our {some} sites at the first attempt.", ("sync", "competitor")),
    ("Sync again. We have stopped reporting it.", ("sync",)),
    ("The phones of our {who} show yesterday's plan.", ("sync", "planning")),
    ("Photos of the {thing} never arrived, and the {boss} wants them.", ("sync", "photo_notes")),
    ("Half of our {who} are back on {tool}, because of sync.", ("sync", "adoption")),
)
PRICE_NEGATIVE: Comments = (
    ("More than a tenth on top for the same product is a lot for a small team.", ("price",)),
    ("The new price came without any warning.", ("price", "communication")),
    ("For what it costs now we compare with others.", ("price", "competitor")),
    ("I had to explain the new invoice to our {boss} {some} times.", ("price",)),
    ("We pay for seats that our {who} never use, and now more.", ("price", "value")),
)
ROUTE_PLANNER_POSITIVE: Comments = (
    ("The route planner pays for the whole licence.", ("route_planner", "value")),
    ("Route planner: an hour less on the road for every technician.", ("route_planner",)),
    ("Since we plan routes with it, {some} visits a day more.", ("route_planner", "planning")),
    ("We wanted to leave. The route planner changed that.", ("route_planner", "retention")),
    ("Our {who} fight over who gets the planned route.", ("route_planner", "adoption")),
    ("Fuel costs are down since the route planner, our {boss} is happy.", ("route_planner", "value")),
)
SUPPORT_POSITIVE: Comments = (
    ("Answered within minutes and solved at once.", ("support", "speed")),
    ("Very patient, explained it to me step by step.", ("support",)),
    ("Problem solved, thank you!", ("support",)),
    ("Called me back before I had finished my tea.", ("support", "speed")),
    ("She understood at once what our {who} need.", ("support", "quality")),
    ("Found the cause in {some} minutes.", ("support", "speed")),
    ("Good explanation, with a screenshot.", ("support",)),
    ("The workaround does it for now.", ("support",)),
)
SUPPORT_NEUTRAL: Comments = (
    ("Solved in the end, but I had to explain it twice.", ("support",)),
    ("Friendly, though not fast.", ("support", "speed")),
    ("The answer was a link to the manual.", ("support", "documentation")),
    ("It works again, I do not know why.", ("support",)),
)
SUPPORT_NEGATIVE: Comments = (
    ("I waited for days for a standard answer.", ("support", "speed")),
    ("The ticket was closed although nothing was solved.", ("support", "quality")),
    ("Passed from one agent to the next.", ("support",)),
    ("{some} emails, no solution.", ("support", "quality")),
    ("I was asked for a log file that our {who} cannot make.", ("support", "usability")),
)
SYNC_SUPPORT_NEGATIVE: Comments = (
    ("They made me install the app again. Sync still hangs.", ("support", "sync")),
    ("Closed as known problem. Known since when?", ("support", "sync")),
    ("The agent was kind and cannot do anything about sync.", ("support", "sync")),
    ("{some} tickets about sync, no date for a fix.", ("support", "sync")),
    ("Our work orders are still missing after sync.", ("support", "sync", "work_orders")),
)
ONBOARDING_POSITIVE: Comments = (
    ("The guided setup had us running in an afternoon.", ("onboarding",)),
    ("Import of our sites took {some} minutes.", ("onboarding", "import")),
    ("I had expected a project, it was a coffee break.", ("onboarding",)),
    ("The example company helped our {who} a lot.", ("onboarding", "documentation")),
)
ONBOARDING_NEUTRAL: Comments = (
    ("Setup was all right once we had understood the site import.", ("onboarding", "import")),
    ("We needed {some} calls to finish the setup.", ("onboarding",)),
    ("Fine, though inviting the {who} was fiddly.", ("onboarding", "permissions")),
)
ONBOARDING_NEGATIVE: Comments = (
    ("We gave up on the site import {some} times.", ("onboarding", "import")),
    ("The setup guide describes screens that do not exist.", ("onboarding", "documentation")),
    ("Nobody told us in which order to set things up.", ("onboarding",)),
    ("It does not accept our list with one row for each {thing}.", ("onboarding", "import")),
)
SECOND_SENTENCES = (
    *("",) * 9,
    " Happy to talk about it.",
    " Just our view.",
    " Ask me in a month again.",
    " We are a team of {some}.",
    " Our {who} say so too.",
    " My {boss} asks as well.",
    " Keep it up.",
    " Thank you!",
)
# The last ones are for friendly comments only.
_FRIENDLY = 2


def choose_comment(
    survey: str, score: int, *, lifecycle: Lifecycle, position: float, rng: Random
) -> tuple[str, list[str]]:
    """Return a comment of an account and its tags, for a score of `survey` at a position. "feedback" has the limits of NPS."""
    positive_from, negative_up_to = LIMITS[survey]
    sentiment = 0 if score >= positive_from else 2 if score <= negative_up_to else 1
    text, tags = rng.choice(_comments_for(survey, sentiment, lifecycle, position))
    text += rng.choice(SECOND_SENTENCES[: -_FRIENDLY if sentiment == 2 else None])
    for name, words in WORDS.items():
        text = text.replace(f"{{{name}}}", rng.choice(words))
    return text[0].upper() + text[1:], list(tags)


def _comments_for(survey: str, sentiment: int, lifecycle: Lifecycle, position: float) -> Comments:
    """Return the comments to choose from. sentiment: positive (0), neutral (1) or negative (2)."""
    has_bad_sync = lifecycle.account.is_hit_by_sync and position >= BAD_RELEASE
    if survey == "csat":
        negative = SUPPORT_NEGATIVE + SYNC_SUPPORT_NEGATIVE if has_bad_sync else SUPPORT_NEGATIVE
        return (SUPPORT_POSITIVE, SUPPORT_NEUTRAL, negative)[sentiment]
    if survey == "onboarding-effort":
        return (ONBOARDING_POSITIVE, ONBOARDING_NEUTRAL, ONBOARDING_NEGATIVE)[sentiment]
    if sentiment == 2 and BAD_RELEASE <= position < ONBOARDING_OVERHAUL + 0.5:
        return RELEASE_NEGATIVE
    if sentiment == 2 and has_bad_sync:
        return SYNC_NEGATIVE
    if sentiment == 2 and PRICE_RISE <= position < PRICE_RISE + 4:
        return PRICE_NEGATIVE + NEGATIVE
    if sentiment == 0 and lifecycle.plans_routes_at(position - 1):
        return POSITIVE + ROUTE_PLANNER_POSITIVE
    return (POSITIVE, NEUTRAL, NEGATIVE)[sentiment]
