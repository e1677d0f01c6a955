"""Speaks TLS in front of a plain server, one request a connection: tls_front.py HOST:PORT CERTIFICATE KEY."""

import socket
import ssl
import sys
import threading


def answer(plain, context, target):
    try:
        with context.wrap_socket(plain, server_side=True) as front, socket.create_connection(target) as back:
            head = b""
            while b"\r\n\r\n" not in head:
                data = front.recv(65536)
                if not data:
                    return
                head += data
            back.sendall(head)
            while data := back.recv(65536):
                front.sendall(data)
    except OSError:  # a handshake that fails, or a client that leaves
        plain.close()


host, port = sys.argv[1].rsplit(":", 1)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
listener = socket.create_server(("127.0.0.1", 0))
print("front: 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=answer, args=(accepted, context, (host, int(port))), daemon=True).start()
