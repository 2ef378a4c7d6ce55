"""Signs in to a server with the OAuth code of the Python package `mcp`, and lists its tools.

Takes a visit as JSON. Prints the address that a browser would open, reads the one that the browser was sent to in the
end, and prints what came of it.
"""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata


class Memory:
    """Keeps tokens for as long as the visit lasts."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def open_browser(address):
    print(json.dumps({"open": address}), flush=True)


async def wait_for_answer():
    line = await asyncio.to_thread(sys.stdin.readline)
    query = parse_qs(urlsplit(line.strip()).query)
    first = lambda name: query.get(name, [None])[0]
    return AuthorizationCodeResult(code=first("code"), state=first("state"), iss=first("iss"))


async def main(visit):
    memory = Memory()
    metadata = OAuthClientMetadata(redirect_uris=[visit["redirect"]], client_name="Visitor")
    auth = OAuthClientProvider(
        visit["url"], metadata, memory, open_browser, wait_for_answer, client_metadata_url=visit["document"]
    )

    async def look():
        async with httpx2.AsyncClient(auth=auth) as http:
            async with Client(streamable_http_client(visit["url"], http_client=http), mode="auto") as client:
                return [tool.name for tool in (await client.list_tools()).tools]

    tools = await look()
    # Once more, as if the access token had run out: the refresh token has to do.
    first = memory.tokens
    auth.context.update_token_expiry(first.model_copy(update={"expires_in": -1}))
    again = await look()
    assert memory.tokens.access_token != first.access_token
    return {"tools": tools, "again": again, "scope": first.scope}


print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
