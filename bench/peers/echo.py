"""A tool that answers what it is asked, by FastMCP: without sessions, in plain JSON. Its argument is the port."""

import sys

from fastmcp import FastMCP
from starlette.responses import PlainTextResponse

server = FastMCP("echo")


@server.tool
def echo(text: str) -> str:
    """Gives the text back."""
    return text


@server.custom_route("/health/ready", methods=["GET"])
async def ready(_request):
    return PlainTextResponse("ready")


server.run(
    transport="http",
    host="127.0.0.1",
    port=int(sys.argv[1]),
    path="/mcp",
    stateless_http=True,
    json_response=True,
    log_level="warning",
    show_banner=False,
    uvicorn_config={"access_log": False},
)
