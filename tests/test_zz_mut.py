import pytest, importlib
from datetime import timedelta
import tests.test_two_clocks as tc, tests.test_properties as tp
import app.accounts.history as h, app.ledger.sums as sums, app.metrics.answer as ans, app.ingest.accept as acc
import app.accounts.book as book
def m_first(mp): mp.setattr(h,"first_day", lambda at,*,calendar: calendar.day(at))
def m_parts(mp):
    old=sums._parts
    mp.setattr(sums,"_parts", lambda *a,**k: (lambda r:(r[0],[e for e in r[1] if e.sign>0]))(old(*a,**k)))
def m_member(mp): mp.setattr(ans,"_member_on", lambda q,p: q.start if q.members_on is None else q.members_on)
def m_same(mp): mp.setattr(h,"_same", lambda a,b: a==b)
def m_exact(mp):
    mp.setattr(book,"exact", lambda rows: [(r,0) for r in rows])
def m_always(mp): mp.setattr(ans,"_has_any", lambda f,m: True)
MUT=[m_first,m_parts,m_member,m_same,m_exact,m_always]
@pytest.mark.parametrize("mut", MUT, ids=lambda m:m.__name__)
@pytest.mark.parametrize("t", ["sim","short","earlier","order","retract","calendar"])
def test_m(start, database, mut, t, monkeypatch):
    mut(monkeypatch)
    from datetime import date
    f={"sim":lambda: tc.test_weeks_later_every_day_is_answered_as_it_was_then(start,1,"UTC",1),
     "short":lambda: tc.test_any_short_history_is_answered_as_it_was_known(start()),
     "earlier":lambda: tc.test_history_that_was_known_earlier_is_known_from_then(start()),
     "order":lambda: tp.test_order_batches_and_repeats_make_no_difference(start()),
     "retract":lambda: tp.test_what_was_retracted_might_as_well_never_have_been(start()),
     "calendar":lambda: tp.test_any_question_in_any_calendar_is_answered_as_the_model_does(start,"America/New_York",4,date(2026,3,8))}[t]
    try: f()
    except (AssertionError, Exception) as e: print("KILLED", mut.__name__, t, type(e).__name__)
    else: print("SURVIVED", mut.__name__, t)
