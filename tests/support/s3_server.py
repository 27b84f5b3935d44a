"""Moto's S3 server on a free port of loopback, with one bucket, until it is killed."""

from __future__ import annotations

import signal
import sys

import boto3
from moto.server import ThreadedMotoServer

if __name__ == "__main__":
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket=sys.argv[1])
    print(f"Listening on {url}", flush=True)
    signal.pause()
