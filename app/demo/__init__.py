"""The demo: events of Lantern, a fictional SaaS company.

Lantern sells planning software to facility teams. Planners use it on most days, other users a few times a month. The plans are
starter, growth and enterprise; the regions amer, emea, uk and apac. Nothing here is a real company or person. Lantern has been
selling for five years; of the first three, there are subscriptions and renewals only. The story takes the 24 months after them.
All that happens can be seen in the numbers:

    all the time  a few accounts sign each month, a few trials convert, most expire, some leads never try; some accounts leave,
                  for reasons of their own, and most of them use the product less for months before
    month 9       a bad release breaks mobile sync: three times as many tickets, which take days; `mobile_sync` is hardly used
    month 10      NPS falls below zero; the whale, by far the largest account, uses the product less
    month 11      `starter` accounts in `emea` churn with reason "product"; the whale gives up a third of its seats;
                  Lantern puts its first health model, in which answers to surveys weigh as much as usage
    month 12      mobile sync works again, but not for `starter` accounts in `emea`, whose shared server is too slow for it. From
                  here to the end they hardly use it, write more than twice as many tickets, say so in comments tagged "sync", and
                  leave three times as often as others: the segment `starter_emea`, which nobody manages. Onboarding is
                  overhauled: completion, effort score (CES) and trial conversion are better from here on
    month 13      the whale's renewal is due and is completed late; a customer success manager leaves and her accounts get
                  another one
    month 14      `route_planner` is launched for the larger plans, and its adoption grows to the end. Accounts that use it seldom
                  leave: compare the segments `with_route_planner` and `without_route_planner`. The whale adds more seats than it
                  gave up
    month 15      new prices, for all accounts at once (expansion), for yearly contracts when they end, never for the whale;
                  a few starter accounts churn with reason "price" in the following months
    month 16      some of those that churned in month 11 return (reactivation)
    month 17      a second health model, in which usage weighs more, since many had answered well before they left
    month 19      the plan for a year. A half of it later, one of its targets is met (customers won), one is missed (customers
                  lost), and one is behind (churn of `starter_emea`)
    month 21      accounts that a partner in the uk resells give up half of their seats. The partner reports it on the 25th of
                  month 24 only, so MRR from month 21 on is restated by more than 1%
    month 24      an account that grew for two years loses its sponsor, says so in a survey, gives up seats and fades: its
                  health is among the worst
    to the end    NPS rises above its value before the bad release

There is less activity on weekends, around New Year and in European Augusts. Some accounts fall silent weeks before they churn,
and the health of most of these is overridden by then. CRMs are half-filled: of many accounts, nobody knows industry or sponsor. A
few percent of the events are recorded 1 to 20 days late, cancellations and costs more often than others.

`story` puts everything together, and `load` stores it:

    timeline     calendar days, and the position of the story on a day
    accounts     the accounts: plan, region, size, role           lifecycle    what happens to each of them
    users        the users of an account                          attributes   its name and attributes
    onboarding   trials, onboarding and goals                     usage        sessions and uses of features
    billing      subscriptions, renewals, purchases and costs     tickets      support tickets
    surveys      survey responses and feedback                    comments     the texts of these
    alerts       what the team wants to know at once
    health       health models and overrides                      targets      the targets of the plan
    events       one event, before it has an id and a recorded day
"""
