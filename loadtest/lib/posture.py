#!/usr/bin/env python3
"""Parts of loadtest/posture.

    posture.py integrations CONFIGURATION            gives each device to four integrations in place of one
    posture.py pages GRAPH TENANT CLIENT SECRET-FILE fetches every page of devices as a synchronisation does, and throws
                                                     them away; prints how many bytes and milliseconds that took
    posture.py first PORT CA-FILE STARTED            tries until an authenticated request is answered 200; prints the
                                                     milliseconds since STARTED (nanoseconds since 1970)
"""
import http.client
import json
import os
import re
import socket
import ssl
import sys
import time
import urllib.parse


def integrations(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    block = re.search(r"  intune:\n(?:    .*\n)+", text).group(0)
    more = ""
    for name in ("intune-b", "intune-c", "intune-d"):
        more += block.replace("  intune:\n", f"  {name}:\n", 1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(block, block + more))


def first(port, authorities, started):
    with open(os.environ["LOADTEST_COOKIE"], encoding="ascii") as file:
        cookie = file.readline().rstrip("\n")
    context = ssl.create_default_context(cafile=authorities)
    message = (
        f"GET /bench?page=1 HTTP/1.1\r\nHost: wiki.localhost:{port}\r\nCookie: {cookie}\r\n"
        "Connection: close\r\n\r\n").encode("ascii")
    while True:
        try:
            plain = socket.create_connection(("127.0.0.1", port), 15)
            with context.wrap_socket(plain, server_hostname="wiki.localhost") as connection:
                connection.sendall(message)
                if connection.makefile("rb").readline().startswith(b"HTTP/1.1 200"):
                    print((time.time_ns() - started) // 1_000_000)
                    return
        except OSError:
            pass
        time.sleep(0.005)


# As the connector asks: what is not selected makes pages smaller.
SELECTED = (
    "id,deviceName,azureADDeviceId,serialNumber,udid,wiFiMacAddress,ethernetMacAddress,complianceState,"
    "complianceGracePeriodExpirationDateTime,lastSyncDateTime,deviceRegistrationState,managedDeviceOwnerType,"
    "isEncrypted,isSupervised,deviceCategoryDisplayName,partnerReportedThreatState")


def pages(graph, tenant, client, secret_file):
    began = time.monotonic()
    host = urllib.parse.urlsplit(graph).netloc
    connection = http.client.HTTPConnection(host, timeout=60)
    with open(secret_file, encoding="ascii") as file:
        form = {"client_id": client, "client_secret": file.read(), "grant_type": "client_credentials",
                "scope": "https://graph.microsoft.com/.default"}
    connection.request("POST", f"/{tenant}/oauth2/v2.0/token", urllib.parse.urlencode(form),
                       {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        sys.exit(f"posture: {answer.status} instead of a token: {body[:200]!r}")
    token = json.loads(body)["access_token"]
    path, count = f"/v1.0/deviceManagement/managedDevices?$select={SELECTED}&$count=true", 0
    while path:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"posture: {answer.status} for {path}: {body[:200]!r}")
        count += len(body)
        # Not parsed: what is measured is the emulator and the wire, without anybody who reads.
        link = re.search(rb'"@odata.nextLink":("(?:[^"\\\\]|\\\\.)*")', body)
        following = urllib.parse.urlsplit(json.loads(link.group(1))) if link else None
        path = f"{following.path}?{following.query}" if following else None
    print(f"{count} bytes of devices fetched in {(time.monotonic() - began) * 1000:.0f} ms")


if sys.argv[1] == "integrations":
    integrations(sys.argv[2])
elif sys.argv[1] == "pages":
    pages(*sys.argv[2:6])
else:
    first(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
