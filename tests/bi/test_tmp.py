import time
import psycopg
from app.bi import update


def test_it(service, database):
    t = time.perf_counter()
    print(service.run(update.update_views(service.books.database)))
    print(time.perf_counter() - t)
    c = psycopg.connect(database.replace("+psycopg", ""))
    for i in range(2):
        for v in update.all_views():
            t = time.perf_counter()
            rows = c.execute(f"select * from bi.{v.name}").fetchall()
            print(v.name, len(rows), time.perf_counter() - t)
        t = time.perf_counter()
        r = c.execute(
            "explain (analyze, costs off) select * from bi.metric_operands where metric='nps' and month='2026-03-01'"
        ).fetchall()
        print(r[-5:], len(r))
        print(time.perf_counter() - t)
    for x in r:
        print(x[0])
    assert 0
