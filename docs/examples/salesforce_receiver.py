"""Keeps health and MRR of the accounts in Salesforce up to date: uvicorn salesforce_receiver:app --port 8080"""

import asyncio
import os
import sqlite3
from urllib.parse import quote

import httpx
from fastapi import FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

ACCOUNTS = "/services/data/v66.0/sobjects/Account/Csm_Account_Id__c"
CLIENT = {"client_id": os.environ["SALESFORCE_CLIENT_ID"], "client_secret": os.environ["SALESFORCE_CLIENT_SECRET"]}
NAMES = {"mrr.moved": {"Csm_Mrr__c": "value"}, "health.band_changed": {"Csm_Health__c": "score", "Csm_Band__c": "band"}}
webhook, app, turn = Webhook(os.environ["WEBHOOK_SECRET"]), FastAPI(), asyncio.Lock()
salesforce = httpx.AsyncClient(base_url=os.environ["SALESFORCE_URL"])
last = sqlite3.connect("salesforce_receiver.db", isolation_level=None)  # the last message of each topic and account
last.execute("CREATE TABLE IF NOT EXISTS message (topic, account, id, at, PRIMARY KEY (topic, account))")


@app.post("/hooks", status_code=204)
async def receive(request: Request) -> None:
    try:
        message = webhook.verify(await request.body(), dict(request.headers))
    except (WebhookVerificationError, ValueError):
        raise HTTPException(401) from None
    topic, data = message["type"], message["data"]
    if topic not in NAMES or message.get("test"):
        return
    values = {name: data[field] for name, field in NAMES[topic].items()}
    row = (topic, data["account"]["id"], request.headers["webhook-id"], message["timestamp"].rstrip("Z"))
    async with asyncio.timeout(10), turn:  # one after the other, so that the newest one stands
        if last.execute("SELECT 1 FROM message WHERE topic = ? AND account = ? AND (id = ? OR at > ?)", row).fetchone():
            return
        url = f"{ACCOUNTS}/{quote(row[1], safe='')}?updateOnly=true"
        answer = await salesforce.patch(url, json=values)
        if answer.status_code == 401:  # no token yet, or one that has expired
            login = await salesforce.post("/services/oauth2/token", data={"grant_type": "client_credentials"} | CLIENT)
            salesforce.headers["authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"
            answer = await salesforce.patch(url, json=values)
        if not answer.is_success and answer.status_code != 404:  # 404: Salesforce has no such account
            print(answer.status_code, answer.text, flush=True)
            raise HTTPException(503)
        last.execute("REPLACE INTO message VALUES (?, ?, ?, ?)", row)
