"""Visits a server with the Python package `fastmcp`. Takes a visit as JSON, prints what came of it as JSON."""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport


async def main(visit):
    transport = StreamableHttpTransport(visit["url"], auth=visit["key"])
    async with Client(transport, mode="legacy" if visit["era"] == "legacy" else "auto") as client:
        tools = [tool.name for tool in await client.list_tools()]
        results = [await client.call_tool_mcp(name, arguments) for name, arguments in visit["calls"]]
        results = [result.model_dump(by_alias=True, mode="json") for result in results]
        return {"revision": client.protocol_version, "tools": tools, "results": results}


print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
