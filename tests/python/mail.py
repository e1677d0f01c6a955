"""A mail server that prints what it takes, until it is killed.

Usage: mail.py MODE [CERTIFICATE KEY]; MODE is `plain`, `starttls` or `tls`. Reads further words from the environment
variable MAIL_ANSWERS, one for each message: `ok`, `4xx`, `5xx`, or `cut`, which ends the connection at the message.
Listens at the port of the environment variable MAIL_PORT, or at any that is free.
The user is `coulomb` and the password `hunter2`; with STARTTLS and TLS nobody else is let in.
Prints `mail: PORT` when it listens, and each message as `message: JSON`.
"""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

MODE = sys.argv[1]
ANSWERS = os.environ.get("MAIL_ANSWERS", "").split()


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(sys.argv[2], sys.argv[3])
    return made


class Handler:
    async def handle_DATA(self, server, session, envelope):
        answer = ANSWERS.pop(0) if ANSWERS else "ok"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body(("plain",)).get_content()
        html = message.get_body(("html",)).get_content()
        attached = [
            {
                "name": part.get_filename(), "type": part["content-type"], "disposition": part.get_content_disposition(),
                "hex": part.get_payload(decode=True).hex(),
            }
            for part in message.iter_attachments()
        ]
        names = ["message-id", "references", "in-reply-to", "subject", "from", "to", "auto-submitted"]
        said = {name: str(message[name]) for name in names} | {
            "recipients": envelope.rcpt_tos, "text": text, "html": html, "answer": answer, "attached": attached,
            "secure": session.ssl is not None, "user": session.authenticated,
        }
        print("message: " + json.dumps(said), flush=True)
        if answer == "cut":
            server.transport.abort()
            return None
        return {"4xx": "451 4.3.0 try later", "5xx": "554 5.7.1 not wanted"}.get(answer, "250 taken")

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return "550 5.1.1 nobody of this name"
        envelope.rcpt_tos.append(address)
        return "250 ok"


def authenticated(server, session, envelope, mechanism, data):
    # Unhandled, so that the server itself says that it was not right.
    return AuthResult(success=(data.login, data.password) == (b"coulomb", b"hunter2"), handled=False)


def session():
    secure = {"tls_context": context(), "require_starttls": True} if MODE == "starttls" else {}
    # Whoever is under TLS from the first byte has not asked for it by a command.
    needs = {"auth_required": MODE != "plain", "auth_require_tls": MODE == "starttls"}
    return SMTP(Handler(), authenticator=authenticated, **secure, **needs)


async def serve():
    server = await asyncio.get_running_loop().create_server(
        session, "127.0.0.1", int(os.environ.get("MAIL_PORT", "0")), ssl=context() if MODE == "tls" else None
    )
    print(f"mail: {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(serve())
