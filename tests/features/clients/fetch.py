"""fetch.py LIBRARY URL: prints the answer; any status but 200 is a failure. The library decides the version of HTTP, as it does for people."""

import os
import ssl
import sys
import urllib.request

import httpx
import requests

trusting = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])


def by_urllib(url):
    return urllib.request.urlopen(url, timeout=10).read().decode()


def by_requests(url):
    with requests.Session() as session:
        answer = session.get(url, timeout=10)
        answer.raise_for_status()
        return answer.text


def by_httpx(url, **options):
    with httpx.Client(verify=trusting, timeout=10, **options) as client:
        return client.get(url).raise_for_status().text


fetch = {
    "urllib": by_urllib,
    "requests": by_requests,
    "httpx": by_httpx,
    "httpx-http2": lambda url: by_httpx(url, http1=False, http2=True),
}
print(fetch[sys.argv[1]](sys.argv[2]))
