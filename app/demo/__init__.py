"""Lantern, a made-up SaaS company whose books are worth looking at.

Lantern sells planning software to facility teams: planners open it most days, everyone else a few times a month. The
plans are starter, growth and enterprise; the regions amer, emea, uk and apac. Nothing here is a real company or person.
Its story takes 24 months, and each turn of it can be seen in the numbers:

    month 1       launch with some twenty design partners; after that a few accounts a month, most of them by a trial
    month 9       a bad release breaks mobile sync: tickets treble, resolution takes days, `mobile_sync` is shunned
    month 10      NPS falls below zero; the whale, by far the largest account, goes quiet
    month 11      `starter` accounts in `emea` leave with reason "product"; the whale gives up two fifths of its seats
    month 12      onboarding is overhauled: completion, effort score (CES) and trial conversion rise from here on
    month 13      the whale's renewal is due and decided late, in favour; a customer success manager leaves and her
                  accounts are handed over
    month 14      `route_planner` is launched, its adoption grows to the end; the whale comes back with more seats
    month 15      new prices: all pay them at once (expansion), yearly contracts when they end, the whale never;
                  a few starters leave for it with reason "price" in the months after
    month 16      some of those lost in month 11 come back (reactivation)
    to the end    NPS climbs above where it was before the bad release

Weekends, late December and European Augusts are quiet. Some accounts fall silent weeks before they leave. A few percent
of the events became known 1 to 20 days late, cancellations and invoices more often than clicks.

`story` is the door; it imports the other modules, which know their own matter only:

    timeline   the calendar, and the story's clock        company   who the accounts are
    fates      what becomes of them                       people    their users
    usage, money, support, voice, journey, profile        what they do, as events without id and recorded_on
    events     how one event is spelled                   phrases   what people write
"""
