"""A worker on the Python package `mcp`: claims the next item, says what it is doing, finishes it, until nothing is
ready.

Its environment says where it works: TRACKSIDE_MCP_URL, TRACKSIDE_API_KEY, TRACKSIDE_PROJECT_ID. It prints each claim as
a line of JSON. With STOP_AFTER_CLAIMS it goes no further than half-way with that claim, and then waits for ever.

With IS_LED it does what somebody tells it to: each line that it reads is a tool and its arguments, as in
`["list_work", {}]`, and it prints whether that was done, and what was answered, as a line of JSON.
"""

import asyncio
import hashlib
import json
import os
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

PROJECT = os.environ["TRACKSIDE_PROJECT_ID"]
STOP_AFTER = int(os.environ.get("STOP_AFTER_CLAIMS", "0"))
IS_LED = "IS_LED" in os.environ


async def call(client, tool, arguments):
    """Whether a tool did what it was asked, and what it answers."""
    result = await client.call_tool(tool, {"projectId": PROJECT, **arguments})
    result = result.model_dump(by_alias=True, mode="json")
    return not result["isError"], result["structuredContent"]


async def get(client, tool, arguments):
    is_done, answer = await call(client, tool, arguments)
    assert is_done, answer
    return answer


async def work(client):
    claims = 0
    while True:
        is_done, claim = await call(client, "claim_work", {"leaseSeconds": 30})
        if not is_done:
            assert claim["code"] == "nothing_ready", claim
            return
        print(json.dumps(claim), flush=True)
        claims += 1
        held = {name: claim[name] for name in ["workItemId", "leaseId", "fencingToken"]}
        await get(client, "update_work", {**held, "task": "reading what there is"})
        if claims == STOP_AFTER:
            await asyncio.Event().wait()
        commit = hashlib.sha1(claim["item"]["title"].encode()).hexdigest()[:7]
        await get(client, "finish_work", {**held, "commit": commit})


async def follow(client):
    while line := await asyncio.to_thread(sys.stdin.readline):
        is_done, answer = await call(client, *json.loads(line))
        print(json.dumps({"isDone": is_done, "answer": answer}), flush=True)


async def main():
    url, key = os.environ["TRACKSIDE_MCP_URL"], os.environ["TRACKSIDE_API_KEY"]
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http:
        async with Client(streamable_http_client(url, http_client=http), mode="auto") as client:
            await (follow if IS_LED else work)(client)


asyncio.run(main())
