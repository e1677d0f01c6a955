"""A receiver of webhooks that checks each signature with Standard Webhooks' own library, until it is killed.

Usage: webhooks.py SECRET [ANSWER…]; each answer is a status, or `hold`: no answer for a minute. After the last one it
answers 200. Prints `receiver: http://127.0.0.1:PORT` when it listens, and each request as `request: JSON`.
"""

import base64
import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET, ANSWERS = sys.argv[1], sys.argv[2:]
LOCK = threading.Lock()


def document(data):
    """What a delivered document says of itself, held against its content."""
    content = data.pop("content")
    content = base64.b64decode(content) if data["encoding"] == "base64" else content.encode()
    whole = hashlib.sha256(content).hexdigest() == data["sha256"] and len(content) == data["bytes"]
    return {"whole": whole, "begins": content[:40].decode("latin-1"), **data}


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with LOCK:
            answer = ANSWERS.pop(0) if ANSWERS else "200"
        try:
            message, verified = Webhook(SECRET).verify(body, dict(self.headers.items())), True
        except WebhookVerificationError:
            message, verified = json.loads(body), False
        said = {"path": self.path, "id": self.headers["webhook-id"], "verified": verified, "answer": answer}
        said |= document(message["data"]) if "data" in message else message
        with LOCK:
            print("request: " + json.dumps(said), flush=True)
        if answer == "hold":
            threading.Event().wait(60)
            answer = "200"
        self.send_response(int(answer))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(f"receiver: http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
