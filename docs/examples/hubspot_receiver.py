"""Keeps health and MRR of the companies in HubSpot up to date: uvicorn hubspot_receiver:app --port 8080"""

import asyncio
import os
import sqlite3
from urllib.parse import quote

import httpx
from fastapi import FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

COMPANIES = os.environ.get("HUBSPOT_COMPANIES", "https://api.hubapi.com/crm/objects/2026-03/companies")
PROPERTIES = {"mrr.moved": {"csm_mrr": "amount"}, "health.band_changed": {"csm_health": "score", "csm_band": "band"}}
webhook, app, turn = Webhook(os.environ["WEBHOOK_SECRET"]), FastAPI(), asyncio.Lock()
hubspot = httpx.AsyncClient(headers={"Authorization": f"Bearer {os.environ['HUBSPOT_TOKEN']}"})
last = sqlite3.connect("hubspot_receiver.db", isolation_level=None)  # the last message of each topic and account
last.execute("CREATE TABLE IF NOT EXISTS message (topic, account, id, at, PRIMARY KEY (topic, account))")
IS_OLD = "SELECT 1 FROM message WHERE topic = ? AND account = ? AND (id = ? OR at > ?)"


@app.post("/hooks", status_code=204)
async def receive(request: Request) -> None:
    try:
        message = webhook.verify(await request.body(), dict(request.headers))
    except (WebhookVerificationError, ValueError):
        raise HTTPException(401) from None
    topic, data = message["type"], message["data"]
    if topic not in PROPERTIES or message.get("test"):
        return
    values = {name: "" if data[field] is None else str(data[field]) for name, field in PROPERTIES[topic].items()}
    row = (topic, data["account"]["id"], request.headers["webhook-id"], message["timestamp"].rstrip("Z"))
    async with asyncio.timeout(10), turn:  # one after the other, so that the newest one stands
        if last.execute(IS_OLD, row).fetchone():
            return
        url = f"{COMPANIES}/{quote(row[1], safe='')}?idProperty=csm_account_id"
        answer = await hubspot.patch(url, json={"properties": values})
        if not answer.is_success and answer.status_code != 404:  # 404: HubSpot has no such company
            print(answer.status_code, answer.text, flush=True)
            raise HTTPException(503, headers={"retry-after": answer.headers.get("retry-after", "0")})
        last.execute("REPLACE INTO message VALUES (?, ?, ?, ?)", row)
