"""Visits a server with the Python package `mcp`. Takes a visit as JSON, prints what came of it as JSON."""

import asyncio
import json
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


async def main(visit):
    mode = "legacy" if visit["era"] == "legacy" else "auto"
    if "command" in visit:
        program, *arguments = visit["command"]
        params = StdioServerParameters(command=program, args=arguments, env=visit["env"], cwd=visit["folder"])
        return await look(Client(stdio_client(params), mode=mode), visit["calls"])
    headers = {"Authorization": f"Bearer {visit['key']}"}
    async with httpx2.AsyncClient(headers=headers) as http:
        return await look(Client(streamable_http_client(visit["url"], http_client=http), mode=mode), visit["calls"])


async def look(client, calls):
    async with client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        results = [await client.call_tool(name, arguments) for name, arguments in calls]
        results = [result.model_dump(by_alias=True, mode="json") for result in results]
        return {"revision": client.protocol_version, "tools": tools, "results": results}


print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
