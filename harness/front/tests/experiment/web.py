"""A service that answers 200."""
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


host, port = os.environ["LISTEN"].rsplit(":", 1)
ThreadingHTTPServer((host, int(port)), Web).serve_forever()
