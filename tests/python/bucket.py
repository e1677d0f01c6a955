"""An S3 server of its own process with one empty bucket, until it is killed.

Usage: bucket.py BUCKET; prints `bucket: http://127.0.0.1:PORT` when it answers.
"""

import logging
import sys
import threading

import boto3
from moto.server import ThreadedMotoServer

# It tells of every request otherwise.
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"
names = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
boto3.client("s3", endpoint_url=url, **names).create_bucket(Bucket=sys.argv[1])
print(f"bucket: {url}", flush=True)
threading.Event().wait()
