"""Writes health, MRR and NRR of all accounts into the companies of HubSpot, once a night: python hubspot_nightly.py"""

import os
import time
from collections.abc import Iterator
from urllib.parse import quote

import httpx

COMPANIES = os.environ.get("HUBSPOT_COMPANIES", "https://api.hubapi.com/crm/objects/2026-03/companies")
service = httpx.Client(
    base_url=os.environ["CSM_URL"], headers={"Authorization": f"Bearer {os.environ['CSM_KEY']}"}, timeout=120
)
hubspot = httpx.Client(headers={"Authorization": f"Bearer {os.environ['HUBSPOT_TOKEN']}"})


def load(path: str, name: str, **parameters: str) -> Iterator[dict]:
    while True:
        page = service.get(path, params=parameters).raise_for_status().json()
        yield from page[name]
        if page["next"] is None:
            return
        parameters["cursor"] = page["next"]


def write(account: str, properties: dict) -> None:
    url = f"{COMPANIES}/{quote(account, safe='')}?idProperty=csm_account_id"
    texts = {name: "" if value is None else str(value) for name, value in properties.items()}
    while (answer := hubspot.patch(url, json={"properties": texts})).status_code == 429:
        time.sleep(float(answer.headers.get("retry-after", 10)))
    if answer.status_code != 404:  # 404: HubSpot has no such company
        answer.raise_for_status()


year = load("/v1/metrics/nrr", "rows", group_by="account", period="last_12_months", granularity="total")
nrr = {row["group"]["account"]: row["value"] for row in year}
for own in load("/v1/health", "accounts", accounts="all"):
    numbers = {"csm_health": own["score"], "csm_band": own["band"], "csm_mrr": own["mrr"]}
    write(own["account"], numbers | {"csm_nrr": nrr.get(own["account"])})
