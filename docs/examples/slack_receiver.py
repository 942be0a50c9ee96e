"""Posts alerts and unhappy responses to a channel of Slack: uvicorn slack_receiver:app --port 8080"""

import asyncio
import os
import sqlite3
from html import escape

import httpx
from fastapi import FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

webhook, app, turn = Webhook(os.environ["WEBHOOK_SECRET"]), FastAPI(), asyncio.Lock()
slack = httpx.AsyncClient()
done = sqlite3.connect("slack_receiver.db", isolation_level=None)  # the ids of the messages that Slack has taken
done.execute("CREATE TABLE IF NOT EXISTS message (id PRIMARY KEY)")


def text_of(message: dict) -> str | None:
    data, mark = message["data"], "Test: " if message.get("test") else ""
    name = data["account"]["name"] or data["account"]["id"] if "account" in data else "All accounts"
    if message["type"] in ("alert.triggered", "alert.resolved"):
        return f"{mark}{name}: {data['sentence']} {data['links']['question']}"
    if data.get("class") in ("detractor", "unsatisfied", "difficult"):
        return f"{mark}{name}: {data['survey']} {data['score']}. {data['comment'] or ''} {data['links']['account']}"
    return None


@app.post("/hooks", status_code=204)
async def receive(request: Request) -> None:
    try:
        message = webhook.verify(await request.body(), dict(request.headers))
    except (WebhookVerificationError, ValueError):
        raise HTTPException(401) from None
    text, row = text_of(message), (request.headers["webhook-id"],)
    async with asyncio.timeout(10), turn:
        if text and not done.execute("SELECT 1 FROM message WHERE id = ?", row).fetchone():
            answer = await slack.post(os.environ["SLACK_URL"], json={"text": escape(text, quote=False)})
            if not answer.is_success:
                print(answer.status_code, answer.text, flush=True)
                raise HTTPException(503, headers={"retry-after": answer.headers.get("retry-after", "0")})
            done.execute("INSERT INTO message VALUES (?)", row)
