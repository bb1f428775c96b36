"""The officers' pages, the JSON API and the event stream."""

from central.web.app import create_app
from central.web.security import BindError, check_bind
from central.web.server import WebServer

__all__ = ["BindError", "WebServer", "check_bind", "create_app"]
