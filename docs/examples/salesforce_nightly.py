"""Writes health, MRR and NRR of all accounts into the accounts of Salesforce, once a night: python salesforce_nightly.py"""

import os
from collections.abc import Iterator
from urllib.parse import quote

import httpx

ACCOUNTS = "/services/data/v66.0/sobjects/Account/Csm_Account_Id__c"
CLIENT = {"client_id": os.environ["SALESFORCE_CLIENT_ID"], "client_secret": os.environ["SALESFORCE_CLIENT_SECRET"]}
service = httpx.Client(
    base_url=os.environ["CSM_URL"], headers={"Authorization": f"Bearer {os.environ['CSM_KEY']}"}, timeout=120
)
salesforce = httpx.Client(base_url=os.environ["SALESFORCE_URL"])
login = salesforce.post("/services/oauth2/token", data={"grant_type": "client_credentials"} | CLIENT)
salesforce.headers["authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"


def load(path: str, name: str, **parameters: str) -> Iterator[dict]:
    while True:
        page = service.get(path, params=parameters).raise_for_status().json()
        yield from page[name]
        if page["next"] is None:
            return
        parameters["cursor"] = page["next"]


year = load("/v1/metrics/nrr", "rows", group_by="account", period="last_12_months", granularity="total")
nrr = {row["group"]["account"]: row["value"] for row in year}
for own in load("/v1/health", "accounts", accounts="all"):
    fields = {"Csm_Health__c": own["score"], "Csm_Band__c": own["band"], "Csm_Mrr__c": float(own["mrr"])}
    fields["Csm_Nrr__c"] = nrr.get(own["account"])
    answer = salesforce.patch(f"{ACCOUNTS}/{quote(own['account'], safe='')}?updateOnly=true", json=fields)
    if answer.status_code != 404:  # 404: Salesforce has no such account
        answer.raise_for_status()
